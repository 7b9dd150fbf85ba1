import type { Command, Option } from 'commander'
import { CairnError } from '../../errors.ts'
import type { CommandSpec } from '../command.ts'
import {
  completionScript,
  SHELLS,
  type CompletedCommand,
  type CompletedOption,
  type Shell,
} from '../completion-scripts.ts'
import { buildProgram, defineCommand } from '../program.ts'

export const completion: CommandSpec = {
  examples: [
    ['source <(cairn completion bash)', 'for this shell'],
    ['cairn completion zsh > ~/.zfunc/_cairn', 'for good'],
    ['cairn completion fish | source', 'for this shell'],
  ],
  define: (command) => command.argument('<shell>', SHELLS.join(', ')),
  run: async ({ args, output }) => {
    const shell = SHELLS.find((one) => one === args[0])
    if (shell === undefined) {
      throw new CairnError(
        'usage',
        `There is no completion for "${(args[0] ?? '').slice(0, 60)}".`,
        {
          hint: `Give one of ${SHELLS.join(', ')}.`,
        },
      )
    }
    const script = await completionOf(shell)
    if (output.json) await output.document({ shell, script })
    else await output.text(script)
  },
}

/** The script for a shell, of all commands there are. */
export async function completionOf(shell: Shell): Promise<string> {
  const program = buildProgram(() => Promise.resolve())
  return completionScript(shell, await completed(program.commands), optionsOf(program))
}

async function completed(commands: readonly Command[]): Promise<CompletedCommand[]> {
  const all: CompletedCommand[] = []
  for (const command of commands) {
    await defineCommand(command)
    all.push({
      name: command.name(),
      summary: command.summary(),
      options: optionsOf(command),
      tools: await completed(command.commands),
    })
  }
  return all
}

function optionsOf(command: Command): CompletedOption[] {
  return [...command.options, ...helpOption].map(
    ({ short, long, description, required }: OptionLike) => ({
      flags: [long, short].filter((flag) => flag !== undefined),
      description,
      value: required,
    }),
  )
}

type OptionLike = Pick<Option, 'description' | 'required'> & {
  readonly short?: string | undefined
  readonly long?: string | undefined
}

const helpOption: readonly OptionLike[] = [
  { short: '-h', long: '--help', description: 'print help', required: false },
]
