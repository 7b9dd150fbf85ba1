/** `cairn export --layout radish`: the live maps of one state as readable files, one for each. */
import type { Dataset } from '../engine/dataset.ts'
import type { At } from '../engine/time.ts'
import { CairnError, throwIfAborted } from '../errors.ts'
import {
  ITEMS_PREFIX,
  itemId,
  itemPrefix,
  mapRecord,
  parseItemId,
  parseMapName,
  parseMapRecord,
  parseRecordId,
  RECORDS_PREFIX,
  type MapRecord,
} from '../live/layout.ts'
import { CODEC_DAG_PB, cidParts, printCid, type CidBytes } from '../model/cid.ts'
import type { Entry } from '../model/entry.ts'
import { headerOf, type FileHeader } from '../radish/format.ts'
import { fileName } from '../radish/names.ts'
import { matchesGlob } from '../util/glob.ts'
import { printFile, type PrintedItem } from '../radish/print-file.ts'
import {
  atKey,
  MAX_VALUE_BYTES,
  printBytes,
  printValue,
  tooLarge,
  type PrintedValue,
} from '../radish/value.ts'
import { readDataset, type CommandContext } from './command.ts'
import { counted } from './format.ts'
import { momentOf } from './moment.ts'
import { NewFiles, type WrittenFile } from './new-files.ts'

/** Contents that are read ahead. */
const WIDTH = 32
/** The first id behind those of keys and of records. */
const BEHIND = `${RECORDS_PREFIX.slice(0, -1)}0`

/** Options of other layouts. */
const NOT_HERE = ['--values', '--force', '--prefix', '--from', '--to']

interface MapPlan {
  readonly name: string
  readonly record: MapRecord
  readonly items: number
}

export async function exportRadish(context: CommandContext): Promise<void> {
  const { options } = context
  const folder = options.text('--out')
  const strange = NOT_HERE.find((flag) => options.has(flag))
  if (strange !== undefined || folder === undefined || folder === '-') {
    const what = strange === undefined ? 'needs --out with a folder' : `does not go with ${strange}`
    throw new CairnError('usage', `--layout radish ${what}.`, {
      hint: 'For example: cairn export --layout radish --out backups/json',
    })
  }
  await readDataset(context, async (dataset) => {
    const state = await fixedState(dataset, momentOf(options), context.signal)
    const writer = new MapWriter(dataset, state, context)
    const maps = await writer.plan()
    const files = await NewFiles.begin(folder)
    try {
      const headers: FileHeader[] = []
      for (const map of maps) headers.push(await writer.write(map, files))
      await report(context, folder, headers, maps, await files.publish())
    } finally {
      await files.drop()
    }
  })
}

/** One state to read of, however often, and by when its keys are judged. */
interface FixedState {
  readonly at: At
  /** When the files were made. */
  readonly now: number
  /** Whether what has expired since that state's commit is left out: it is the current one. */
  readonly current: boolean
}

/** A moment that means one state now and another later is tied to the one that it means now. */
async function fixedState(
  dataset: Dataset,
  at: At | undefined,
  signal: AbortSignal,
): Promise<FixedState> {
  const now = Date.now()
  if (at?.commit !== undefined) return { at, now, current: false }
  if (at?.snapshot !== undefined) {
    const { cid } = await dataset.snapshot(at.snapshot, { signal })
    return { at: { snapshot: printCid(cid) }, now, current: false }
  }
  const { commit } = await dataset.pointer({ signal })
  if (at?.time !== undefined && at.time < commit.ts) return { at, now, current: false }
  return { at: { commit: commit.number }, now, current: at === undefined }
}

class MapWriter {
  readonly #dataset: Dataset
  readonly #state: FixedState
  readonly #context: CommandContext
  #done = 0
  #total = 0

  constructor(dataset: Dataset, state: FixedState, context: CommandContext) {
    this.#dataset = dataset
    this.#state = state
    this.#context = context
  }

