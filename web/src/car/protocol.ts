/** What the page and the worker say to each other. CIDs are texts, records are those of the HTTP client. */
import type { CarVerification } from '../../../src/engine/car-verification.ts'
import type {
  ChangeRecord,
  ChunkRecord,
  EntryRecord,
  LoggedRecord,
  PageQuery,
  PageRecord,
  SnapshotRecord,
} from '../../../src/client/records.ts'

export type { CarProblem, CarVerification } from '../../../src/engine/car-verification.ts'

export interface CarProgress {
  /** `scan` opens; `walk` and `hash` verify. */
  readonly step: string
  readonly done: number
  readonly total?: number
  readonly unit?: 'bytes'
}

export interface CarFileRecord {
  readonly name: string
  /** What problems name the file by: its name, unless another one has the same. */
  readonly path: string
  readonly size: number
  readonly version: 1 | 2
  /** Sections, repeated ones too. */
  readonly blocks: number
  readonly duplicates: number
  readonly roots: readonly CarRootRecord[]
}

/** A root of a file; what `cairn car inspect --json` says of it. */
export interface CarRootRecord {
  readonly cid: string
  /** Null: it is no state of Cairn, or cannot be read; `problem` says which. */
  readonly kind: 'checkpoint' | 'snapshot' | null
  readonly problem?: string
  readonly dataset?: string | null
  readonly identity?: string
  readonly generation?: number | null
  /** How much content the CAR has. */
  readonly car_content?: 'full' | 'tips' | 'index'
  readonly content?: 'linked' | 'external'
  readonly snapshot?: string
  /** The snapshot that a delta needs. */
  readonly since?: string | null
  readonly seq?: number
  readonly ts?: string | number
  readonly reason?: string
  readonly tags?: readonly string[]
  readonly meta?: Readonly<Record<string, unknown>>
  readonly entries?: number
  readonly live?: number
  readonly chunk_count?: number
  readonly chunk_size?: number
  readonly recent_count?: number
  readonly total_count?: number
  readonly next?: number
}

/** The state that is browsed: the newest of all roots. */
export interface CarStateRecord extends CarRootRecord {
  readonly kind: 'checkpoint' | 'snapshot'
  readonly snapshot: string
  readonly seq: number
  readonly ts: string | number
  readonly recent_count: number
  readonly total_count: number
}

export interface CarSummary {
  readonly files: readonly CarFileRecord[]
  readonly bytes: number
  readonly blocks: number
  /** Null: there is none that can be browsed, and `problem` says why. Its blocks can, and it can be verified. */
  readonly state: CarStateRecord | null
  readonly problem: CarErrorRecord | null
  /** A delta, browsed together with its base. */
  readonly is_delta: boolean
}

export interface CarErrorRecord {
  readonly code: string
  readonly message: string
  readonly hint?: string
  readonly details: Readonly<Record<string, unknown>>
}

/** What is answered at once. */
export interface CarCalls {
  open(): CarSummary
  verify(): CarVerification
  entities(query: PageQuery): PageRecord
  entity(pi: string, at?: string): EntryRecord | null
  history(pi: string, limit?: number): readonly LoggedRecord[]
  snapshots(): readonly SnapshotRecord[]
  /** Proved. */
  block(cid: string): Uint8Array
  /** Where the block is: a file's path, and the place in it. */
  place(cid: string): { readonly path: string; readonly offset: number } | null
}

/** What comes in parts, which are asked for one by one. */
export interface CarStreams {
  chunks(selector: string): ChunkRecord
  diff(from: string, to?: string): ChangeRecord
}

type Ask<T extends object> = {
  [K in keyof T]: T[K] extends (...args: infer A) => unknown ? readonly [K, ...A] : never
}[keyof T]

export type CallAsk = Ask<CarCalls>
export type StreamAsk = Ask<CarStreams>

export type ToWorker =
  | { readonly type: 'files'; readonly files: readonly File[] }
  | { readonly type: 'call'; readonly id: number; readonly ask: CallAsk }
  | { readonly type: 'stream'; readonly id: number; readonly ask: StreamAsk }
  | { readonly type: 'next'; readonly id: number }
  | { readonly type: 'stop'; readonly id: number }

export type FromWorker =
  | { readonly type: 'progress'; readonly id: number; readonly progress: CarProgress }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | {
      readonly type: 'items'
      readonly id: number
      readonly items: readonly unknown[]
      readonly done: boolean
    }
  | { readonly type: 'error'; readonly id: number; readonly error: CarErrorRecord }
