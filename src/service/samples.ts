/**
 * What the charts of the page show of the last day: a few figures of each dataset, taken every ten seconds,
 * kept in memory. The newest half hour is kept as it was taken, the day by the minute. Bounded: rings of a
 * fixed size, for so many datasets.
 */
import type { Cairn } from '../cairn.ts'
import type { DatasetHead } from '../engine/head.ts'

export interface Sample {
  /** Milliseconds since 1970. */
  readonly ts: number
  readonly totalCount: number
  readonly recentCount: number
  /** Undefined where the store does not tell. */
  readonly storeBytes: number | undefined
  /** Of this process. */
  readonly memoryBytes: number
}

export const WINDOWS = ['recent', 'day'] as const
export type Window = (typeof WINDOWS)[number]

interface Keeping {
  readonly everyMs: number
  readonly most: number
}

export const KEEPING: Readonly<Record<Window, Keeping>> = {
  recent: { everyMs: 10_000, most: 180 },
  day: { everyMs: 60_000, most: 1440 },
}

const MOST_DATASETS = 100
/** How many datasets are asked at once. */
const ASKED_AT_ONCE = 8

export interface SampleSources {
  readonly cairn: Pick<Cairn, 'datasets' | 'status'>
  readonly dataset: (name: string) => Promise<{ head(): Promise<DatasetHead> }>
  readonly now: () => number
  /** Ends the sampling. */
  readonly stop: AbortSignal
}

export interface Samples {
  start(): void
  /** Takes one of each dataset now. What does not answer is left out; a store that hangs is not asked twice. */
  take(): Promise<void>
  /** In the order of time. */
  of(dataset: string, window: Window): readonly Sample[]
}

type Rings = Readonly<Record<Window, Sample[]>>

export function createSamples({ cairn, dataset, now, stop }: SampleSources): Samples {
  const kept = new Map<string, Rings>()
  let taking: Promise<void> | undefined

  const takeOne = async (name: string, storeBytes: number | undefined): Promise<void> => {
    const { totalCount, recentCount } = await (await dataset(name)).head()
    const memoryBytes = process.memoryUsage.rss()
    const rings = kept.get(name) ?? { recent: [], day: [] }
    kept.set(name, rings)
    const sample = { ts: now(), totalCount, recentCount, storeBytes, memoryBytes }
    for (const window of WINDOWS) put(rings[window], sample, KEEPING[window])
  }
  const takeAll = async (): Promise<void> => {
    const names = (await cairn.datasets()).slice(0, MOST_DATASETS)
    for (const name of kept.keys()) if (!names.includes(name)) kept.delete(name)
    const { sizeBytes } = await cairn.status()
    for (let i = 0; i < names.length && !stop.aborted; i += ASKED_AT_ONCE) {
      const some = names.slice(i, i + ASKED_AT_ONCE)
      await Promise.allSettled(some.map((name) => takeOne(name, sizeBytes)))
    }
  }
  const take = (): Promise<void> => {
    taking ??= takeAll()
      // Health tells of a store that does not answer; here it leaves a gap.
      .catch(() => {})
      .finally(() => (taking = undefined))
    return taking
  }
  return {
    take,
    start: () => {
      const timer = setInterval(() => void take(), KEEPING.recent.everyMs)
      timer.unref()
      stop.addEventListener('abort', () => clearInterval(timer), { once: true })
      void take()
    },
    of: (name, window) => kept.get(name)?.[window] ?? [],
  }
}

/** One a step of time; a clock that is set back begins anew. */
function put(ring: Sample[], sample: Sample, { everyMs, most }: Keeping): void {
  const last = ring.at(-1)
  if (last !== undefined && sample.ts < last.ts) ring.length = 0
  else if (last !== undefined && stepOf(last, everyMs) === stepOf(sample, everyMs)) return
  ring.push(sample)
  if (ring.length > most) ring.shift()
}

const stepOf = ({ ts }: Sample, everyMs: number): number => Math.round(ts / everyMs)
