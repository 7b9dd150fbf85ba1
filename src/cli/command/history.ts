import { readDataset, type CommandSpec } from '../command.ts'
import { entryRow } from '../format.ts'
import { entryRecord } from '../../model/entry-record.ts'
import { noEntity } from '../find.ts'

export const history: CommandSpec = {
  examples: [
    ['cairn history scan-7', 'all kept versions, newest first'],
    ['cairn history scan-7 --limit 5 --json', 'the newest five, as NDJSON'],
  ],
  define: (command) =>
    command.argument('<pi>', 'the id of the entity').option('--limit <n>', 'versions at most'),
  run: async (context) => {
    const { args, options, output, signal } = context
    const [pi = ''] = args
    const limit = options.count('--limit', 1) ?? Infinity
    await readDataset(context, async (dataset) => {
      let count = 0
      for await (const { entry, position } of dataset.history(pi, { signal })) {
        count += 1
        if (output.json) await output.document({ ...entryRecord(entry), position })
        else await output.line(`${entryRow(entry)}\t${position}`)
        if (count >= limit) return
      }
      if (count > 0) return
      // A prune or a restore may have left nothing of it in the log.
      const current = await dataset.get(pi, { signal })
      if (current === undefined) throw noEntity(pi, dataset.name)
      if (output.json) await output.document({ ...entryRecord(current), position: null })
      else await output.line(`${entryRow(current)}\t-`)
    })
  },
}
