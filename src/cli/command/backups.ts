import { listBackups } from '../../session/backups.ts'
import type { CommandSpec } from '../command.ts'
import { formatBytes, printable } from '../format.ts'

export const backups: CommandSpec = {
  examples: [
    ['cairn backups', 'newest first: when, size, snapshot, file, and why'],
    ['cairn backups --since 2026-05-01T00:00:00Z --count', 'how many there are since then'],
  ],
  define: (command) => {
    command
      .option('--since <time>', 'made then or later')
      .option('--until <time>', 'made before')
      .option('--count', 'how many there are')
  },
  run: async ({ config, options, output }) => {
    const { backups_dir: folder, dataset } = config.values
    const [since, until] = [options.time('--since'), options.time('--until')]
    const found = (await listBackups(folder, dataset)).filter(({ modified }) => {
      const at = Date.parse(modified)
      return (since === undefined || at >= since) && (until === undefined || at < until)
    })
    if (options.switch('--count'))
      return output.json
        ? output.document({ count: found.length })
        : output.line(String(found.length))
    if (output.json) return output.document({ backups: found })
    for (const { modified, size, seq, filename, reason } of found) {
      const why = reason === '' ? '' : `  ${reason}`
      await output.line(
        printable(`${modified}  ${formatBytes(size).padStart(9)}  seq:${seq}  ${filename}${why}`),
      )
    }
  },
}
