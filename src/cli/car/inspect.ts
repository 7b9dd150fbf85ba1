import { peekCar, type PeekedCar } from '../../car/peek.ts'
import { factsOf, stateOfRoot, type CarState } from '../../car/state.ts'
import { isCairnError } from '../../errors.ts'
import { printCid, type CidBytes } from '../../model/cid.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { columns, formatBytes, printable } from '../format.ts'
import { formatTime } from '../../model/time.ts'
import { printOrNull } from '../../model/entry-record.ts'
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

type RootRecord = Readonly<Record<string, unknown>> & { readonly cid: string }

/** What a root says, where it is at the beginning of the file and is one of Cairn's. */
function rootRecord(car: PeekedCar, root: CidBytes): RootRecord {
  const cid = printCid(root)
  try {
    return { cid, ...stateRecord(stateOfRoot([car], root)) }
  } catch (error) {
    if (isCairnError(error)) return { cid, kind: null, problem: error.message }
    throw error
  }
}

function stateRecord(state: CarState): Record<string, unknown> {
  const { checkpoint, snapshot, header } = state
  const facts = factsOf(state)
  return {
    kind: checkpoint === undefined ? 'snapshot' : 'checkpoint',
    dataset: facts.dataset ?? null,
    identity: facts.identity,
    origins: facts.origins,
    generation: checkpoint?.generation.number ?? null,
    car_content: facts.content,
    content: header.content,
    snapshot: printCid(snapshot),
    since: printOrNull(checkpoint?.since ?? null),
    seq: header.seq,
    ts: formatTime(header.ts),
    reason: header.reason,
    tags: header.tags,
    meta: header.meta,
    entries: header.entries,
    live: header.live,
    chunk_count: header.chunkCount,
    chunk_size: header.chunkSize,
    recent_count: facts.recentCount,
    total_count: facts.totalCount,
    next: facts.next,
  }
}

async function print({ output }: CommandContext, file: string, car: PeekedCar): Promise<void> {
  const roots = car.roots.map((root) => rootRecord(car, root))
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
