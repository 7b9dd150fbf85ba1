import { printCid } from '../../model/cid.ts'
import { readDataset, type CommandSpec } from '../command.ts'
import { formatTime, printable } from '../format.ts'

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
      for await (const { cid, seq, ts, entries, live, reason, tags } of dataset.snapshots({
        signal,
      })) {
        count += 1
        const time = formatTime(ts)
        const record = { cid: printCid(cid), seq, ts: time, entries, live, reason, tags }
        if (output.json) await output.document(record)
        else
          await output.line(
            [seq, time, live, record.cid, printable([reason, ...tags].join(' '))].join('\t'),
          )
        if (count >= limit) return
      }
    })
  },
}
