import { CairnError } from '../../errors.ts'
import { itemId } from '../../live/layout.ts'
import { undelete } from '../../live/restore.ts'
import { readDataset, type CommandSpec } from '../command.ts'

export const undeleteCommand: CommandSpec = {
  examples: [['cairn maps undelete users alice', 'as it was before it was deleted']],
  writes: true,
  define: (command) => command.argument('<map>').argument('<key>'),
  run: async (context) => {
    const { args, output, signal } = context
    const [map = '', key = ''] = args
    await readDataset(context, async (dataset) => {
      const isBack = await undelete(dataset, map, key, { now: Date.now, signal })
      const isThere = isBack || (await dataset.get(itemId(map, key), { signal })) !== undefined
      if (!isThere) {
        throw new CairnError(
          'not_found',
          `The log tells of no "${key.slice(0, 100)}" in "${map}".`,
          {
            hint: 'Look into an earlier snapshot or a backup: `cairn maps restore`.',
          },
        )
      }
      const status = isBack ? 'undeleted' : 'already_there'
      if (output.json) return output.document({ status, map, key })
      await output.line(isBack ? 'it is there again' : 'it was there')
    })
  },
}
