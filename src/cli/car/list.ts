import { addListOptions, printPage } from '../command/list.ts'
import type { CommandSpec } from '../command.ts'
import { addCarOptions, withCarDataset } from './open.ts'

export const list: CommandSpec = {
  examples: [
    ['cairn car list backup.car', 'the first 100 entities, highest id first'],
    ['cairn car list delta.car --base full.car --prefix scan-', 'of a delta and its base'],
  ],
  define: (command) => {
    command.argument('<file>', 'a CAR')
    addListOptions(command)
    addCarOptions(command)
  },
  run: (context) =>
    withCarDataset(context, context.args[0], (dataset) => printPage(context, dataset)),
}
