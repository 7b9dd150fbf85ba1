import { CairnError } from '../../errors.ts'
import type { CommandEntry, CommandSpec } from '../command.ts'

const TOOLS_GROUP = 'Tools:'

const TOOLS: readonly CommandEntry[] = [
  {
    name: 'inspect',
    group: TOOLS_GROUP,
    summary: 'what a CAR says of itself, read from its beginning',
    load: async () => (await import('../car/inspect.ts')).inspect,
  },
  {
    name: 'verify',
    group: TOOLS_GROUP,
    summary: 'prove every block, the structure, and that nothing is missing',
    load: async () => (await import('../car/verify.ts')).verify,
  },
  {
    name: 'list',
    group: TOOLS_GROUP,
    summary: 'a page of the entities in a CAR',
    load: async () => (await import('../car/list.ts')).list,
  },
  {
    name: 'get',
    group: TOOLS_GROUP,
    summary: 'an entity as it is in a CAR',
    load: async () => (await import('../car/get.ts')).get,
  },
  {
    name: 'extract',
    group: TOOLS_GROUP,
    summary: 'write the contents of entities as files',
    load: async () => (await import('../car/extract.ts')).extract,
  },
  {
    name: 'diff',
    group: TOOLS_GROUP,
    summary: 'what changed from one CAR to another',
    load: async () => (await import('../car/diff.ts')).diff,
  },
]

export const car: CommandSpec = {
  examples: [
    ['cairn car inspect backup.car', 'what is in it'],
    ['cairn car verify backup.car', 'prove it'],
    ['cairn car extract backup.car scan-7 --out restored', 'one content as a file'],
  ],
  define: (command) => {
    command.usage('TOOL [options]').argument('[tool]')
  },
  tools: TOOLS,
  run: async ({ args }) => {
    const [tool] = args
    const names = TOOLS.map(({ name }) => name).join(', ')
    throw new CairnError(
      'usage',
      tool === undefined
        ? 'A tool has to be named.'
        : `There is no tool "${tool.slice(0, 60)}" for CARs.`,
      { hint: `The tools are ${names}; see \`cairn car --help\`.` },
    )
  },
}
