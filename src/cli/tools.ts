/** A command that is only a place for others: called without one of them, it says which there are. */
import { CairnError } from '../errors.ts'
import type { CommandEntry, CommandSpec } from './command.ts'

export const TOOLS_GROUP = 'Tools:'

export function toolsSpec(
  examples: CommandSpec['examples'],
  tools: readonly CommandEntry[],
): CommandSpec {
  return {
    examples,
    define: (command) => {
      command.usage('TOOL [options]').argument('[tool]')
    },
    tools,
    run: async ({ args: [tool] }) => {
      const names = tools.map(({ name }) => name).join(', ')
      const message =
        tool === undefined ? 'No tool was named.' : `There is no tool "${tool.slice(0, 100)}".`
      throw new CairnError('usage', message, { hint: `There are: ${names}.` })
    },
  }
}
