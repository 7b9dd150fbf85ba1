/** Looking at single entities of a restored dataset: are they there, are they as in the live one, can they be written. */
import { createHash, randomInt } from 'node:crypto'
import type { CallOptions } from '../store/backend.ts'
import type { Dataset } from '../engine/dataset.ts'
import { isCairnError, throwIfAborted, toCairnError } from '../errors.ts'
import { bytesEqual } from '../model/cid.ts'
import type { Entry } from '../model/entry.ts'
import { ifItAnswers, type DrillCheck } from './drill-check.ts'

export interface SampleOptions extends CallOptions {
  readonly sample: number
  /** The moment of the backup. */
  readonly at: number
}

export interface SampleResult {
  readonly checks: readonly DrillCheck[]
  readonly sampled: number
  readonly compared: number
}

export async function sampleChecks(
  restored: Dataset,
  live: Dataset | undefined,
  options: SampleOptions,
): Promise<SampleResult> {
  const entries = await randomEntries(restored, options)
  const linked = await hasLinkedTips(restored, options)
  const wrong: string[] = []
  let compared = 0
  for (const entry of entries) {
    try {
      const digest = linked ? await contentDigest(restored, entry, options) : undefined
      const found = live && (await compare(live, entry, digest, options))
      if (found === 'same') compared += 1
      if (found === 'different') wrong.push(`${entry.pi}: other than in the live dataset`)
    } catch (error) {
      throwIfAborted(options.signal)
      wrong.push(`${entry.pi}: ${toCairnError(error).message}`)
    }
  }
  const [first] = wrong
  return {
    checks: [
      {
        name: 'sample',
        ok: first === undefined,
        message:
          first === undefined
            ? `${entries.length} looked at, ${compared} compared with the live dataset`
            : `${wrong.length} of ${entries.length} wrong; the first is ${first}`,
      },
      await writeCheck(restored, entries[0], options),
    ],
    sampled: entries.length,
    compared,
  }
}

/** Places are drawn with repetition; what has expired since is passed over. */
async function randomEntries(
  dataset: Dataset,
  { sample, signal }: SampleOptions,
): Promise<Entry[]> {
  const { totalCount } = await dataset.list({ limit: 1, signal })
  const wanted = Math.min(sample, totalCount)
  const places =
    wanted === totalCount
      ? Array.from({ length: wanted }, (_, i) => i)
      : Array.from({ length: wanted }, () => randomInt(totalCount))
  const entries: Entry[] = []
  for (const offset of new Set(places)) {
    const { items } = await dataset.list({ offset, limit: 1, signal })
    entries.push(...items)
  }
  return entries
}

async function hasLinkedTips(dataset: Dataset, { signal }: CallOptions): Promise<boolean> {
  const { pointer } = await dataset.status({ signal })
  return pointer.settings.content === 'linked'
}

/** Of a value the reading is the proof: its block was hashed. Undefined for what is neither. */
async function contentDigest(
  dataset: Dataset,
  { tip }: Entry,
  { signal }: CallOptions,
): Promise<string | undefined> {
  if (tip === null) return undefined
  try {
    const content = await dataset.content(tip, { signal })
    if (content.kind === 'value') return 'value'
    const hash = createHash('sha256')
    for await (const part of content.bytes) hash.update(part)
    return hash.digest('hex')
  } catch (error) {
    // Such as a folder of UnixFS, whose blocks the restore has proved.
    if (isCairnError(error, 'invalid_content')) return undefined
    throw error
  }
}

/** `unknown`: it was changed since, and the live store no longer tells how it was. */
async function compare(
  live: Dataset,
  entry: Entry,
  digest: string | undefined,
  options: SampleOptions,
): Promise<'same' | 'different' | 'unknown'> {
  const { signal, at } = options
  const now = await ifItAnswers(() => live.get(entry.pi, { signal }), signal)
  let found = now
  if (!isSame(now, entry)) {
    found = await ifItAnswers(() => live.get(entry.pi, { at: { time: at }, signal }), signal)
    if (found === undefined || found.ver > entry.ver) return 'unknown'
    if (!isSame(found, entry)) return 'different'
  }
  if (digest === undefined) return 'same'
  const there = await ifItAnswers(() => contentDigest(live, entry, options), signal)
  return there === undefined ? 'unknown' : there === digest ? 'same' : 'different'
}

function isSame(a: Entry | undefined, b: Entry): boolean {
  if (a === undefined || a.tip === null || b.tip === null) return false
  return a.ver === b.ver && a.exp === b.exp && bytesEqual(a.tip, b.tip)
}

/** A restored dataset must take writes. */
async function writeCheck(
  dataset: Dataset,
  entry: Entry | undefined,
  { signal }: CallOptions,
): Promise<DrillCheck> {
  const name = 'write'
  try {
    const pi = entry?.pi ?? 'drill'
    if (entry === undefined) await dataset.put(pi, { drill: true }, { signal })
    else await dataset.append({ pi, tip: entry.tip }, { signal })
    const ver = (await dataset.get(pi, { signal }))?.ver
    const ok = ver === (entry?.ver ?? 0) + 1
    return { name, ok, message: ok ? 'a new version was written and read' : 'it was not kept' }
  } catch (error) {
    throwIfAborted(signal)
    return { name, ok: false, message: toCairnError(error).message }
  }
}
