import { snapshotRecord } from '../../engine/records.ts'
import { readDataset, type CommandSpec } from '../command.ts'
import { printable } from '../format.ts'

export const snapshots: CommandSpec = {
  examples: [
    ['cairn snapshots', 'number, time, entities, CID, reason and tags'],
    ['cairn snapshots --limit 1 --json', 'the newest one'],
  ],
  define: (command) => command.option('--limit <n>', 'snapshots at most'),
  run: async (context) => {
    const { options, output, signal } = context
    const limit = options.count('--limit', 1) ?? Infinity
    await readDataset(context, async (dataset) => {
      let count = 0
      for await (const snapshot of dataset.snapshots({ signal })) {
        count += 1
        const record = snapshotRecord(snapshot)
        if (output.json) await output.document(record)
        else {
          const { seq, ts, live, cid, reason, tags } = record
          const notes = printable([reason, ...tags].join(' '))
          await output.line([seq, ts, live, cid, notes].join('\t'))
        }
        if (count >= limit) return
      }
    })
  },
}
