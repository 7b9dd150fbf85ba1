/** What every part of the engine is given: the store, the clock, randomness, a name for this process. */
import type { Backend } from '../store/backend.ts'
import type { NodeStore } from '../tree/node-store.ts'

/** Where the engine says what it does; never results, never secrets. */
export interface Logger {
  info(event: string, fields?: Readonly<Record<string, unknown>>): void
  error(event: string, fields?: Readonly<Record<string, unknown>>): void
  debug(event: string, fields?: Readonly<Record<string, unknown>>): void
}

export const SILENT: Logger = { info: () => {}, error: () => {}, debug: () => {} }

/** How far a long operation has come. */
export interface Progress {
  readonly step: string
  readonly done: number
  readonly total?: number
}

export interface LongOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: Progress) => void) | undefined
}

/** Now, but never before the newest commit: a clock that went back does not undo an expiry. */
export function momentOf({ now }: Pick<Context, 'now'>, commit: { readonly ts: number }): number {
  return Math.max(now(), commit.ts)
}

export interface Context {
  readonly backend: Backend
  readonly nodes: NodeStore
  readonly now: () => number
  readonly randomBytes: (count: number) => Uint8Array
  /** Names this process in commits; random. */
  readonly writer: string
  readonly log: Logger
}
