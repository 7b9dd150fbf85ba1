/**
 * What can be browsed: a dataset of a service, or the state that CARs hold. Records are those of the HTTP client,
 * errors are `CairnClientError` with the codes of docs/ERRORS.md, so that one set of views shows both.
 */
import type {
  ChangeRecord,
  ChunkRecord,
  EntryRecord,
  LoggedRecord,
  PageQuery,
  PageRecord,
  SnapshotRecord,
  TimeOut,
} from '../../src/client/records.ts'
import type { BlockView } from './block-view.ts'
import type { ContentView } from './content-view.ts'

export interface SourceOptions {
  readonly signal?: AbortSignal | undefined
}

export interface ContentOptions extends SourceOptions {
  /** Of bytes no more than so many; 1 MiB unless given. */
  readonly maxBytes?: number | undefined
}

/** Null: not known, or there is none. */
export interface Described {
  readonly kind: 'service' | 'car'
  /** What people call it: the dataset, or the names of the files. */
  readonly name: string
  readonly dataset: string | null
  /** The current snapshot, its number, and when it was made. */
  readonly snapshot: string | null
  readonly seq: number | null
  readonly ts: TimeOut | null
  readonly total_count: number | null
  readonly recent_count: number | null
}

export interface Source {
  readonly kind: 'service' | 'car'
  readonly describe: (options?: SourceOptions) => Promise<Described>
  readonly entities: (query?: PageQuery, options?: SourceOptions) => Promise<PageRecord>
  /** Null where there is none. */
  readonly entity: (
    pi: string,
    options?: SourceOptions & { readonly at_snapshot?: string | undefined },
  ) => Promise<EntryRecord | null>
  /** Newest first; what is older than the log has no position. */
  readonly history: (pi: string, options?: SourceOptions) => Promise<readonly LoggedRecord[]>
  /** Newest first. */
  readonly snapshots: (options?: SourceOptions) => Promise<readonly SnapshotRecord[]>
  /** The chunks of a snapshot, in the order of ids; none of them is read. */
  readonly chunks: (
    selector: string,
    options?: SourceOptions,
  ) => AsyncGenerator<ChunkRecord, undefined>
  /** Up to the current snapshot unless `to` is given. */
  readonly diff: (
    query: { readonly from: string; readonly to?: string },
    options?: SourceOptions,
  ) => AsyncGenerator<ChangeRecord, undefined>
  /** The bytes that a CID names, proved. */
  readonly bytes: (cid: string, options?: SourceOptions) => Promise<Uint8Array>
  /** A block, decoded, with its links: from block to block a DAG can be walked. */
  readonly block: (cid: string, options?: SourceOptions) => Promise<BlockView>
  /** What an entity's tip stands for: a value, or the bytes of a file. */
  readonly content: (cid: string, options?: ContentOptions) => Promise<ContentView>
}
