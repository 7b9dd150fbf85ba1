import { peekCar, type PeekedCar } from '../../car/peek.ts'
import { rootRecord } from '../../car/root-record.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { columns, formatBytes, printable } from '../format.ts'
import { addIdentityOption, sourcesOf, withCars } from './open.ts'

export const inspect: CommandSpec = {
  examples: [
    ['cairn car inspect backup.car', 'of whom, of when, how much'],
    ['cairn car inspect backup.car --json', 'for scripts'],
  ],
  define: (command) => {
    command.argument('<file>', 'a CAR')
    addIdentityOption(command)
  },
  run: async (context) => {
    const [file = ''] = sourcesOf(context, context.args[0])
    if (!context.options.has('--identity')) return print(context, file, await peekCar(file))
    // What is decrypted has been read through anyway.
    await withCars(context, [file], { trustIndex: true }, async ([car]) => {
      if (car !== undefined) await print(context, file, car)
    })
  },
}

const INDEX_NAMES: ReadonlyMap<number, string> = new Map([
  [0x0400, 'index-sorted'],
  [0x0401, 'multihash-index-sorted'],
])

const indexName = (codec: number): string => INDEX_NAMES.get(codec) ?? `0x${codec.toString(16)}`

async function print({ output }: CommandContext, file: string, car: PeekedCar): Promise<void> {
  const roots = car.roots.map((root) => rootRecord([car], root))
  const about = {
    file,
    version: car.version,
    size: car.size,
    data_bytes: car.dataBytes,
    index: car.indexCodec === undefined ? null : indexName(car.indexCodec),
  }
  if (output.json) return output.document({ ...about, roots })
  for (const row of rowsOf(Object.entries({ ...about, size: formatBytes(car.size) })))
    await output.line(row)
  for (const { cid, ...root } of roots) {
    await output.line('')
    await output.line(output.bold(`root ${cid}`))
    for (const row of rowsOf(Object.entries(root))) await output.line(row)
  }
}

function rowsOf(fields: readonly (readonly [string, unknown])[]): string[] {
  return columns(fields.map(([name, value]) => [name, valueText(value)]))
}

function valueText(value: unknown): string {
  if (value === null) return '-'
  return printable(typeof value === 'string' ? value : JSON.stringify(value))
}
