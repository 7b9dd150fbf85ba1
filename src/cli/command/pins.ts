import type { CommandEntry, CommandSpec } from '../command.ts'
import { TOOLS_GROUP, toolsSpec } from '../tools.ts'

const TOOLS: readonly CommandEntry[] = [
  {
    name: 'sync',
    group: TOOLS_GROUP,
    summary: 'pin what the dataset keeps, and let go of what it keeps no more',
    load: async () => (await import('../pins/sync.ts')).sync,
  },
  {
    name: 'status',
    group: TOOLS_GROUP,
    summary: 'how each pin stands on each node',
    load: async () => (await import('../pins/status.ts')).status,
  },
  {
    name: 'release',
    group: TOOLS_GROUP,
    summary: 'let go of pins, however the others stand',
    load: async () => (await import('../pins/release.ts')).release,
  },
]

export const pins: CommandSpec = toolsSpec(
  [
    ['cairn pins sync --wait 10m', 'the kept snapshots are on 2 or 3 nodes of the cluster'],
    ['cairn pins status', 'on which, and what is wrong where'],
    ['cairn pins release', 'gives space back though a node is down'],
  ],
  TOOLS,
)
