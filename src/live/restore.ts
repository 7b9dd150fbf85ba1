/**
 * Bringing maps back from another moment of their dataset, or from another store: what they were then is
 * appended again, in one commit, so that history goes on and the restore can itself be undone.
 */
import type { Dataset } from '../engine/dataset.ts'
import type { ImportEntry } from '../engine/import-entry.ts'
import type { At } from '../engine/time.ts'
import { CairnError, isCairnError } from '../errors.ts'
import { sameCid } from '../model/cid.ts'
import { keyOf } from '../model/entity-id.ts'
import { isExpired, type Entry } from '../model/entry.ts'
import {
  ITEMS_PREFIX,
  itemId,
  itemPrefix,
  parseMapName,
  recordId,
  RECORDS_PREFIX,
} from './layout.ts'
import { readValue } from './load.ts'

export interface MapsSource {
  readonly dataset: Dataset
  /** Now, unless given. */
  readonly at?: At | undefined
}

export interface RestoreMapsOptions {
  /** All of them unless given. */
  readonly maps?: readonly string[] | undefined
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly signal?: AbortSignal | undefined
}

export interface RestoredMaps {
  /** Keys that were set again, and keys that were not there then and are deleted. */
  readonly set: number
  readonly deleted: number
}

/**
 * Both moments are compared while the dataset is reserved: what others write comes before all of it or after
 * all of it, so no write that was acknowledged is undone in part. Where something is set or deleted, that is a
 * snapshot of its own.
 */
export async function restoreMaps(
  dataset: Dataset,
  source: MapsSource,
  options: RestoreMapsOptions,
): Promise<RestoredMaps> {
  const { maps, signal } = options
  if (maps !== undefined) await checkThere(source, maps, signal)
  const restored = { set: 0, deleted: 0 }
  async function* changes(): AsyncGenerator<ImportEntry> {
    for await (const { pi, wanted } of differencesOf(dataset, source, options)) {
      restored[wanted === undefined ? 'deleted' : 'set'] += 1
      yield wanted === undefined ? { pi, tip: null } : entryOf(dataset, source, pi, wanted, signal)
    }
  }
  await dataset.bulkLoad(changes(), { signal, reason: 'restore of maps' })
  return restored
}

/** Sets a key as it was last, if it is gone and the log tells; false where there is nothing to bring back. */
export async function undelete(
  dataset: Dataset,
  name: string,
  key: string,
  { now, signal }: Pick<RestoreMapsOptions, 'now' | 'signal'>,
): Promise<boolean> {
  const pi = itemId(parseMapName(name), key)
  if ((await dataset.get(pi, { signal })) !== undefined) return false
  for await (const { entry } of dataset.history(pi, { signal })) {
    if (entry.tip === null) continue
    const exp = isExpired(entry.exp, now()) ? null : entry.exp
    return appendIfGone(dataset, { pi, tip: entry.tip, exp }, signal)
  }
  return false
}

/** False where somebody has set it meanwhile: what he wrote stays. */
async function appendIfGone(
  dataset: Dataset,
  entry: Pick<Entry, 'pi' | 'tip' | 'exp'>,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    const { status } = await dataset.append({ ...entry, expectTip: null }, { signal })
    return status === 'appended'
  } catch (error) {
    if (isCairnError(error, 'conflict') && error.details['pi'] === entry.pi) return false
    throw error
  }
}

interface Range {
  readonly prefix: string
  readonly to?: string
}

function rangesOf(given: string): Range[] {
  const name = parseMapName(given)
  // Other names may begin with this one: its record is one id.
  return [{ prefix: itemPrefix(name) }, { prefix: recordId(name), to: `${recordId(name)}\u0000` }]
}

async function checkThere(
  { dataset, at }: MapsSource,
  maps: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const name of maps) {
    if ((await dataset.get(recordId(parseMapName(name)), { at, signal })) !== undefined) continue
    throw new CairnError('not_found', `There was no map "${name.slice(0, 100)}" at that moment.`, {
      hint: 'Look for another moment, or another backup; nothing was changed.',
      map: name,
    })
  }
}

const entriesOf = (
  { dataset, at }: MapsSource,
  range: Range,
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry> => dataset.entries({ ...range, order: 'asc', at, signal })

interface Difference {
  readonly pi: string
  /** Undefined: it was not there then. */
  readonly wanted: Entry | undefined
}

async function* differencesOf(
  dataset: Dataset,
  source: MapsSource,
  { maps, now, signal }: RestoreMapsOptions,
): AsyncGenerator<Difference> {
  const all = [{ prefix: ITEMS_PREFIX }, { prefix: RECORDS_PREFIX }]
  for (const range of maps?.flatMap(rangesOf) ?? all) {
    const [is, was] = [entriesOf({ dataset }, range, signal), entriesOf(source, range, signal)]
    yield* differences(is, was, now())
  }
}

/** Both come in the order of ids. */
async function* differences(
  now: AsyncGenerator<Entry>,
  then: AsyncGenerator<Entry>,
  moment: number,
): AsyncGenerator<Difference> {
  const next = async (of: AsyncGenerator<Entry>): Promise<Entry | undefined> => {
    for (;;) {
      const { value, done } = await of.next()
      if (done === true) return undefined
      if (!isExpired(value.exp, moment)) return value
    }
  }
  let [a, b] = [await next(now), await next(then)]
  while (a !== undefined || b !== undefined) {
    const order = orderOf(a, b)
    const [before, wanted] = [order <= 0 ? a : undefined, order >= 0 ? b : undefined]
    const same =
      before !== undefined &&
      wanted !== undefined &&
      sameCid(before.tip, wanted.tip) &&
      before.exp === wanted.exp
    if (!same) yield { pi: (before ?? wanted)?.pi ?? '', wanted }
    if (order <= 0) a = await next(now)
    if (order >= 0) b = await next(then)
  }
}

/** Below 0: the first comes before the second; who has no more comes last. */
function orderOf(a: Entry | undefined, b: Entry | undefined): number {
  if (a === undefined || b === undefined) return a === undefined ? 1 : -1
  const [one, other] = [keyOf(a.pi), keyOf(b.pi)]
  return one === other ? 0 : one < other ? -1 : 1
}

async function entryOf(
  dataset: Dataset,
  source: MapsSource,
  pi: string,
  { tip, exp }: Entry,
  signal: AbortSignal | undefined,
): Promise<ImportEntry> {
  if (source.dataset === dataset || tip === null) return { pi, tip, exp }
  return { pi, value: await readValue(source.dataset, tip, signal), exp }
}
