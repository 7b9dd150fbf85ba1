import type { CommandEntry, CommandSpec } from '../command.ts'
import { TOOLS_GROUP, toolsSpec } from '../tools.ts'

const TOOLS: readonly CommandEntry[] = [
  {
    name: 'push',
    group: TOOLS_GROUP,
    summary: 'copy the CARs of the backups folder that the bucket lacks',
    load: async () => (await import('../offsite/push.ts')).push,
  },
  {
    name: 'pull',
    group: TOOLS_GROUP,
    summary: 'bring a copy back into a folder',
    load: async () => (await import('../offsite/pull.ts')).pull,
  },
  {
    name: 'list',
    group: TOOLS_GROUP,
    summary: 'the copies, newest first',
    load: async () => (await import('../offsite/list.ts')).list,
  },
  {
    name: 'prune',
    group: TOOLS_GROUP,
    summary: 'remove the copies that the rules do not keep, and unfinished uploads',
    load: async () => (await import('../offsite/prune.ts')).prune,
  },
]

export const offsite: CommandSpec = toolsSpec(
  [
    ['cairn offsite push --to s3://BUCKET/cairn', 'only what it lacks; goes on where it was cut'],
    ['cairn offsite list', 'with CAIRN_OFFSITE set'],
    ['cairn offsite pull', 'the newest copy, proved'],
    ['cairn offsite prune --dry-run', 'what would go'],
  ],
  TOOLS,
)
