/**
 * `cairn import --layout radish`: readable backups into live maps, all of them in one commit or none.
 *
 *   1 choose the files, by what is in them; read all of each, and sort what they say of keys
 *   2 compare with what is there, in one walk: what is the same already is not written again
 *   3 one batch up to the chain limit, beyond it one bulk load
 */
import type { Dataset } from '../engine/dataset.ts'
import type { ImportEntry } from '../engine/import-entry.ts'
import { CairnError } from '../errors.ts'
import { ItemSort, type ReadItem } from '../radish/items.ts'
import { readFile } from '../radish/read-file.ts'
import { writeDataset, type CommandContext } from './command.ts'
import { counted, formatCount } from './format.ts'
import { chooseFiles, ofFile, type ChosenFiles, type MapFile } from './radish-files.ts'
import { MapLoad, type MapCounts } from './radish-load.ts'

/** Up to here it is one batch, if the chain's limit allows. */
const SMALL_ITEMS = 10_000
const SMALL_BYTES = 32 << 20

const NOT_HERE = ['--batch', '--ack']

export async function importRadish(context: CommandContext): Promise<void> {
  const { args, options, signal } = context
  const strange = NOT_HERE.find((flag) => options.has(flag))
  if (strange !== undefined) {
    throw new CairnError('usage', `--layout radish does not go with ${strange}.`, {
      hint: 'It is one commit, whatever there is in the files.',
    })
  }
  options.atMostOne('--map', '--into')
  const choice = { only: options.text('--map'), into: options.text('--into'), signal }
  const chosen = await chooseFiles(args, choice)
  const sort = new ItemSort()
  try {
    const files: MapFile[] = []
    for (const file of chosen.files) files.push(await readOne(file, sort, context))
    await importFiles(context, { ...chosen, files }, sort)
  } finally {
    await sort.dispose()
  }
}

async function readOne(file: MapFile, sort: ItemSort, context: CommandContext): Promise<MapFile> {
  const { signal, progress } = context
  let done = 0
  const header = await ofFile(file.path, signal, (chunks) =>
    readFile(chunks, async (section, key, text) => {
      await sort.add(file.map, section, key, text)
      done += 1
      if (done % 1000 === 0) progress.update({ step: 'read', done })
    }),
  )
  return { ...file, header }
}

async function importFiles(
  context: CommandContext,
  chosen: ChosenFiles,
  sort: ItemSort,
): Promise<void> {
  const { options, signal } = context
  const load = new MapLoad(chosen.files, options.switch('--replace'), signal)
  const items = load.unexpired(sort.items())
  // Of a small import nothing is made, not even a dataset, when something in it is wrong.
  const ready = await pull(items, SMALL_ITEMS, sizeOfItem)
  await writeDataset(context, async (dataset) => {
    const { pointer } = await dataset.status({ signal })
    const most = Math.min(SMALL_ITEMS, pointer.settings.chain_limit)
    const changes = load.changes(dataset, rejoined(ready, items))
    const first = await pull(changes, most, sizeOfEntry)
    const way = await write(context, dataset, first, changes)
    await report(context, chosen, load, way)
  })
}

type Way = 'batch' | 'bulk' | 'nothing'

async function write(
  { signal, progress }: CommandContext,
  dataset: Dataset,
  first: Pulled<ImportEntry>,
  rest: AsyncGenerator<ImportEntry>,
): Promise<Way> {
  if (first.ended && first.items.length === 0) return 'nothing'
  if (first.ended) {
    await dataset.appendBatch(first.items, { signal })
    return 'batch'
  }
  const reason = 'import of readable backups'
  await dataset.bulkLoad(rejoined(first, rest), { signal, onProgress: progress.update, reason })
  return 'bulk'
}

interface Pulled<T> {
  readonly items: T[]
  readonly ended: boolean
}

/** Up to `most` items of `source`, and to so many bytes; `ended` says whether that is all of them. */
async function pull<T>(
  source: AsyncGenerator<T>,
  most: number,
  sizeOf: (item: T) => number,
): Promise<Pulled<T>> {
  const items: T[] = []
  let bytes = 0
  while (items.length <= most && bytes <= SMALL_BYTES) {
    const next = await source.next()
    if (next.done === true) return { items, ended: true }
    items.push(next.value)
    bytes += sizeOf(next.value)
  }
  return { items, ended: false }
}

async function* rejoined<T>(
  { items, ended }: Pulled<T>,
  rest: AsyncGenerator<T>,
): AsyncGenerator<T> {
  for (let one = items.shift(); one !== undefined; one = items.shift()) yield one
  if (!ended) yield* rest
}

const sizeOfContent = (content: ReadItem['content']): number =>
  'block' in content ? content.block.bytes.length : content.bytes.length
const sizeOfItem = ({ content }: ReadItem): number => sizeOfContent(content)

function sizeOfEntry(entry: ImportEntry): number {
  if ('block' in entry) return entry.block.bytes.length
  return 'value' in entry && entry.value instanceof Uint8Array ? entry.value.length : 0
}

async function report(
  { output }: CommandContext,
  { files, older, passedOver }: ChosenFiles,
  load: MapLoad,
  way: Way,
): Promise<void> {
  const maps = files.map(({ map, path, header }) => ({
    map,
    file: path,
    type: header.type,
    timestamp: header.timestamp,
    item_count: header.itemCount,
    ...load.counts.get(map),
  }))
  const sum = (field: keyof MapCounts): number =>
    [...load.counts.values()].reduce((all, counts) => all + counts[field], 0)
  if (output.json)
    await output.document({ status: 'imported', way, maps, older, passed_over: passedOver })
  else
    await output.line(
      `imported ${counted(files.length, 'map')} in one commit: ${formatCount(sum('written'))} keys written, ` +
        `${formatCount(sum('unchanged'))} there already, ${formatCount(sum('removed'))} removed, ` +
        `${formatCount(sum('expired'))} expired`,
    )
  await output.flush()
  if (sum('lasting') > 0)
    output.note(
      `${counted(sum('lasting'), 'key')} of expiring maps have no expiry in their files: they stay until they are deleted`,
    )
  if (older.length > 0) output.note(`older, and not read: ${older.join(', ')}`)
  if (passedOver.length > 0) output.note(`passed over: ${passedOver.join(', ')}`)
}
