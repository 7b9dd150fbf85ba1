/**
 * How long operations took, told to whoever asked for it: for metrics, never for decisions. Only what went
 * well is told, when it is over.
 */
import type { Commit } from '../model/commit.ts'
import type { Logger } from './logger.ts'

/**
 * `append`: one batch, from its call until it is durable. `commit`: one commit, on the store's side.
 * `build`: one phase of a build. `page`, `export`, `restore`: the whole call.
 */
export type Observed = 'append' | 'commit' | 'build' | 'page' | 'export' | 'restore'

/**
 * `read`: the state that a build begins from. `merge`: the new tree, with what it hands to the store on the
 * way. `stage`: until the store has all of it. `prove`: reading it back. `commit`: making it current.
 */
export const BUILD_PHASES = ['read', 'merge', 'stage', 'prove', 'commit'] as const
export type BuildPhase = (typeof BUILD_PHASES)[number]

export interface ObservedFields {
  readonly dataset: string
  /** Of a build. */
  readonly phase?: BuildPhase
  /** Of a commit: how many entries and snapshots are new with it. */
  readonly entries?: number
  readonly snapshots?: number
}

export type Observe = (what: Observed, seconds: number, fields: ObservedFields) => void

/** Of a moment that `performance.now()` gave. */
export const secondsSince = (began: number): number => (performance.now() - began) / 1000

/** An observer that throws changes no outcome: what it was told of is durable already. */
export function guarded(observe: Observe | undefined, log: Logger): Observe | undefined {
  if (observe === undefined) return undefined
  return (what, seconds, fields) => {
    try {
      observe(what, seconds, fields)
    } catch (error) {
      log.error('observer.failed', { what, error: String(error) })
    }
  }
}

/** What a commit adds to the one before it. A restore makes a new generation, and adds to nothing. */
export function madeBy(before: Commit, { generation, next, nextSeq }: Commit): MadeBy {
  if (generation.tag !== before.generation.tag) return { entries: 0, snapshots: 0 }
  return { entries: next - before.next, snapshots: nextSeq - before.nextSeq }
}

interface MadeBy {
  readonly entries: number
  readonly snapshots: number
}

/** The phases of one build, told together when it is done. */
export class BuildLaps {
  readonly #laps: [BuildPhase, number][] = []
  #from = performance.now()

  end(phase: BuildPhase): void {
    this.#laps.push([phase, secondsSince(this.#from)])
    this.#from = performance.now()
  }

  tell(observe: Observe | undefined, dataset: string): void {
    for (const [phase, seconds] of this.#laps) observe?.('build', seconds, { dataset, phase })
  }
}
