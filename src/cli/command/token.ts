import { CairnError } from '../../errors.ts'
import type { CommandSpec } from '../command.ts'
import type { CommandEntry } from '../commands.ts'

const GROUP = 'Tools:'

const TOOLS: readonly CommandEntry[] = [
  {
    name: 'create',
    group: GROUP,
    summary: 'make a token; it is shown once',
    load: async () => (await import('../token/create.ts')).create,
  },
  {
    name: 'list',
    group: GROUP,
    summary: 'the tokens there are, without their texts',
    load: async () => (await import('../token/list.ts')).list,
  },
  {
    name: 'revoke',
    group: GROUP,
    summary: 'take a token away, by its name or id',
    load: async () => (await import('../token/revoke.ts')).revoke,
  },
]

export const token: CommandSpec = {
  examples: [
    ['cairn token create app --right append', 'prints it; it is kept nowhere'],
    ['cairn token list', 'names, ids and rights'],
    ['cairn token revoke app', 'refused from within a second'],
  ],
  define: (command) => {
    command.usage('TOOL [options]').argument('[tool]')
  },
  tools: TOOLS,
  run: async ({ args }) => {
    const [tool] = args
    const names = TOOLS.map(({ name }) => name).join(', ')
    const message =
      tool === undefined ? 'No tool was named.' : `There is no tool "${tool.slice(0, 100)}".`
    throw new CairnError('usage', message, { hint: `There are: ${names}.` })
  },
}
