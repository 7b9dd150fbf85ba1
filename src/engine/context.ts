/** What every part of the engine is given: the store, time, randomness, a name for this process. */
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import type { Backend } from '../store/backend.ts'
import type { NodeStore } from '../tree/node-store.ts'
import type { Logger } from './logger.ts'
import type { Observe } from './observe.ts'
import type { Replicas } from './replica/replicas.ts'

/** How far a long operation has come. */
export interface Progress {
  readonly step: string
  readonly done: number
  readonly total?: number
  /** What is counted, where it is bytes. */
  readonly unit?: 'bytes'
}

export interface LongOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: Progress) => void) | undefined
}

/** How the engine waits. */
export interface Timers {
  /** Lets what is ready go first. */
  turn(): Promise<void>
  delay(ms: number): Promise<void>
  /** Calls again and again until the answer is called; keeps no process alive. */
  every(ms: number, call: () => void): () => void
}

export const REAL_TIMERS: Timers = {
  turn: () => turn(),
  delay: (ms) => delay(ms),
  every: (ms, call) => {
    const timer = setInterval(call, ms).unref()
    return () => clearInterval(timer)
  },
}

/** Now, but never before the newest commit: a clock that went back does not undo an expiry. */
export function momentOf({ now }: Pick<Context, 'now'>, commit: { readonly ts: number }): number {
  return Math.max(now(), commit.ts)
}

export interface Context {
  readonly backend: Backend
  readonly nodes: NodeStore
  readonly now: () => number
  readonly timers: Timers
  readonly randomBytes: (count: number) => Uint8Array
  /** Names this process in commits; random. */
  readonly writer: string
  readonly log: Logger
  /** Is told how long operations took. */
  readonly observe?: Observe | undefined
  /** The copies of this store's datasets that the policy names. */
  readonly replicas?: Replicas | undefined
}
