import { listMaps } from '../../live/list-maps.ts'
import { readDataset, type CommandSpec } from '../command.ts'
import { formatCount, printable } from '../format.ts'

export const list: CommandSpec = {
  examples: [['cairn maps list', 'one a line: kind, keys, name, and how long its keys live']],
  define: () => {},
  run: async (context) => {
    const { output, signal } = context
    await readDataset(context, async (dataset) => {
      const found = []
      for await (const one of listMaps(dataset, { signal })) found.push(one)
      if (output.json) {
        return output.document({
          maps: found.map(({ name, kind, ttlMs, count }) => ({ name, kind, ttl_ms: ttlMs, count })),
        })
      }
      for (const { name, kind, ttlMs, count } of found) {
        const ttl = ttlMs === null ? '' : `  ${ttlMs / 1000}s`
        await output.line(
          `${kind.padEnd(8)}  ${formatCount(count).padStart(9)}  ${printable(name)}${ttl}`,
        )
      }
    })
  },
}
