/** What only reads: entities, the log, snapshots, where a dataset stands. */
import { readBlock, readContent, readEntityContent, type Content } from './content.ts'
import type {
  AutomationRecord,
  CoverageRecord,
  SamplesQuery,
  SamplesRecord,
} from './care-records.ts'
import { isClientError } from './error.ts'
import { readLines } from './lines.ts'
import { entityPath } from './paths.ts'
import type {
  ChangeRecord,
  CheckpointRecord,
  ChunkRecord,
  EntryRecord,
  HealthReport,
  LoggedRecord,
  LogPageRecord,
  Moment,
  PageQuery,
  PageRecord,
  SnapshotRecord,
  StatusRecord,
} from './records.ts'
import type { CallOptions, Query } from './transport.ts'
import type { Target } from './write.ts'

type Reading = Moment & CallOptions

export interface ReadCalls {
  /** Undefined of what is not there, or is deleted. */
  readonly get: (pi: string, options?: Reading) => Promise<EntryRecord | undefined>
  readonly has: (pi: string, options?: Reading) => Promise<boolean>
  readonly list: (query?: PageQuery, options?: CallOptions) => Promise<PageRecord>
  /** All of them, page by page; with a moment in the query they are all of one state. */
  readonly entities: (
    query?: Omit<PageQuery, 'cursor'>,
    options?: CallOptions,
  ) => AsyncGenerator<EntryRecord, undefined>
  /** The kept versions, newest first, deletions among them; empty where there are none. */
  readonly history: (
    pi: string,
    options?: CallOptions & { readonly limit?: number },
  ) => Promise<readonly LoggedRecord[]>
  /** What an entity holds, proved by the hash in its tip; undefined where there is no entity. */
  readonly content: (pi: string, options?: Reading) => Promise<Content | undefined>
  readonly contentOf: (cid: string, options?: CallOptions) => Promise<Content>
  /** The bytes that a CID names, proved. */
  readonly block: (cid: string, options?: CallOptions) => Promise<Uint8Array>
  /** A page of the log. */
  readonly log: (
    query?: { readonly since?: number; readonly limit?: number },
    options?: CallOptions,
  ) => Promise<LogPageRecord>
  readonly checkpoint: (options?: CallOptions) => Promise<CheckpointRecord>
  readonly status: (options?: CallOptions) => Promise<StatusRecord>
  readonly health: (options?: CallOptions) => Promise<HealthReport>
  /** Which moments could be brought back. */
  readonly coverage: (
    query?: { readonly since?: string },
    options?: CallOptions,
  ) => Promise<CoverageRecord>
  /** What ran last by itself, and what runs next. */
  readonly automation: (options?: CallOptions) => Promise<AutomationRecord>
  /** A few figures over time, oldest first, since the service was started. */
  readonly samples: (query?: SamplesQuery, options?: CallOptions) => Promise<SamplesRecord>
  /** The newest ones first. */
  readonly snapshots: (
    options?: CallOptions & { readonly limit?: number },
  ) => Promise<{ items: readonly SnapshotRecord[]; has_more: boolean }>
  readonly snapshot: (selector: string, options?: CallOptions) => Promise<SnapshotRecord>
  readonly chunks: (
    selector: string,
    options?: CallOptions,
  ) => AsyncGenerator<ChunkRecord, undefined>
  /** Up to the newest snapshot unless `to` is given. */
  readonly diff: (
    query: { readonly from: string; readonly to?: string },
    options?: CallOptions,
  ) => AsyncGenerator<ChangeRecord, undefined>
}

export function readCalls(target: Target): ReadCalls {
  const { http, place } = target
  const read = <T>(path: string, query: Query, { signal }: CallOptions = {}): Promise<T> =>
    http.json<T>({ method: 'GET', path, query, retry: 'always', signal })
  async function* lines<T>(
    path: string,
    query: Query,
    { signal }: CallOptions = {},
  ): AsyncGenerator<T, undefined> {
    const call = { method: 'GET', path, query, retry: 'always', signal } as const
    const { parts } = await http.open(call, IDLE_MS)
    yield* readLines<T>(parts)
  }
  const list: ReadCalls['list'] = (query, options) =>
    read(`${place}/entities`, { ...query }, options)
  const get: ReadCalls['get'] = async (pi, { signal, ...moment } = {}) =>
    unlessMissing(read<EntryRecord>(entityPath(place, pi), moment, { signal }))
  async function* entities(
    query: Omit<PageQuery, 'cursor'> = {},
    options?: CallOptions,
  ): AsyncGenerator<EntryRecord, undefined> {
    const page = { limit: PAGE, ...query }
    let { items, next_cursor: cursor } = await list(page, options)
    for (;;) {
      yield* items
      if (cursor === null) return
      // The offset counts for the first page only.
      const next = { ...page, offset: undefined, cursor }
      ;({ items, next_cursor: cursor } = await list(next, options))
    }
  }
  return {
    get,
    has: async (pi, options) => (await get(pi, options)) !== undefined,
    list,
    entities,
    history: async (pi, { signal, limit } = {}) => {
      const path = `${entityPath(place, pi)}/history`
      const answer = read<{ items: readonly LoggedRecord[] }>(path, { limit }, { signal })
      return (await unlessMissing(answer))?.items ?? []
    },
    content: async (pi, { signal, ...query } = {}) => {
      const path = `${entityPath(place, pi)}/content`
      return unlessMissing(readEntityContent(http, place, { path, query }, { signal }))
    },
    contentOf: (cid, options) => readContent(http, place, cid, options),
    block: (cid, options) => readBlock(http, place, cid, options),
    log: (query, options) => read(`${place}/entries`, { ...query }, options),
    checkpoint: (options) => read(`${place}/checkpoint`, {}, options),
    status: (options) => read(place, {}, options),
    health: (options) => read(`${place}/health`, {}, options),
    coverage: (query, options) => read(`${place}/coverage`, { ...query }, options),
    automation: (options) => read(`${place}/automation`, {}, options),
    samples: (query, options) => read(`${place}/samples`, { ...query }, options),
    snapshots: ({ signal, limit } = {}) => read(`${place}/snapshots`, { limit }, { signal }),
    snapshot: (selector, options) =>
      read(`${place}/snapshots/${encodeURIComponent(selector)}`, {}, options),
    chunks: (selector, options) =>
      lines(`${place}/snapshots/${encodeURIComponent(selector)}/chunks`, {}, options),
    diff: (query, options) => lines(`${place}/diff`, { ...query }, options),
  }
}

const PAGE = 1000
const IDLE_MS = 60_000

/** A dataset that is missing is an error. */
export async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (isClientError(error, 'not_found')) return undefined
    throw error
  }
}
