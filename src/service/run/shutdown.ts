/**
 * The end of a service, in an order that loses nothing: no new requests, those under way are answered, no
 * new decisions, a last snapshot of what has none, jobs, the store. Each step gets what is left of the
 * time; what did not end is named, never waited for.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { toCairnError } from '../../errors.ts'
import { hasEnded, type Job } from '../../jobs/job.ts'
import type { Server } from '../server.ts'
import type { Service } from '../service.ts'

/** What requests may take of the time: the snapshot must get some, too. */
const FOR_REQUESTS = 0.4
/** Kept for ending jobs and closing the store. */
const FOR_THE_REST = 0.15
const LOOK_EVERY_MS = 50

export interface Ending {
  /** What did not end in time, in words; nothing when all went well. */
  readonly left: readonly string[]
}

export interface Running {
  readonly service: Service
  readonly app: Server
  /** Ends endless answers and lets no new request in. */
  readonly drain: () => void
}

export async function shutDown({ service, app, drain }: Running, reason: string): Promise<Ending> {
  const { log, automation, health, jobs, cairn, values } = service
  const began = performance.now()
  const total = values().shutdown_deadline
  const until = (part: number): number => Math.max(0, began + total * part - performance.now())
  const left: string[] = []
  log.info('service.stopping', { message: 'Shutting down server...', reason })
  drain()
  left.push(...(await drainRequests(app, until(FOR_REQUESTS))))
  await step('the automation', until(1), () => automation.stop(), left)
  left.push(...(await lastSnapshots(service, 'shutdown', until(1 - FOR_THE_REST))))
  log.info('service.cleaning', { message: 'Cleaning up resources...' })
  const waited = jobs.list().filter((job) => !hasEnded(job))
  await step('the jobs', until(1), () => jobs.drain({ deadlineMs: until(1 - FOR_THE_REST) }), left)
  left.push(...stopped(jobs, waited))
  await step('the watch over health', until(1), () => health.stop(), left)
  await step('the store', until(1), () => cairn.close(), left)
  const ms = Math.round(performance.now() - began)
  if (left.length === 0) {
    log.info('service.stopped', { message: 'Server shutdown complete.', ms })
  } else {
    const message = `Server shutdown incomplete: ${left.join('; ')}.`
    log.error('service.stopped', { message, left, ms })
  }
  return { left }
}

/** Lets those under way end; at the end of the time their connections are cut. */
async function drainRequests(app: Server, ms: number): Promise<string[]> {
  const over = performance.now() + ms
  let closed = false
  const closing = app.close().then(
    () => (closed = true),
    () => (closed = true),
  )
  while (!closed && performance.now() < over) {
    const { requests, streams } = app.underWay()
    // A connection on which nothing was asked yet is not idle to Node, but nobody waits on it.
    if (requests + streams === 0) app.server.closeAllConnections()
    else app.server.closeIdleConnections()
    await Promise.race([closing, delay(Math.min(LOOK_EVERY_MS, over - performance.now()))])
  }
  if (closed) return []
  const { requests, streams } = app.underWay()
  app.server.closeAllConnections()
  await Promise.race([closing, delay(LOOK_EVERY_MS)])
  const cut = requests + streams
  return cut === 0 ? [] : [`${cut} ${cut === 1 ? 'request was' : 'requests were'} cut off`]
}

/** A build of every dataset that holds entries without a snapshot. A build never replaces a good state by less. */
export async function lastSnapshots(
  service: Service,
  reason: string,
  ms: number,
): Promise<string[]> {
  const { log, cairn } = service
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), ms)
  try {
    const waiting = await orLate(datasetsWithNews(service), late.signal)
    if (waiting === undefined) return ['the store does not answer; no last snapshot was made']
    if (waiting.length === 0) return []
    log.info('service.saving', { message: 'Performing final backup...', datasets: waiting })
    const failures = await Promise.all(
      waiting.map((name) => lastSnapshot(service, name, reason, late.signal)),
    )
    const failed = failures.filter((one) => one !== undefined)
    const good = waiting.length - failed.length
    const message = `Backup completed: ${good}/${waiting.length} successful`
    if (failed.length === 0) log.info('service.saved', { message })
    else log.error('service.saved', { message, failed })
    return failed
  } catch (error) {
    return [`no last snapshot of ${cairn.location}: ${toCairnError(error).message}`]
  } finally {
    clearTimeout(timer)
  }
}

async function datasetsWithNews({ cairn, dataset }: Service): Promise<string[]> {
  const names = await cairn.datasets()
  const heads = await Promise.all(names.map(async (name) => (await dataset(name)).head()))
  // The snapshots of a replica are its primary's.
  return names.filter((_, i) => heads[i]?.writable === true && heads[i].recentCount > 0)
}

async function lastSnapshot(
  service: Service,
  name: string,
  reason: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const { id } = await service.automation.save(name, reason)
    const { state, error } = await service.jobs.wait(id, { signal })
    if (state === 'succeeded') return undefined
    return `no last snapshot of "${name}": ${error?.message ?? state}`
  } catch (error) {
    const late = signal.aborted
    return `no last snapshot of "${name}": ${late ? 'the time was over' : toCairnError(error).message}`
  }
}

/** Of the jobs that were waited for, those that were asked to stop. */
function stopped(jobs: Service['jobs'], waited: readonly Job[]): string[] {
  const left = waited.filter(({ id }) => {
    const state = jobs.get(id)?.state
    return state !== 'succeeded' && state !== 'failed'
  })
  return left.map(({ kind, dataset }) => `the ${kind} of "${dataset}" was stopped`)
}

async function step(
  what: string,
  ms: number,
  work: () => Promise<unknown>,
  left: string[],
): Promise<void> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), Math.max(ms, LOOK_EVERY_MS))
  try {
    const done = work().then(() => 'done' as const)
    if ((await orLate(done, late.signal)) === undefined) left.push(`${what} did not end`)
  } catch (error) {
    left.push(`${what}: ${toCairnError(error).message}`)
  } finally {
    clearTimeout(timer)
  }
}

/** Undefined when the time was over first. */
function orLate<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) resolve(undefined)
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
    work.then(resolve, reject)
  })
}
