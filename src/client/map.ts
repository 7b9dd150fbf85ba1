/**
 * A live map of a dataset: its keys are entities, and its writes take effect once, however often they have to
 * be sent (see write.ts). Values are JSON, or bytes. A key that has expired is not there.
 */
import { CairnClientError } from './error.ts'
import type {
  KeyItem,
  KeysFoundRecord,
  KeysPageRecord,
  KeysQuery,
  MapRecord,
  WrittenKeyRecord,
} from './live-records.ts'
import { readCalls, unlessMissing } from './reads.ts'
import type { Conditions } from './records.ts'
import type { CallOptions } from './transport.ts'
import { writeSafely, type Send, type Target, type WriteEntry } from './write.ts'
import { ifHeader, isLarge, wireEntry } from './writes.ts'

export interface SetOptions extends CallOptions {
  /** How long it lives; null: for good. Not given: as the map says. */
  readonly ttlMs?: number | null | undefined
  /** When it ends: RFC 3339, or milliseconds since 1970. */
  readonly exp?: string | number | undefined
}

export interface SetConditions extends SetOptions, Pick<Conditions, 'expect_ver' | 'expect_tip'> {}

type Range = Pick<KeysQuery, 'prefix' | 'order' | 'limit'>

export interface MapClient<T = unknown> {
  readonly name: string
  /** Proved by its hash. Undefined of what is not there. Links in a value are `{"/": CID}`. */
  readonly get: (key: string, options?: CallOptions) => Promise<T | undefined>
  readonly has: (key: string, options?: CallOptions) => Promise<boolean>
  /** Resolves when it is durable; a map that is not there is made. */
  readonly set: (key: string, value: T, options?: SetConditions) => Promise<WrittenKeyRecord>
  /** All or none of up to 9,999; one commit. */
  readonly setMany: (
    entries: Iterable<readonly [string, T]> | Readonly<Record<string, T>>,
    options?: SetOptions,
  ) => Promise<readonly WrittenKeyRecord[]>
  /** False of what is not there. */
  readonly delete: (key: string, options?: CallOptions) => Promise<boolean>
  /** In the order of keys, page by page: a key that is set meanwhile may be among them or not. */
  readonly entries: (query?: Range, options?: CallOptions) => AsyncGenerator<[string, T], undefined>
  readonly keys: (query?: Range, options?: CallOptions) => AsyncGenerator<string, undefined>
  /** Undefined where there is no such map. */
  readonly info: (options?: CallOptions) => Promise<MapRecord | undefined>
  /** Makes it, or changes how long keys live that are set from now on. */
  readonly setTtl: (ttlMs: number | null, options?: CallOptions) => Promise<MapRecord>
  /** The map and all its keys, all or none; how many they were. */
  readonly remove: (options?: CallOptions) => Promise<number>
}

const PAGE = 1000
/** So many keys are asked for at once. */
const MAX_READ = 1000
const PATIENCE_MS = 60_000

