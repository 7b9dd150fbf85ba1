import type { CommandEntry, CommandSpec } from '../command.ts'
import { TOOLS_GROUP, toolsSpec } from '../tools.ts'

const TOOLS: readonly CommandEntry[] = [
  {
    name: 'create',
    group: TOOLS_GROUP,
    summary: 'make a token; it is shown once',
    load: async () => (await import('../token/create.ts')).create,
  },
  {
    name: 'list',
    group: TOOLS_GROUP,
    summary: 'the tokens there are, without their texts',
    load: async () => (await import('../token/list.ts')).list,
  },
  {
    name: 'revoke',
    group: TOOLS_GROUP,
    summary: 'take a token away, by its name or id',
    load: async () => (await import('../token/revoke.ts')).revoke,
  },
]

export const token: CommandSpec = toolsSpec(
  [
    ['cairn token create app --right append', 'prints it; it is kept nowhere'],
    ['cairn token list', 'names, ids and rights'],
    ['cairn token revoke app', 'refused from within a second'],
  ],
  TOOLS,
)
