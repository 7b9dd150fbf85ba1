import { releasePins } from '../../cluster/sync.ts'
import { longOptions, type CommandSpec } from '../command.ts'
import { counted } from '../format.ts'
import { withPins } from './place.ts'

export const release: CommandSpec = {
  examples: [
    ['cairn pins release', 'those of snapshots that are kept no more'],
    ['cairn pins release --all', 'every pin of this dataset; its store is not touched'],
  ],
  writes: true,
  define: (command) => command.option('--all', 'also those that are needed'),
  run: (context) =>
    withPins(context, async (place) => {
      const { options, output } = context
      const all = options.switch('--all')
      const released = await releasePins(place, { ...longOptions(context), all })
      if (output.json) {
        const status = released === 0 ? 'already_released' : 'released'
        return output.document({ status, dataset: place.dataset.name, released })
      }
      output.note(`${counted(released, 'pin')} released`)
    }),
}
