import { CairnError } from '../../errors.ts'
import type { CommandSpec } from '../command.ts'
import type { CommandEntry } from '../commands.ts'

const GROUP = 'Tools:'

const TOOLS: readonly CommandEntry[] = [
  {
    name: 'list',
    group: GROUP,
    summary: 'the live maps of a dataset',
    load: async () => (await import('../maps/list.ts')).list,
  },
  {
    name: 'restore',
    group: GROUP,
    summary: 'make maps what they were at a moment, or in a backup',
    load: async () => (await import('../maps/restore.ts')).restore,
  },
  {
    name: 'undelete',
    group: GROUP,
    summary: 'set a key again that was deleted, as it was last',
    load: async () => (await import('../maps/undelete.ts')).undeleteCommand,
  },
]

export const maps: CommandSpec = {
  examples: [
    ['cairn maps list', 'names, kinds and how many keys'],
    ['cairn maps restore users --at 2026-05-01T12:00:00Z', 'the others stay as they are'],
    ['cairn maps undelete users alice', 'brings one key back'],
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
