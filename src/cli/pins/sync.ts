import { syncPins } from '../../cluster/sync.ts'
import { isWanted } from '../../cluster/view.ts'
import { durationOption } from '../backup-options.ts'
import { longOptions, type CommandSpec } from '../command.ts'
import { counted } from '../format.ts'
import { linesOf, recordsOf, shortage, withPins } from './place.ts'

export const sync: CommandSpec = {
  examples: [
    ['cairn pins sync', 'asks for what is missing; does not wait for it'],
    [
      'cairn pins sync --wait 10m --quiet',
      'for cron, after prune: ends with 17 if it takes longer',
    ],
    ['cairn pins sync --pin-min 3 --pin-max 5', 'on more nodes than configured'],
  ],
  writes: true,
  define: (command) =>
    command.option('--wait <time>', 'until all of it is on enough nodes, or fail (30s, 10m)'),
  run: (context) =>
    withPins(context, async (place) => {
      const { options, output } = context
      const { dataset, cluster, factor } = place
      const waitMs = durationOption(options, '--wait') ?? 0
      const synced = await syncPins(place, { ...longOptions(context), waitMs })
      const failure = shortage(synced.views, factor, 'not_replicated')
      const needed = synced.views.filter(isWanted).length
      if (output.json) {
        await output.document({
          status: failure === undefined ? 'pinned' : 'requested',
          dataset: dataset.name,
          cluster: cluster.address,
          min: factor.min,
          max: factor.max,
          needed,
          asked: synced.asked,
          released: synced.released,
          held_back: synced.heldBack,
          pins: recordsOf(synced.views),
        })
      } else {
        if (!output.quiet)
          for (const line of linesOf(synced.views.filter(isWanted), factor)) await output.line(line)
        const spare = synced.heldBack === 0 ? '' : `, ${synced.heldBack} held back`
        output.note(
          `${counted(needed, 'pin')}: ${synced.asked} asked for, ${synced.released} released${spare}`,
        )
      }
      if (failure !== undefined && waitMs > 0) throw failure
    }),
}
