/**
 * Writes that may be sent again. What makes a repetition safe is its version: the service takes a version of
 * an entity once, answers `already` to the same one with the same content, and refuses any other (the rule is
 * that of `judge` in src/engine/draft.ts). So a write that names no version gets the next one from here,
 * before it is sent, and every attempt is the same request.
 *
 * A refusal as `conflict` means one of two things:
 *   no attempt was lost       somebody else was faster, and nothing was written: the next version is tried
 *   an attempt was lost       it may have been ours that was there first, and others came after it: the
 *                             history says whose version it is
 *
 * Versions only go up, so an attempt that is still under way somewhere can do no harm later.
 */
import { sameBytes } from './cid.ts'
import { readContent } from './content.ts'
import { isClientError, withUncertain, type CairnClientError } from './error.ts'
import type { BatchEntry, Conditions, EntryRecord, LoggedRecord, WrittenRecord } from './records.ts'
import { pause } from './retry.ts'
import { entityPath } from './paths.ts'
import type { CallOptions, Transport } from './transport.ts'

/** One of tip (null deletes), value (JSON) and bytes. */
export interface WriteEntry extends Omit<BatchEntry, 'bytes'> {
  readonly bytes?: Uint8Array | Blob | undefined
}

export interface Target {
  readonly http: Transport
  /** The path of the dataset. */
  readonly place: string
}

export type Send = (entries: readonly WriteEntry[]) => Promise<readonly WrittenRecord[]>

/** As often somebody else may be faster. */
const MAX_ROUNDS = 100
/** So many requests at a time. */
const AT_ONCE = 8

export interface SafeOptions extends CallOptions {
  /** The versions of entities, where there is a shorter way than to ask for one after the other. */
  readonly versionsOf?: (
    ids: readonly string[],
    options: CallOptions,
  ) => Promise<Map<string, number>>
}

/** Sends `entries` until they are written once. All of them are, or none. */
export async function writeSafely(
  target: Target,
  entries: readonly WriteEntry[],
  send: Send,
  options: SafeOptions,
): Promise<readonly WrittenRecord[]> {
  // What is sent once needs no version.
  if (target.http.policy.retries === 0) return send(entries)
  const versions = await readVersions(target, entries, options)
  for (let round = 1; ; round++) {
    const numbered = withVersions(entries, versions)
    try {
      return await send(numbered)
    } catch (error) {
      if (!isClientError(error, 'conflict')) throw error
      const [refused, written] = await settle(target, numbered, error, options)
      if (written !== undefined) return written
      const moved = movedOn(entries, refused)
      if (refused.uncertain || moved === undefined || round === MAX_ROUNDS) throw refused
      versions.set(moved.pi, moved.ver)
      await pause(target.http.policy.random() * Math.min(round, 10) * 5, options.signal)
    }
  }
}

/** What the service is to find out: a version was not given, and cannot be worked out. */
const needsVersion = ({ ver, expect_ver }: Conditions): boolean =>
  ver === undefined && expect_ver === undefined

/** Of what is deleted, or was never there, 0; the first refusal tells what it is. */
async function readVersions(
  { http, place }: Target,
  entries: readonly WriteEntry[],
  { signal, versionsOf }: SafeOptions,
): Promise<Map<string, number>> {
  const ids = new Set(entries.filter(needsVersion).map(({ pi }) => pi))
  if (versionsOf !== undefined && ids.size > 0) return versionsOf([...ids], { signal })
  const found = await eachOf([...ids], async (pi): Promise<[string, number]> => {
    try {
      const call = { method: 'GET', path: entityPath(place, pi), retry: 'always', signal } as const
      return [pi, (await http.json<EntryRecord>(call)).ver]
    } catch (error) {
      if (isClientError(error, 'not_found')) return [pi, 0]
      throw error
    }
  })
  return new Map(found)
}

/** Several entries of one entity get one version after the other. */
function withVersions(
  entries: readonly WriteEntry[],
  versions: ReadonlyMap<string, number>,
): readonly WriteEntry[] {
  const last = new Map(versions)
  return entries.map((entry) => {
    const { pi, expect_ver } = entry
    const ver = entry.ver ?? (expect_ver ?? last.get(pi) ?? 0) + 1
    last.set(pi, ver)
    return needsVersion(entry) ? { ...entry, ver } : entry
  })
}

/** The version of who was faster; undefined where the refusal is about what the caller has asked for. */
function movedOn(
  entries: readonly WriteEntry[],
  { details }: CairnClientError,
): { pi: string; ver: number } | undefined {
  const { pi, current_ver: ver, current_tip: tip } = details
  if (typeof pi !== 'string' || typeof ver !== 'number') return undefined
  const own = entries.filter((one) => one.pi === pi)
  const [first] = own
  if (first === undefined || !own.every(needsVersion)) return undefined
  return first.expect_tip === undefined || first.expect_tip === tip ? { pi, ver } : undefined
}

