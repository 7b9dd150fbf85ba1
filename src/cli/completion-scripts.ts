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
  /** Commands of its own, by a second name. */
  readonly tools: readonly CompletedCommand[]
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

/** Commands and their tools, each with the names that lead to it. */
function withPaths(
  commands: readonly CompletedCommand[],
  before = '',
): { readonly path: string; readonly command: CompletedCommand }[] {
  return commands.flatMap((command) => {
    const path = `${before}${command.name}`
    return [{ path, command }, ...withPaths(command.tools, `${path} `)]
  })
}

const namesOf = (commands: readonly CompletedCommand[]): string =>
  commands.map(({ name }) => name).join(' ')

function bash(commands: readonly CompletedCommand[], global: readonly CompletedOption[]): string {
  const paths = withPaths(commands)
  const groups = paths.filter(({ command }) => command.tools.length > 0)
  const words = [
    { path: '', tools: commands },
    ...groups.map(({ path, command: { tools } }) => ({ path, tools })),
  ]
  const offers = words.map(({ path, tools }) => `    "${path}") words="${namesOf(tools)}" ;;`)
  const cases = paths.map(
    ({ path, command }) => `    "${path}") flags="${flagsOf(command.options)}" ;;`,
  )
  const goOn = groups.map(({ path }) => `"${path}"`).join(' | ')
  return `# cairn completion for bash: source <(cairn completion bash)
_cairn() {
  local word="\${COMP_WORDS[COMP_CWORD]}" command="" flags="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
    ${withValue(global)
      .flatMap(({ flags }) => flags)
      .join(' | ')}) ((i++)) ;;
    -*) ;;
    *)
      command="\${command:+$command }\${COMP_WORDS[i]}"
      case "$command" in
      ${goOn === '' ? '""' : goOn}) ;;
      *) break ;;
      esac ;;
    esac
  done
  COMPREPLY=()
  case "$command" in
${offers.join('\n')}
  esac
  if [[ "$words" != "" && "$word" != -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    return
  fi
  case "$command" in
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
  return `#compdef cairn
# cairn completion for zsh: source <(cairn completion zsh)
${zshFunctions('_cairn', commands, global)}
if [ "$funcstack[1]" = _cairn ]; then _cairn "$@"; else compdef _cairn cairn; fi
`
}

/** The function that completes one of `commands`, behind those for the commands that have tools. */
function zshFunctions(
  name: string,
  commands: readonly CompletedCommand[],
  global: readonly CompletedOption[],
): string {
  const describe = ({ flags, description, value }: CompletedOption): string[] =>
    flags.map(
      (flag) => `${quote(`${flag}[${bracketed(description)}]${value ? ':value:_files' : ''}`)}`,
    )
  const groups = commands.filter(({ tools }) => tools.length > 0)
  const inner = groups.map((one) => zshFunctions(`${name}_${one.name}`, one.tools, global))
  const names = commands.map((one) => `    ${quote(`${one.name}:${one.summary}`)}`)
  const cases = commands.map((one) =>
    one.tools.length > 0
      ? `    ${one.name}) ${name}_${one.name} ;;`
      : `    ${one.name}) _arguments -S ${[...one.options, ...global].flatMap(describe).join(' ')} '*:file:_files' ;;`,
  )
  return [
    ...inner,
    `${name}() {
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
}`,
  ].join('\n')
}

function fish(commands: readonly CompletedCommand[], global: readonly CompletedOption[]): string {
  const option = (condition: string, { flags, description, value }: CompletedOption): string => {
    const names = flags.map((flag) =>
      flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
    )
    return `complete -c cairn ${condition}${names.join(' ')}${value ? ' -r' : ''} -d ${quote(description)}`
  }
  const linesOf = (
    { name, summary, options, tools }: CompletedCommand,
    offered: string,
    inside: string,
  ): string[] => {
    const here = `${inside}__fish_seen_subcommand_from ${name}`
    const toolOffered = `${here}; and not __fish_seen_subcommand_from ${namesOf(tools)}`
    return [
      `complete -c cairn -n ${offered} -f -a ${name} -d ${quote(summary)}`,
      ...options.map((one) => option(`-n '${here}' `, one)),
      ...tools.flatMap((tool) => linesOf(tool, `'${toolOffered}'`, `${here}; and `)),
    ]
  }
  const lines = commands.flatMap((command) => linesOf(command, '__fish_use_subcommand', ''))
  return `# cairn completion for fish: cairn completion fish | source
${[...lines, ...global.map((one) => option('', one))].join('\n')}
`
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

const bracketed = (text: string): string => text.replaceAll(/[[\]:\\]/g, (one) => `\\${one}`)
