/**
 * Writing keys of a map. Its record says how long keys live that are given no time; a map without one gets
 * it in the commit of its first key.
 */
import type { AppendEntry } from '../../engine/draft.ts'
import type { Dataset, WrittenEntry } from '../../engine/dataset.ts'
import type { ImportEntry } from '../../engine/import-entry.ts'
import { CairnError, isCairnError } from '../../errors.ts'
import { mapRecord, recordId, type MapRecord } from '../../live/layout.ts'
import { readRecord } from '../../live/load.ts'
import { requireLinked } from '../../live/require-linked.ts'

interface Calls {
  readonly signal?: AbortSignal | undefined
}

/** As often another request may make or delete the map in between. */
const MAX_ROUNDS = 20

/** All or none of what `make` gives, with the record where the map has none. Resolves when it is durable. */
export async function writeKeys(
  dataset: Dataset,
  name: string,
  make: (record: MapRecord) => readonly ImportEntry[],
  options: Calls = {},
): Promise<WrittenEntry[]> {
  await requireLinked(dataset, options)
  for (let round = 1; ; round++) {
    const found = await readRecord(dataset, name)
    const record = found ?? mapRecord(name, null)
    const entries = make(record)
    const isNew = found === undefined && entries.some((one) => 'value' in one)
    const batch = isNew ? [...entries, recordEntry(name, record)] : entries
    try {
      const written = await dataset.writeBatch(batch, options)
      if (found !== undefined) await keepRecord(dataset, name, record, options)
      return written.slice(0, entries.length)
    } catch (error) {
      if (!isNew || round === MAX_ROUNDS || !isAboutRecord(error, name)) throw error
    }
  }
}

/** Before a value that can be read only once, and so cannot be tried again with its record. */
export async function ensureMapRecord(
  dataset: Dataset,
  name: string,
  options: Calls = {},
): Promise<void> {
  await requireLinked(dataset, options)
  await keepRecord(dataset, name, mapRecord(name, null), options)
}

/** A map may have been deleted while a key of it was written: the key, which is there, keeps its map. */
async function keepRecord(
  dataset: Dataset,
  name: string,
  record: MapRecord,
  options: Calls,
): Promise<void> {
  if ((await dataset.get(recordId(name), options)) !== undefined) return
  try {
    await dataset.writeBatch([recordEntry(name, record)], options)
  } catch (error) {
    // Somebody else has made it.
    if (!isAboutRecord(error, name)) throw error
  }
}

const recordEntry = (name: string, record: MapRecord): ImportEntry => ({
  pi: recordId(name),
  value: record,
  expectTip: null,
})

const isAboutRecord = (error: unknown, name: string): boolean =>
  isCairnError(error, 'conflict') && error.details['pi'] === recordId(name)

/**
 * Of a write that names its version and is there already: when that one ends. A repetition keeps it, since it
 * is the same write, however much later a time that is counted from now would be.
 */
export async function endOfSame(
  dataset: Dataset,
  { pi, ver, expectVer }: Pick<AppendEntry, 'pi' | 'ver' | 'expectVer'>,
  options: Calls = {},
): Promise<number | null | undefined> {
  const own = ver ?? (expectVer === undefined ? undefined : expectVer + 1)
  if (own === undefined) return undefined
  const entry = await dataset.get(pi, options)
  return entry?.ver === own ? entry.exp : undefined
}

export interface AskedTime {
  readonly ttlMs?: number | null | undefined
  readonly exp?: number | null | undefined
  /** Of the same write, which came before. */
  readonly same?: number | null | undefined
}

/** When a key ends that is set now; undefined where nobody has asked for an end. */
export function expiryOf(
  { ttl_ms: own }: MapRecord,
  { ttlMs, exp, same }: AskedTime,
  now: number,
): number | null | undefined {
  if (exp !== undefined && ttlMs !== undefined) {
    throw new CairnError('usage', 'A key has one end, and two were given.', {
      hint: 'Give ttl_ms, or the time at which it ends.',
    })
  }
  if (exp !== undefined) return exp
  if (same !== undefined) return same
  if (ttlMs === null) return null
  const ttl = ttlMs ?? own
  return ttl === null ? undefined : Math.min(now + ttl, Number.MAX_SAFE_INTEGER)
}
