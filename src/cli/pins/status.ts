import { pinStatus } from '../../cluster/sync.ts'
import { longOptions, type CommandSpec } from '../command.ts'
import { printable } from '../format.ts'
import { linesOf, recordsOf, shortage, withPins } from './place.ts'

export const status: CommandSpec = {
  examples: [
    ['cairn pins status', 'each pin, and its state on each node'],
    ['cairn pins status --quiet', 'for cron: ends with 18 if one is on too few nodes'],
  ],
  define: () => {},
  run: (context) =>
    withPins(context, async (place) => {
      const { output } = context
      const { dataset, cluster, factor } = place
      const [views, peers] = [
        await pinStatus(place, longOptions(context)),
        await cluster.peers(longOptions(context)),
      ]
      const failure = shortage(views, factor, 'unhealthy')
      if (output.json) {
        await output.document({
          status: failure === undefined ? 'pinned' : 'short',
          dataset: dataset.name,
          cluster: cluster.address,
          min: factor.min,
          max: factor.max,
          peers,
          pins: recordsOf(views),
        })
      } else if (!output.quiet) {
        for (const { name, peer, version, error } of peers) {
          const state = error === '' ? 'up' : error
          await output.line(printable(`peer   ${name || peer}  ${version}  ${state}`))
        }
        for (const line of linesOf(views, factor)) await output.line(line)
      }
      if (failure !== undefined) throw failure
    }),
}
