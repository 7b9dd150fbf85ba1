import type { CommandEntry, CommandSpec } from '../command.ts'
import { TOOLS_GROUP, toolsSpec } from '../tools.ts'

const TOOLS: readonly CommandEntry[] = [
  {
    name: 'list',
    group: TOOLS_GROUP,
    summary: 'the live maps of a dataset',
    load: async () => (await import('../maps/list.ts')).list,
  },
  {
    name: 'restore',
    group: TOOLS_GROUP,
    summary: 'make maps what they were at a moment, or in a backup',
    load: async () => (await import('../maps/restore.ts')).restore,
  },
  {
    name: 'undelete',
    group: TOOLS_GROUP,
    summary: 'set a key again that was deleted, as it was last',
    load: async () => (await import('../maps/undelete.ts')).undeleteCommand,
  },
]

export const maps: CommandSpec = toolsSpec(
  [
    ['cairn maps list', 'names, kinds and how many keys'],
    ['cairn maps restore users --at 2026-05-01T12:00:00Z', 'the others stay as they are'],
    ['cairn maps undelete users alice', 'brings one key back'],
  ],
  TOOLS,
)
