import { printEntity } from '../command/get.ts'
import type { CommandSpec } from '../command.ts'
import { addCarOptions, withCarDataset } from './open.ts'

export const get: CommandSpec = {
  examples: [
    ['cairn car get backup.car scan-7', 'its version, tip and time'],
    ['cairn cat scan-7 --store car:backup.car', 'its content'],
  ],
  define: (command) => {
    command.argument('<file>', 'a CAR').argument('<pi>', 'the id of the entity')
    addCarOptions(command)
  },
  run: (context) => {
    const [file, pi] = context.args
    return withCarDataset(context, file, (dataset) => printEntity(context, dataset, pi))
  },
}
