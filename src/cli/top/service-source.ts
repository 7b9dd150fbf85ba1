/** Looks at a dataset of a service, over HTTP. */
import { isClientError } from '../../client/error.ts'
import type { Job } from '../../client/job-records.ts'
import { jobCalls } from '../../client/jobs.ts'
import { readCalls } from '../../client/reads.ts'
import type { BackupRecord, StatusRecord, TimeOut } from '../../client/records.ts'
import { transferCalls } from '../../client/transfer.ts'
import { transport, type Transport } from '../../client/transport.ts'
import { translated } from '../../remote/service-errors.ts'
import { readTime } from '../../model/time.ts'
import {
  CHANGES,
  slowly,
  worstFirst,
  type BuildLook,
  type ChangeLook,
  type JobLook,
  type Look,
  type SlowLook,
  type Source,
} from './look.ts'
import { readCounters, type Counters } from './metrics.ts'

export interface ServiceOptions {
  readonly url: string
  readonly token: string | undefined
  /** What costs more is asked for again after this. */
  readonly slowMs: number
  readonly now: () => number
  readonly fetch?: typeof fetch | undefined
}

const ATTEMPT_MS = 8000
const MOST_METRICS = 16 << 20

/** Of `GET .../automation`, as far as it is shown. */
interface Automation {
  readonly runs: Readonly<Record<string, { readonly last: Run | null } | undefined>>
  readonly next: readonly { readonly kind: string; readonly at: string }[]
}

interface Run {
  readonly state: string
  readonly started_at: string | null
  readonly finished_at: string
  readonly result: Readonly<Record<string, unknown>> | null
}

export function serviceSource({
  url,
  token,
  slowMs,
  now,
  fetch: send = fetch,
}: ServiceOptions): Source {
  let asked = 0
  const counting: typeof fetch = async (...args) => {
    const response = await send(...args)
    asked += 1
    return response
  }
  const http = transport({
    url,
    token,
    fetch: counting,
    timeoutMs: ATTEMPT_MS,
    deadlineMs: ATTEMPT_MS,
    retries: 0,
  })
  const callsOf = (dataset: string) => {
    const target = { http, place: `/v1/datasets/${encodeURIComponent(dataset)}` }
    return {
      ...readCalls(target),
      ...jobCalls(target),
      ...transferCalls(target),
      place: target.place,
    }
  }
  const slow = slowly<SlowLook>(slowMs, now)
  return {
    name: url,
    datasets: (signal) =>
      translated(async () => {
        const call = { method: 'GET', path: '/v1/datasets', retry: 'always', signal } as const
        return (await http.json<{ datasets: readonly string[] }>(call)).datasets
      }),
    look: (dataset, signal) =>
      translated(async () => {
        const calls = callsOf(dataset)
        // One after another, and the metrics first: so it is known how many of the requests are our own.
        const own = asked
        const counters = await metrics(http, dataset, own, signal)
        const status = await calls.status({ signal })
        const next = Number(status['next'])
        const floor = Number(status['floor'])
        const since = Math.max(floor, next - CHANGES)
        const log =
          next > since ? (await calls.log({ since, limit: CHANGES }, { signal })).items : []
        const jobs = await calls.jobs({ limit: 20 }, { signal })
        return {
          ...pointerLook(status),
          at: now(),
          dataset,
          counters,
          jobs: jobs.filter(isUnderWay).map(jobLook),
          changes: log.map(changeLook).toReversed(),
          slow: await slow(dataset, () => slowLook(http, calls, signal)),
        }
      }),
  }
}

type PointerLook = Omit<Look, 'at' | 'dataset' | 'counters' | 'jobs' | 'changes' | 'slow'>

function pointerLook(status: StatusRecord): PointerLook {
  const number = (name: string): number => Number(status[name])
  const part = (name: string): Record<string, unknown> =>
    (status[name] ?? {}) as Record<string, unknown>
  return {
    entities: number('total_count'),
    next: number('next'),
    commit: number('number'),
    generation: Number(part('generation')['number']),
    recent: number('recent_count'),
    chainLimit: Number(part('settings')['chain_limit']),
    snapshotSeq: number('snapshot_seq'),
    snapshotTs: timeOf(status['snapshot_ts'] as TimeOut),
    storeBytes: status.store.size_bytes,
    freeBytes: status.store.free_bytes,
  }
}

/** Not with every token: one for a single dataset does not read them. */
async function metrics(
  http: Transport,
  dataset: string,
  own: number,
  signal: AbortSignal,
): Promise<Counters | null> {
  try {
    const { parts } = await http.open({ method: 'GET', path: '/metrics', retry: 'always', signal })
    const decoder = new TextDecoder()
    let text = ''
    for await (const part of parts) {
      text += decoder.decode(part, { stream: true })
      if (text.length > MOST_METRICS) return null
    }
    return readCounters(text, dataset, own)
  } catch (error) {
    if (isClientError(error, 'access_denied') || isClientError(error, 'not_found')) return null
    throw error
  }
}

type Calls = Pick<ReturnType<typeof readCalls>, 'health'> &
  Pick<ReturnType<typeof transferCalls>, 'backups'> & { readonly place: string }

async function slowLook(http: Transport, calls: Calls, signal: AbortSignal): Promise<SlowLook> {
  const health = await calls.health({ signal })
  const backups = await calls.backups({ signal })
  const call = {
    method: 'GET',
    path: `${calls.place}/automation`,
    retry: 'always',
    signal,
  } as const
  const { runs, next } = await http.json<Automation>(call)
  const build = runs['build']?.last
  const drill = runs['drill']?.last
  return {
    level: health.level,
    alerts: worstFirst(health.alerts.map((one) => ({ ...one, hint: one.hint ?? null }))),
    checks: health.checks.length,
    build: build ? buildLook(build) : null,
    car: carLook(backups),
    // A drill from the command line is known to the check alone.
    drill: drill ? { at: timeOf(drill.finished_at), ok: drill.state === 'succeeded' } : null,
    upcoming: next.map(({ kind, at }) => ({ kind, at: timeOf(at) })),
  }
}

function buildLook({ state, started_at, finished_at, result }: Run): BuildLook {
  const at = timeOf(finished_at)
  const folded = result?.['folded']
  return {
    at,
    ok: state === 'succeeded',
    ms: started_at === null ? null : at - timeOf(started_at),
    folded: typeof folded === 'number' ? folded : null,
  }
}

function carLook(backups: readonly BackupRecord[]): SlowLook['car'] {
  const [newest] = backups
  if (newest === undefined) return undefined
  const { verified_at, next, generation, size_bytes } = newest
  return { at: timeOf(verified_at), next, generation, bytes: size_bytes, count: backups.length }
}

const isUnderWay = ({ state }: Job): boolean => state === 'queued' || state === 'running'

function jobLook({ kind, state, started_at, stuck, progress }: Job): JobLook {
  const startedAt = started_at === null ? null : timeOf(started_at)
  return { kind, running: state === 'running', startedAt, stuck, progress }
}

function changeLook(entry: {
  position: number
  pi: string
  ver: number
  tip: string | null
  ts: TimeOut
}): ChangeLook {
  const { position, pi, ver, tip, ts } = entry
  return { position, pi, ver, deleted: tip === null, ts: timeOf(ts) }
}

const timeOf = (time: TimeOut): number => readTime(time) ?? 0