export function mapClient<T = unknown>(target: Target, name: string): MapClient<T> {
  const { http } = target
  const path = mapPath(target.place, name)
  const reads = readCalls(target)
  const prefix = itemPrefix(name)
  const idOf = (key: string): string => `${prefix}${key}`
  const keyOf = (id: string): string => id.slice(prefix.length)
  const read = <R>(of: string, query: KeysQuery, { signal }: CallOptions = {}): Promise<R> =>
    http.json<R>({ method: 'GET', path: of, query: { ...query }, retry: 'always', signal })

  const get = async (key: string, { signal }: CallOptions = {}): Promise<T | undefined> => {
    const content = await reads.content(idOf(key), { signal })
    if (content === undefined || content.kind === 'value') return content?.value as T | undefined
    return new Uint8Array(await new Response(content.bytes).arrayBuffer()) as T
  }

  const versionsOf = async (
    ids: readonly string[],
    { signal }: CallOptions,
  ): Promise<Map<string, number>> => {
    const versions = new Map(ids.map((id) => [id, 0]))
    const keys = ids.map(keyOf)
    for (let i = 0; i < keys.length; i += MAX_READ) {
      const json = { keys: keys.slice(i, i + MAX_READ), values: false }
      const call = { method: 'POST', path: `${path}/read`, json, retry: 'always', signal } as const
      for (const { key, ver } of (await http.json<KeysFoundRecord>(call)).items)
        versions.set(idOf(key), ver)
    }
    return versions
  }

  const sendTo =
    (ttlMs: number | undefined, { signal }: CallOptions): Send =>
    async (numbered) => {
      const entries = await Promise.all(
        numbered.map(async (one) => {
          const { pi, ...entry } = await wireEntry(one)
          return { key: keyOf(pi), ...entry }
        }),
      )
      const json = { entries, ttl_ms: ttlMs }
      const call = { method: 'POST', path: `${path}/keys`, json, retry: 'always', signal } as const
      const answer = await http.json<{ entries: readonly WrittenKeyRecord[] }>(call)
      return answer.entries.map(({ key, ...one }) => ({ pi: idOf(key), ...one }))
    }

  /** Bytes as the body, with what is asked for beside them. */
  const sendBody =
    (ttlMs: number | undefined, { signal }: CallOptions): Send =>
    async ([entry]) => {
      const { pi = '', bytes, ver, expect_ver, expect_tip, exp } = entry ?? {}
      const expires = exp === null ? 'never' : exp
      const { key: _, ...written } = await http.json<WrittenKeyRecord>({
        method: 'PUT',
        path: keyPath(path, keyOf(pi)),
        query: { ttl_ms: ttlMs, expires, ver, expect_ver },
        headers: ifHeader(expect_tip),
        body: bytes,
        type: 'application/octet-stream',
        retry: 'always',
        signal,
      })
      return [{ pi, ...written }]
    }

  const write = async (
    entries: readonly WriteEntry[],
    { ttlMs, signal }: SetOptions,
  ): Promise<readonly WrittenKeyRecord[]> => {
    if (entries.length === 0) return []
    // For good: a time of its own, as it stands in the entry.
    const [given, ttl] =
      ttlMs === null ? [entries.map((one) => ({ ...one, exp: null })), undefined] : [entries, ttlMs]
    const large = given.length === 1 && given.some(isLarge)
    const send = large ? sendBody(ttl, { signal }) : sendTo(ttl, { signal })
    const written = await writeSafely(target, given, send, { signal, versionsOf })
    return written.map(({ pi, ...one }) => ({ key: keyOf(pi), ...one }))
  }

  async function* items(
    values: boolean,
    range: Range = {},
    options?: CallOptions,
  ): AsyncGenerator<KeyItem, undefined> {
    const query = { limit: PAGE, ...range, values }
    let cursor: string | null | undefined
    do {
      const asked = { ...query, cursor: cursor ?? undefined }
      const page = await unlessMissing(read<KeysPageRecord>(`${path}/keys`, asked, options))
      yield* page?.items ?? []
      cursor = page?.next_cursor ?? null
    } while (cursor !== null)
  }

  async function* entries(
    range?: Range,
    options?: CallOptions,
  ): AsyncGenerator<[string, T], undefined> {
    for await (const { key, ...item } of items(true, range, options)) {
      // What is too large for a page is read by itself; it may be gone by then.
      const isHere = 'value' in item || item.bytes !== undefined
      const value = isHere ? held(item) : await get(key, options)
      if (value !== undefined) yield [key, value as T]
    }
  }

  async function* keys(range?: Range, options?: CallOptions): AsyncGenerator<string, undefined> {
    for await (const { key } of items(false, range, options)) yield key
  }

  return {
    name,
    get,
    has: (key, { signal } = {}) => reads.has(idOf(key), { signal }),
    set: async (key, value, { expect_ver, expect_tip, exp, ...options } = {}) => {
      const conditions = { expect_ver, expect_tip, exp }
      const entry = entryOf(idOf(key), value, conditions)
      const [written] = await write([entry], options)
      if (written !== undefined) return written
      throw new CairnClientError('The answer tells of no key.', { code: 'bad_answer' })
    },
    setMany: (entries, { exp, ...options } = {}) =>
      write(
        pairsOf(entries).map(([key, value]) => entryOf(idOf(key), value, { exp })),
        options,
      ),
    delete: async (key, { signal } = {}) => {
      if (!(await reads.has(idOf(key), { signal }))) return false
      await write([{ pi: idOf(key), tip: null }], { signal })
      return true
    },
    entries,
    keys,
    info: (options) => unlessMissing(read<MapRecord>(path, {}, options)),
    setTtl: (ttlMs, { signal } = {}) =>
      http.json({ method: 'PUT', path, json: { ttl_ms: ttlMs }, retry: 'always', signal }),
    remove: async ({ signal } = {}) => {
      const call = {
        method: 'DELETE',
        path,
        retry: 'always',
        patienceMs: PATIENCE_MS,
        signal,
      } as const
      return (await unlessMissing(http.json<{ deleted: number }>(call)))?.deleted ?? 0
    },
  }
}

/** What the ids of its keys begin with; as src/live/layout.ts has it. */
export const itemPrefix = (name: string): string =>
  `map/${name.replaceAll('%', '%25').replaceAll('/', '%2F')}/`

/** An address cannot hold "." and "..": they would be taken for steps of the path, also when escaped. */
function segment(text: string, what: string): string {
  if (text !== '.' && text !== '..') return encodeURIComponent(text)
  throw new CairnClientError(`A ${what} "${text}" cannot be asked for by its address.`, {
    code: 'usage',
    hint: 'Take another name.',
  })
}

const mapPath = (place: string, name: string): string => `${place}/maps/${segment(name, 'map')}`
const keyPath = (path: string, key: string): string =>
  `${path}/keys/${segment(key, 'key of large bytes')}`

function entryOf(
  pi: string,
  value: unknown,
  conditions: Omit<Conditions, 'ver' | 'ts'>,
): WriteEntry {
  const isBytes = value instanceof Uint8Array || value instanceof Blob
  return isBytes ? { pi, bytes: value, ...conditions } : { pi, value, ...conditions }
}

function pairsOf<T>(
  entries: Iterable<readonly [string, T]> | Readonly<Record<string, T>>,
): (readonly [string, T])[] {
  return Symbol.iterator in entries ? [...entries] : Object.entries(entries)
}

function held({ value, bytes }: Pick<KeyItem, 'value' | 'bytes'>): unknown {
  if (bytes === undefined) return value
  return Uint8Array.from(atob(bytes), (char) => char.charCodeAt(0))
}
