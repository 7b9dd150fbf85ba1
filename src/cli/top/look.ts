/** One look at a dataset, taken from a service or a store; what could not be learned is null. */
import type { Counters } from './metrics.ts'

export type Level = 'ok' | 'warning' | 'critical'

export interface Look {
  readonly at: number
  readonly dataset: string
  readonly entities: number
  /** The position that the next entry gets. */
  readonly next: number
  readonly commit: number
  readonly generation: number
  readonly recent: number
  readonly chainLimit: number
  readonly snapshotSeq: number
  readonly snapshotTs: number
  readonly storeBytes: number | null
  readonly freeBytes: number | null
  readonly counters: Counters | null
  /** Under way or waiting. */
  readonly jobs: readonly JobLook[] | null
  /** Newest first. */
  readonly changes: readonly ChangeLook[]
  readonly slow: SlowLook
}

/** What costs more to find out, and so is looked at less often. */
export interface SlowLook {
  readonly level: Level
  /** The worst first. */
  readonly alerts: readonly AlertLook[]
  readonly checks: number
  readonly build: BuildLook | null
  /** Undefined: there is none. */
  readonly car: CarLook | null | undefined
  readonly drill: DrillLook | null | undefined
  /** What runs next by itself, the soonest first. */
  readonly upcoming: readonly { readonly kind: string; readonly at: number }[]
}

export interface AlertLook {
  readonly check: string
  readonly level: Level
  readonly message: string
  readonly hint: string | null
}

export interface JobLook {
  readonly kind: string
  readonly running: boolean
  readonly startedAt: number | null
  readonly stuck: boolean
  readonly progress: {
    readonly step: string
    readonly done: number
    readonly total: number | null
  } | null
}

/** The last build that ended. */
export interface BuildLook {
  readonly at: number
  readonly ok: boolean
  readonly ms: number | null
  readonly folded: number | null
}

/** The newest one. */
export interface CarLook {
  /** When it was exported. */
  readonly at: number
  /** The position behind its entries, to tell what it lacks. */
  readonly next: number
  readonly generation: number
  readonly bytes: number
  /** Of all CARs in the folder. */
  readonly count: number
}

export interface DrillLook {
  readonly at: number
  readonly ok: boolean
}

export interface ChangeLook {
  readonly position: number
  readonly pi: string
  readonly ver: number
  readonly deleted: boolean
  readonly ts: number
}

export interface Source {
  /** For the heading: an address or a store. */
  readonly name: string
  datasets(signal: AbortSignal): Promise<readonly string[]>
  look(dataset: string, signal: AbortSignal): Promise<Look>
}

const RANK: Readonly<Record<Level, number>> = { critical: 0, warning: 1, ok: 2 }

export function worstFirst(alerts: readonly AlertLook[]): AlertLook[] {
  return alerts.toSorted((a, b) => RANK[a.level] - RANK[b.level])
}

/** How many of the newest changes are shown at most. */
export const CHANGES = 12

/** Finds out anew what is older than `everyMs`, one answer for each dataset. */
export function slowly<T>(
  everyMs: number,
  now: () => number,
): (dataset: string, find: () => Promise<T>) => Promise<T> {
  const found = new Map<string, { readonly at: number; readonly value: T }>()
  return async (dataset, find) => {
    const before = found.get(dataset)
    if (before !== undefined && now() - before.at < everyMs) return before.value
    const value = await find()
    found.set(dataset, { at: now(), value })
    return value
  }
}
