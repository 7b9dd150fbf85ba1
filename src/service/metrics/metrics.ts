/**
 * What the service tells Prometheus. Times and counts are taken where things happen; what is a state
 * (entries that wait, ages, sizes) is looked up when somebody asks, by store-gauges.ts. docs/METRICS.md
 * lists all of it, and a test compares. Every value of a label is one of a bounded set.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import { BUILD_PHASES, type Observe } from '../../engine/observe.ts'
import { JOB_KINDS, type Job } from '../../jobs/job.ts'
import { StoreGauges, type MetricSources } from './store-gauges.ts'

export interface MetricsOptions {
  readonly version: string
}

/** One request that was answered. */
export interface AnsweredRequest {
  /** The pattern of the route, never the URL. */
  readonly route: string
  readonly method: string
  readonly status: number
  /** Left out for streams that last as long as their readers like. */
  readonly seconds?: number | undefined
}

const SHORT = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5]
const SECONDS = [1, 2.5, 5, 10]
const PHASE = [0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 0.5, ...SECONDS, 30, 60, 300, 900, 1800]
const LONG = [0.1, 0.5, 1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 14_400]

const ENDS: readonly Job['state'][] = ['succeeded', 'failed', 'cancelled']

export class Metrics {
  readonly registry: Registry = new Registry()
  /** For `CairnOptions.observe`. */
  readonly observe: Observe
  readonly contentType: string
  readonly #requests: Counter<'route' | 'method' | 'status'>
  readonly #requestSeconds: Histogram<'route'>
  readonly #connections: Gauge
  readonly #sseClients: Gauge
  readonly #jobs: Counter<'kind' | 'state'>
  readonly #jobSeconds: Histogram<'kind'>
  readonly #gauges: StoreGauges
  readonly #engine: Engine
  #sources: MetricSources | undefined
  #collecting: Promise<void> | undefined

  constructor({ version }: MetricsOptions) {
    const registers = [this.registry]
    this.contentType = this.registry.contentType
    collectDefaultMetrics({ register: this.registry })
    this.#engine = engineMetrics(registers)
    this.observe = this.#engine.observe
    this.#requests = new Counter({
      name: 'cairn_http_requests_total',
      help: 'Requests that were answered, or cut off.',
      labelNames: ['route', 'method', 'status'],
      registers,
    })
    this.#requestSeconds = new Histogram({
      name: 'cairn_http_request_seconds',
      help: 'From the head of a request to the end of its answer; streams of events are left out.',
      labelNames: ['route'],
      buckets: [...SHORT, ...SECONDS, 30, 60],
      registers,
    })
    this.#connections = new Gauge({
      name: 'cairn_http_connections',
      help: 'Open connections.',
      registers,
    })
    this.#sseClients = new Gauge({
      name: 'cairn_sse_clients',
      help: 'Readers of streams of changes.',
      registers,
    })
    this.#jobs = new Counter({
      name: 'cairn_jobs_total',
      help: 'Jobs that ended, by how.',
      labelNames: ['kind', 'state'],
      registers,
    })
    this.#jobSeconds = new Histogram({
      name: 'cairn_job_seconds',
      help: 'From the start of a job to its end.',
      labelNames: ['kind'],
      buckets: LONG,
      registers,
    })
    // Else the first failure would be no increase: there was nothing before it.
    for (const kind of JOB_KINDS) {
      this.#jobSeconds.zero({ kind })
      for (const state of ENDS) this.#jobs.inc({ kind, state }, 0)
    }
    new Gauge({
      name: 'cairn_build_info',
      help: 'Always 1; the label says which version runs.',
      labelNames: ['version'],
      registers,
    }).set({ version }, 1)
    this.#gauges = new StoreGauges(registers)
  }

  /** From now on a scrape tells of these, too. */
  watch(sources: MetricSources): void {
    this.#sources = sources
  }

  answered({ route, method, status, seconds }: AnsweredRequest): void {
    this.#requests.inc({ route, method, status })
    if (seconds !== undefined) this.#requestSeconds.observe({ route }, seconds)
  }

  /** A connection is open until the answer is called. */
  connected(): () => void {
    return held(this.#connections)
  }

  /** A reader follows the changes until the answer is called. */
  following(): () => void {
    return held(this.#sseClients)
  }

  jobEnded({ kind, state, started_at, finished_at }: Job): void {
    this.#jobs.inc({ kind, state })
    if (started_at === null || finished_at === null) return
    const seconds = (Date.parse(finished_at) - Date.parse(started_at)) / 1000
    this.#jobSeconds.observe({ kind }, Math.max(0, seconds))
  }

  /** The text that Prometheus reads. Never fails: what cannot be read is left out, or said to be down. */
  async scrape(): Promise<string> {
    if (this.#sources !== undefined) {
      // Scrapes that meet look once.
      this.#collecting ??= this.#collect(this.#sources).finally(() => {
        this.#collecting = undefined
      })
      await this.#collecting
    }
    return this.registry.metrics()
  }

  async #collect(sources: MetricSources): Promise<void> {
    for (const dataset of await this.#gauges.collect(sources)) this.#engine.begin(dataset)
  }
}

interface Engine {
  readonly observe: Observe
  /** So that the first entry of a dataset is an increase. */
  readonly begin: (dataset: string) => void
}

function held(gauge: Gauge): () => void {
  gauge.inc()
  let open = true
  return () => {
    if (open) gauge.dec()
    open = false
  }
}

function engineMetrics(registers: Registry[]): Engine {
  const histogram = (name: string, help: string, buckets: number[]): Histogram =>
    new Histogram({ name, help, buckets, registers })
  const seconds = {
    append: histogram(
      'cairn_append_seconds',
      'One batch of entries, from its call until it is durable.',
      [...SHORT, ...SECONDS],
    ),
    commit: histogram('cairn_commit_seconds', "One commit, on the store's side.", [
      ...SHORT,
      ...SECONDS,
    ]),
    page: histogram('cairn_page_seconds', 'One page of entities.', [
      0.000_025,
      0.000_05,
      ...SHORT,
      ...SECONDS,
    ]),
    export: histogram('cairn_export_seconds', 'One CAR, from the state to its last block.', LONG),
    restore: histogram('cairn_restore_seconds', 'One restore, until it is current.', LONG),
  }
  const build = new Histogram({
    name: 'cairn_build_seconds',
    help: `One phase of a build: ${BUILD_PHASES.join(', ')}.`,
    labelNames: ['phase'],
    buckets: PHASE,
    registers,
  })
  for (const phase of BUILD_PHASES) build.zero({ phase })
  const counter = (name: string, help: string): Counter<'dataset'> =>
    new Counter({ name, help, labelNames: ['dataset'], registers })
  const commits = counter('cairn_commits_total', 'Commits of this process.')
  const entries = counter(
    'cairn_entries_appended_total',
    'Entries that commits of this process added.',
  )
  const snapshots = counter('cairn_snapshots_total', 'Snapshots that this process made.')
  const begin = (dataset: string): void => {
    for (const one of [commits, entries, snapshots]) one.inc({ dataset }, 0)
  }
  const observe: Observe = (what, took, fields) => {
    if (what === 'build') {
      build.observe({ phase: fields.phase ?? '' }, took)
      return
    }
    seconds[what].observe(took)
    if (what !== 'commit') return
    const { dataset } = fields
    commits.inc({ dataset })
    entries.inc({ dataset }, fields.entries ?? 0)
    snapshots.inc({ dataset }, fields.snapshots ?? 0)
  }
  return { observe, begin }
}
