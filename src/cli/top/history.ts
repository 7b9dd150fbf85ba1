/** The looks at one dataset so far: rates over the last seconds, and what a sparkline shows. */
import type { Look } from './look.ts'
import { quantile, type Counters, type Histogram } from './metrics.ts'

/** Looks that are remembered. */
const MOST = 600
/** Rates are means of so much. */
const RATE_MS = 10_000
/** Times of requests need more of them. */
const TIMES_MS = 60_000
/** A store grows in steps. */
const GROWTH_MS = 600_000

export interface Rates {
  readonly appends: number | null
  readonly reads: number | null
  readonly requests: number | null
  /** Milliseconds that 99 of 100 did not exceed. */
  readonly requestP99: number | null
  readonly appendP99: number | null
  /** Bytes a minute. */
  readonly growth: number | null
}

export type Charted = 'entities' | 'recent' | 'appends' | 'requests' | 'storeBytes' | 'memory'

export interface History {
  readonly looks: readonly Look[]
}

export const NO_HISTORY: History = { looks: [] }

/** A dataset that went back, or a service that began anew, begins a new history. */
export function remember({ looks }: History, look: Look): History {
  const last = looks.at(-1)
  const isSame = last !== undefined && last.dataset === look.dataset && !hasRestarted(last, look)
  return { looks: isSame ? [...looks.slice(-(MOST - 1)), look] : [look] }
}

function hasRestarted(before: Look, after: Look): boolean {
  if (after.next < before.next || after.generation !== before.generation) return true
  const [was, is] = [before.counters, after.counters]
  return was !== null && is !== null && is.startedAt !== was.startedAt
}

export function ratesOf({ looks }: History): Rates {
  const last = looks.at(-1)
  const none = {
    appends: null,
    reads: null,
    requests: null,
    requestP99: null,
    appendP99: null,
    growth: null,
  }
  if (last === undefined) return none
  const base = baseOf(looks, last, RATE_MS)
  const counted = (read: (counters: Counters) => number): number | null =>
    base?.counters && last.counters
      ? perSecond(base, last, read(last.counters) - read(base.counters))
      : null
  return {
    appends: base === undefined ? null : perSecond(base, last, last.next - base.next),
    reads: counted(({ reads }) => reads),
    requests: counted(({ requests }) => requests),
    requestP99: p99(looks, ({ requestTimes }) => requestTimes),
    appendP99: p99(looks, ({ appendTimes }) => appendTimes),
    growth: growthOf(looks, last),
  }
}

function growthOf(looks: readonly Look[], last: Look): number | null {
  const base = baseOf(looks, last, GROWTH_MS)
  const [was, is] = [base?.storeBytes ?? null, last.storeBytes]
  if (base === undefined || was === null || is === null) return null
  return 60 * perSecond(base, last, is - was)
}

/** The newest look that is old enough; else the oldest. */
function baseOf(looks: readonly Look[], last: Look, ms: number): Look | undefined {
  const old = looks.findLast(({ at }) => last.at - at >= ms) ?? looks[0]
  return old === last ? undefined : old
}

function perSecond(before: Look, after: Look, difference: number): number {
  const ms = after.at - before.at
  return ms <= 0 ? 0 : (difference * 1000) / ms
}

function p99(looks: readonly Look[], read: (counters: Counters) => Histogram): number | null {
  const last = looks.at(-1)
  const base = last && baseOf(looks, last, TIMES_MS)
  if (!last?.counters || !base?.counters) return null
  const seconds = quantile(read(base.counters), read(last.counters), 0.99)
  return seconds === undefined ? null : seconds * 1000
}

/** One value for each look, oldest first; of what is counted, what came since the look before. */
export function series({ looks }: History, what: Charted): number[] {
  if (what === 'entities' || what === 'recent') return looks.map((look) => look[what])
  if (what === 'storeBytes') return known(looks.map(({ storeBytes }) => storeBytes))
  if (what === 'memory') return known(looks.map(({ counters }) => counters?.memoryBytes ?? null))
  const count = (look: Look): number | null =>
    what === 'appends' ? look.next : (look.counters?.requests ?? null)
  return known(
    looks.slice(1).map((look, i) => {
      const before = looks[i]
      const [from, to] = [before === undefined ? null : count(before), count(look)]
      return before === undefined || from === null || to === null
        ? null
        : Math.max(0, perSecond(before, look, to - from))
    }),
  )
}

const known = (values: readonly (number | null)[]): number[] => values.filter((one) => one !== null)