/** After a conflict: what was written after all, or the refusal, which now says what is certain. */
async function settle(
  target: Target,
  entries: readonly WriteEntry[],
  refused: CairnClientError,
  options: CallOptions,
): Promise<[CairnClientError, WrittenRecord[]?]> {
  if (!refused.uncertain && !hasRepeats(entries)) return [refused]
  const found = await eachOf(entries, (entry) => findWritten(target, entry, options))
  // All or none: one version that is another's, and none of ours was written.
  if (found.includes('other')) return [withUncertain(refused, false)]
  const written = found.filter((one) => typeof one === 'object')
  return written.length === entries.length ? [refused, written] : [refused]
}

/** Of such a batch the older versions are refused also when the whole batch comes twice. */
const hasRepeats = (entries: readonly WriteEntry[]): boolean =>
  new Set(entries.map(({ pi }) => pi)).size < entries.length

type Found = WrittenRecord | 'other' | 'unknown'

async function findWritten(
  target: Target,
  entry: WriteEntry,
  { signal }: CallOptions,
): Promise<Found> {
  const ver = entry.ver ?? (entry.expect_ver ?? 0) + 1
  const items = await historyOf(target, entry.pi, signal)
  const item = items.find((one) => one.ver === ver)
  // A later one alone: the log is not kept so far back, or the version was passed over.
  if (item === undefined) return (items[0]?.ver ?? 0) < ver ? 'other' : 'unknown'
  const same =
    sameTime(entry.exp, item.exp) &&
    (await isContent(target, entry, item.tip, signal).catch(() => 'unknown' as const))
  if (same !== true) return same === 'unknown' ? 'unknown' : 'other'
  const { pi, tip, position } = item
  return { pi, ver, tip, position, status: 'already' }
}

async function historyOf(
  { http, place }: Target,
  pi: string,
  signal: AbortSignal | undefined,
): Promise<readonly LoggedRecord[]> {
  const path = `${entityPath(place, pi)}/history`
  try {
    const query = { limit: 1000 }
    const call = { method: 'GET', path, query, retry: 'always', signal } as const
    return (await http.json<{ items: readonly LoggedRecord[] }>(call)).items
  } catch (error) {
    if (isClientError(error, 'not_found')) return []
    throw error
  }
}

function sameTime(wanted: Conditions['exp'], found: EntryRecord['exp']): boolean {
  const ms = (time: string | number): number => (typeof time === 'number' ? time : Date.parse(time))
  if (wanted === undefined || wanted === null || found === null)
    return wanted === undefined || wanted === found
  return ms(wanted) === ms(found)
}

async function isContent(
  { http, place }: Target,
  entry: WriteEntry,
  tip: string | null,
  signal: AbortSignal | undefined,
): Promise<boolean | 'unknown'> {
  if (entry.tip !== undefined) return entry.tip === tip
  if (tip === null) return false
  const content = await readContent(http, place, tip, { signal })
  if (entry.bytes !== undefined)
    return content.kind === 'bytes' && sameParts(entry.bytes, content.bytes)
  const text = JSON.stringify(entry.value)
  if (content.kind === 'value' && sameJson(JSON.parse(text), content.value)) return true
  // Links and bytes may be written in several ways.
  return text.includes('"/"') ? 'unknown' : false
}

async function sameParts(
  bytes: Uint8Array | Blob,
  stream: ReadableStream<Uint8Array>,
): Promise<boolean> {
  const blob = bytes instanceof Blob ? bytes : new Blob([new Uint8Array(bytes)])
  const reader = stream.getReader()
  let at = 0
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    const own = await blob.slice(at, at + next.value.length).arrayBuffer()
    at += next.value.length
    if (sameBytes(new Uint8Array(own), next.value)) continue
    await reader.cancel()
    return false
  }
  return at === blob.size
}

function sameJson(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null)
    return typeof b === 'bigint' ? Number(b) === a : a === b
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [mine, theirs] = [Object.entries(a), new Map(Object.entries(b))]
  return (
    mine.length === theirs.size &&
    mine.every(([key, value]) => theirs.has(key) && sameJson(value, theirs.get(key)))
  )
}

/** In the order of `items`, some at a time. */
async function eachOf<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const queue = items.entries()
  const worker = async (): Promise<void> => {
    for (const [i, item] of queue) results[i] = await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker))
  return results
}