  /** The maps that are asked for, in the order of their ids. */
  async plan(): Promise<MapPlan[]> {
    const counts = new Map<string, number>()
    const records = new Map<string, CidBytes>()
    for await (const { pi, tip } of this.#entries({ from: ITEMS_PREFIX, to: BEHIND })) {
      const item = keyOfMap(pi)
      if (item !== undefined) counts.set(item.name, (counts.get(item.name) ?? 0) + 1)
      const name = parseRecordId(pi)
      if (name === undefined || tip === null || !isMapName(name)) continue
      if (!counts.has(name)) counts.set(name, 0)
      records.set(name, tip)
    }
    const maps: MapPlan[] = []
    for (const [name, items] of counts) {
      if (!this.#isWanted(name)) continue
      const record = await this.#record(name, records.get(name))
      maps.push({ name, record, items })
      this.#total += items
    }
    if (maps.length > 0) return maps
    throw new CairnError('not_found', `The dataset "${this.#dataset.name}" has no such map.`, {
      hint:
        counts.size === 0
          ? 'No live map is in it: choose another dataset (-d).'
          : `It has ${counted(counts.size, 'map')}; see --map and --exclude.`,
    })
  }

  async write(map: MapPlan, files: NewFiles): Promise<FileHeader> {
    const header = headerOf(map.name, map.record, { ms: this.#state.now, itemCount: map.items })
    await files.write((nth) => fileName(header, nth), printFile(header, this.#items(map)))
    return header
  }

  #isWanted(name: string): boolean {
    const { options } = this.#context
    const fits = (glob: string): boolean => matchesGlob(glob, name)
    const maps = options.texts('--map')
    return (
      (maps === undefined || maps.some(fits)) && options.texts('--exclude')?.some(fits) !== true
    )
  }

  async #record(name: string, tip: CidBytes | undefined): Promise<MapRecord> {
    if (tip === undefined) return mapRecord(name, null)
    const content = await this.#dataset.content(tip, { signal: this.#context.signal })
    return parseMapRecord(content.kind === 'value' ? content.value : undefined, name)
  }

  async *#entries(range: {
    readonly from?: string
    readonly to?: string
    readonly prefix?: string
  }): AsyncGenerator<Entry> {
    const { at, now, current } = this.#state
    const { signal } = this.#context
    for await (const entry of this.#dataset.entries({ order: 'asc', ...range, at, signal })) {
      throwIfAborted(signal)
      if (!current || entry.exp === null || entry.exp > now) yield entry
    }
  }

  async *#items({ name, items }: MapPlan): AsyncGenerator<PrintedItem> {
    const ahead: { readonly entry: Entry; readonly value: Promise<PrintedValue> | undefined }[] = []
    let count = 0
    const take = async (): Promise<PrintedItem | undefined> => {
      const first = ahead.shift()
      if (first === undefined) return undefined
      const { entry, value } = first
      const key = keyOfMap(entry.pi)?.key ?? ''
      try {
        return { key, value: await (value ?? this.#value(entry.tip)), exp: entry.exp }
      } catch (error) {
        throw atKey(error, name, key)
      }
    }
    for await (const entry of this.#entries({ prefix: itemPrefix(name) })) {
      // Of files, which are large, one at a time is read.
      const value = isFile(entry.tip) ? undefined : this.#value(entry.tip)
      value?.catch(() => undefined)
      ahead.push({ entry, value })
      count += 1
      this.#tell()
      const item = ahead.length < WIDTH ? undefined : await take()
      if (item !== undefined) yield item
    }
    for (let item = await take(); item !== undefined; item = await take()) yield item
    if (count !== items)
      throw new CairnError('internal', `map "${name}": ${count} keys of ${items}`)
  }

  #tell(): void {
    this.#done += 1
    if (this.#done % 1000 > 0) return
    this.#context.progress.update({ step: 'export', done: this.#done, total: this.#total })
  }

  async #value(tip: CidBytes | null): Promise<PrintedValue> {
    if (tip === null) throw new CairnError('internal', 'a deleted key is exported')
    const content = await this.#dataset.content(tip, { signal: this.#context.signal })
    if (content.kind === 'value') return printValue(tip, content.value)
    const parts: Uint8Array[] = []
    let size = 0
    for await (const part of content.bytes) {
      size += part.length
      if (size > MAX_VALUE_BYTES) throw tooLarge()
      parts.push(part)
    }
    return printBytes(Buffer.concat(parts))
  }
}

function isFile(tip: CidBytes | null): boolean {
  if (tip === null) return false
  const { codec } = cidParts(tip)
  return codec === CODEC_DAG_PB
}

function isMapName(name: string): boolean {
  try {
    parseMapName(name)
    return true
  } catch {
    return false
  }
}

/** Undefined for an entity that is no key of a map, whatever its id looks like. */
function keyOfMap(pi: string): { readonly name: string; readonly key: string } | undefined {
  const item = parseItemId(pi)
  if (item === undefined || !isMapName(item.name)) return undefined
  return itemId(item.name, item.key) === pi ? item : undefined
}

async function report(
  { output }: CommandContext,
  folder: string,
  headers: readonly FileHeader[],
  maps: readonly MapPlan[],
  written: readonly WrittenFile[],
): Promise<void> {
  const files = written.map(({ path, bytes }, i) => ({
    file: path,
    map: maps[i]?.name,
    type: headers[i]?.type,
    item_count: headers[i]?.itemCount,
    bytes,
  }))
  if (output.json) await output.document({ status: 'exported', folder, files })
  else for (const { file } of files) await output.line(file)
  await output.flush()
  const items = maps.reduce((sum, map) => sum + map.items, 0)
  output.note(`exported ${counted(maps.length, 'map')} with ${counted(items, 'key')}`)
}
