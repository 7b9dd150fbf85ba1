/** What `cairn top --json` prints. */
import { formatTime } from '../../model/time.ts'
import { ratesOf, type History } from './history.ts'
import type { Look } from './look.ts'

export function topRecord(source: string, look: Look, history: History): Record<string, unknown> {
  const { slow, counters, jobs, changes } = look
  const rates = ratesOf(history)
  const dated = (one: { readonly at: number } | null | undefined): unknown =>
    one ? { ...one, at: formatTime(one.at) } : null
  return {
    source,
    dataset: look.dataset,
    at: formatTime(look.at),
    level: slow.level,
    alerts: slow.alerts,
    entities: look.entities,
    next: look.next,
    commit: look.commit,
    generation: look.generation,
    recent_count: look.recent,
    chain_limit: look.chainLimit,
    snapshot: { seq: look.snapshotSeq, at: formatTime(look.snapshotTs) },
    build: dated(slow.build),
    car: dated(slow.car),
    drill: dated(slow.drill),
    upcoming: slow.upcoming.map(dated),
    store_bytes: look.storeBytes,
    free_bytes: look.freeBytes,
    memory_bytes: counters?.memoryBytes ?? null,
    heap_bytes: counters?.heapBytes ?? null,
    per_second: {
      appends: rounded(rates.appends),
      reads: rounded(rates.reads),
      requests: rounded(rates.requests),
    },
    p99_ms: { append: rounded(rates.appendP99), request: rounded(rates.requestP99) },
    growth_bytes_per_minute: rounded(rates.growth),
    jobs:
      jobs?.map((job) => ({
        kind: job.kind,
        running: job.running,
        started_at: job.startedAt === null ? null : formatTime(job.startedAt),
        stuck: job.stuck,
        progress: job.progress,
      })) ?? null,
    changes: changes.map((change) => ({ ...change, ts: formatTime(change.ts) })),
  }
}

const rounded = (value: number | null): number | null =>
  value === null ? null : Math.round(value * 1000) / 1000
