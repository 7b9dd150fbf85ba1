/** Datasets: their names, their settings, where they stand. */
import type { ContentMode } from '../../model/entry.ts'
import {
  CidText,
  Count,
  DatasetName,
  flag,
  integer,
  JsonObject,
  list,
  nullable,
  oneOf,
  optional,
  strict,
  Text,
  TimeOut,
  type ObjectSchema,
  type Schema,
} from './common.ts'

const Content: Schema<ContentMode> = oneOf(['linked', 'external'], {
  description: 'whether the store holds what tips point at',
})

export const Datasets: ObjectSchema<{ datasets: readonly string[] }> = strict({
  datasets: list(DatasetName),
})

export interface DatasetSettings {
  readonly content?: ContentMode | undefined
  readonly chunk_size?: number | undefined
  readonly chain_limit?: number | undefined
}

/** What is not given is as the service is set up. */
export const DatasetSettings: ObjectSchema<DatasetSettings> = strict({
  content: optional(Content),
  chunk_size: optional(integer(64, 10_000, 'entries in a leaf of its snapshots, at most')),
  chain_limit: optional(integer(1, 10_000_000, 'entries in its recent chain, at most')),
})

export const DatasetMade: ObjectSchema<{ dataset: string; created: boolean }> = strict({
  dataset: DatasetName,
  created: flag('false: it was there, with these settings'),
})

/** The index pointer as it is stored, but for the name of who holds it for himself. */
const POINTER = {
  schema: Text,
  number: Count,
  prev: nullable(CidText),
  ts: Count,
  last_updated: Text,
  writer: Text,
  reason: Text,
  dataset: DatasetName,
  identity: Text,
  origins: list(Text),
  generation: strict({ number: Count, tag: Text }),
  settings: strict({
    content: Content,
    chunk_size: Count,
    chain_limit: Count,
    deleted_ms: Count,
  }),
  latest_snapshot_cid: CidText,
  snapshot_seq: Count,
  snapshot_ts: TimeOut,
  snapshot_count: Count,
  recent_chain_head: nullable(CidText),
  chain_base: nullable(CidText),
  recent_count: Count,
  chain_first: Count,
  next: Count,
  next_ordinal: Count,
  next_seq: Count,
  floor: Count,
  oldest: Count,
  kept: CidText,
  kept_count: Count,
  total_count: Count,
  exclusive: nullable(strict({ reason: Text, until: Count })),
}

export interface StatusRecord {
  readonly commit: string
  readonly root: string
  readonly chunk_count: number
  readonly tree_bytes: number
  readonly meta: Readonly<Record<string, unknown>>
  readonly store: {
    readonly kind: string
    readonly size_bytes: number | null
    readonly free_bytes: number | null
    readonly synced: boolean | null
    readonly notes: readonly string[]
  }
}

const Store = strict({
  kind: Text,
  size_bytes: nullable(Count),
  free_bytes: nullable(Count),
  synced: nullable(flag()),
  notes: list(Text),
})

/** The fields of the pointer are named by the engine, and checked where they are printed. */
export const Status: Schema<StatusRecord> = strict({
  ...POINTER,
  commit: CidText,
  root: CidText,
  chunk_count: Count,
  tree_bytes: Count,
  meta: JsonObject,
  store: Store,
}) as unknown as Schema<StatusRecord>
