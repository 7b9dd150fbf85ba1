/** Completion scripts, made from the same definitions as the commands themselves. */

export interface CompletedOption {
  readonly flags: readonly string[]
  readonly description: string
  /** Whether a value follows. */
  readonly value: boolean
}

export interface CompletedCommand {
  readonly name: string
  readonly summary: string
  readonly options: readonly CompletedOption[]
}

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

export function completionScript(
  shell: Shell,
  commands: readonly CompletedCommand[],
  global: readonly CompletedOption[],
): string {
  return { bash, zsh, fish }[shell](commands, global)
}

const flagsOf = (options: readonly CompletedOption[]): string =>
  options.flatMap(({ flags }) => flags).join(' ')

const withValue = (options: readonly CompletedOption[]): CompletedOption[] =>
  options.filter(({ value }) => value)

function bash(commands: readonly CompletedCommand[], global: readonly CompletedOption[]): string {
  const cases = commands.map(({ name, options }) => `    ${name}) flags="${flagsOf(options)}" ;;`)
  return `# cairn completion for bash: source <(cairn completion bash)
_cairn() {
  local word="\${COMP_WORDS[COMP_CWORD]}" command="" flags="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
    ${withValue(global)
      .flatMap(({ flags }) => flags)
      .join(' | ')}) ((i++)) ;;
    -*) ;;
    *) command="\${COMP_WORDS[i]}"; break ;;
    esac
  done
  COMPREPLY=()
  case "$command" in
    "")
      if [[ "$word" != -* ]]; then
        COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')}" -- "$word"))
        return
      fi ;;
${cases.join('\n')}
  esac
  if [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags ${flagsOf(global)}" -- "$word"))
  fi
}
complete -o default -F _cairn cairn
`
}

function zsh(commands: readonly CompletedCommand[], global: readonly CompletedOption[]): string {
  const describe = ({ flags, description, value }: CompletedOption): string[] =>
    flags.map(
      (flag) => `${quote(`${flag}[${bracketed(description)}]${value ? ':value:_files' : ''}`)}`,
    )
  const names = commands.map(({ name, summary }) => `    ${quote(`${name}:${summary}`)}`)
  const cases = commands.map(
    ({ name, options }) =>
      `    ${name}) _arguments -S ${[...options, ...global].flatMap(describe).join(' ')} '*:file:_files' ;;`,
  )
  return `#compdef cairn
# cairn completion for zsh: source <(cairn completion zsh)
_cairn() {
  local -a commands
  commands=(
${names.join('\n')}
  )
  local line state
  _arguments -C ${global.flatMap(describe).join(' ')} '1: :->command' '*:: :->rest'
  case "$state" in
  command) _describe command commands ;;
  rest)
    case "$line[1]" in
${cases.join('\n')}
    esac ;;
  esac
}
if [ "$funcstack[1]" = _cairn ]; then _cairn "$@"; else compdef _cairn cairn; fi
`
}

function fish(commands: readonly CompletedCommand[], global: readonly CompletedOption[]): string {
  const option = (condition: string, { flags, description, value }: CompletedOption): string => {
    const names = flags.map((flag) =>
      flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
    )
    return `complete -c cairn ${condition}${names.join(' ')}${value ? ' -r' : ''} -d ${quote(description)}`
  }
  const lines = commands.flatMap(({ name, summary, options }) => [
    `complete -c cairn -n __fish_use_subcommand -f -a ${name} -d ${quote(summary)}`,
    ...options.map((one) => option(`-n '__fish_seen_subcommand_from ${name}' `, one)),
  ])
  return `# cairn completion for fish: cairn completion fish | source
${[...lines, ...global.map((one) => option('', one))].join('\n')}
`
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

const bracketed = (text: string): string => text.replaceAll(/[[\]:\\]/g, (one) => `\\${one}`)
