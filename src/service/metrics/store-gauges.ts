/**
 * The gauges that are looked up when Prometheus asks: datasets, backups, runs, health. Bounded in time:
 * what does not answer is said to be down, and is not asked again while the question is open.
 */
import { stat } from 'node:fs/promises'
import { Gauge, type Registry } from 'prom-client'
import { exportedAt, readBackups, type Backup } from '../../backup/folder.ts'
import type { Cairn } from '../../cairn.ts'
import type { DatasetHead } from '../../engine/head.ts'
import type { Finding, HealthReport, Level } from '../../health/report.ts'
import { JOB_KINDS, type Job } from '../../jobs/job.ts'

/** How the automation's last job of a kind ended. */
export interface LastRun {
  readonly kind: string
  /** Milliseconds since 1970. */
  readonly at: number
  readonly success: boolean
}

/** Whom the gauges ask. */
export interface MetricSources {
  readonly cairn: Pick<Cairn, 'datasets' | 'status'>
  readonly dataset: (name: string) => Promise<{ head(): Promise<DatasetHead> }>
  readonly backupsDir: () => string
  readonly jobs: () => readonly Pick<Job, 'kind' | 'state' | 'stuck'>[]
  readonly health: (dataset: string) => Pick<HealthReport, 'checks'> | undefined
  readonly lastRuns: (dataset: string) => readonly LastRun[]
  readonly now: () => number
  /** How long an answer may take; 4 s unless given. Prometheus waits for 10 s. */
  readonly deadlineMs?: number | undefined
}

const DEADLINE_MS = 4000
/** A folder of backups is read again after so long, even if it looks the same. */
const BACKUPS_FRESH_MS = 60_000

const LEVELS: Readonly<Record<Level, number>> = { ok: 0, warning: 1, critical: 2 }

export class StoreGauges {
  readonly #gauges: ReturnType<typeof gauges>
  readonly #open = new Map<string, Promise<unknown>>()
  /** As they were listed last. */
  #names: readonly string[] = []
  #backups: ReadFolder | undefined

  constructor(registers: Registry[]) {
    this.#gauges = gauges(registers)
  }

  /** Looks everything up. Answers with the names of the datasets. */
  async collect(sources: MetricSources): Promise<readonly string[]> {
    const names = await this.#ask(sources, 'datasets', () => sources.cairn.datasets())
    this.#names = names ?? this.#names
    const [store, backups, ...heads] = await Promise.all([
      this.#ask(sources, 'store', () => sources.cairn.status()),
      this.#ask(sources, 'backups', () => this.#backupsIn(sources)),
      ...this.#names.map((name) =>
        this.#ask(sources, `dataset ${name}`, async () => (await sources.dataset(name)).head()),
      ),
    ])
    // From here to the end nothing else runs: a scrape sees all of one look.
    for (const gauge of Object.values(this.#gauges)) gauge.reset()
    this.#gauges.storeUp.set(names === undefined || store === undefined ? 0 : 1)
    put(this.#gauges.storeBytes, store?.sizeBytes)
    put(this.#gauges.storeFreeBytes, store?.freeBytes)
    for (const [i, dataset] of this.#names.entries()) {
      this.#tellDataset(dataset, heads[i], sources.now())
      this.#tellBackups(dataset, heads[i], backups, sources.now())
      this.#tellRuns(
        dataset,
        orElse(() => sources.lastRuns(dataset), []),
      )
      this.#tellHealth(dataset, orElse(() => sources.health(dataset), undefined)?.checks ?? [])
    }
    this.#tellJobs(orElse(sources.jobs, []))
    return this.#names
  }

  /** Undefined: it failed, or did not answer in time. */
  async #ask<T>(
    { deadlineMs = DEADLINE_MS }: MetricSources,
    what: string,
    ask: () => Promise<T>,
  ): Promise<T | undefined> {
    if (this.#open.has(what)) return undefined
    const asked = Promise.resolve()
      .then(ask)
      .finally(() => this.#open.delete(what))
    this.#open.set(what, asked)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), deadlineMs)
    })
    try {
      return await Promise.race([asked.catch(() => undefined), late])
    } finally {
      clearTimeout(timer)
    }
  }

  async #backupsIn({ backupsDir, now }: MetricSources): Promise<readonly Backup[]> {
    const folder = backupsDir()
    const changed = await stat(folder).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    )
    const known = this.#backups
    const fresh =
      known?.folder === folder &&
      known.changed === changed &&
      Math.abs(now() - known.readAt) < BACKUPS_FRESH_MS
    if (fresh) return known.backups
    const { backups } = await readBackups(folder)
    this.#backups = { folder, changed, readAt: now(), backups }
    return backups
  }

  #tellDataset(dataset: string, head: DatasetHead | undefined, now: number): void {
    const { datasetUp, ...rest } = this.#gauges
    datasetUp.set({ dataset }, head === undefined ? 0 : 1)
    if (head === undefined) return
    rest.entities.set({ dataset }, head.totalCount)
    rest.recent.set({ dataset }, head.recentCount)
    rest.chainLimit.set({ dataset }, head.chainLimit)
    rest.seq.set({ dataset }, head.seq)
    rest.number.set({ dataset }, head.number)
    rest.snapshotAge.set({ dataset }, age(now, head.snapshotTs))
  }

  #tellBackups(
    dataset: string,
    head: DatasetHead | undefined,
    backups: readonly Backup[] | undefined,
    now: number,
  ): void {
    if (backups === undefined) return
    const own = backups.filter(({ sidecar }) => sidecar.dataset === dataset)
    const bytes = own.reduce((sum, { sidecar }) => sum + sidecar.size_bytes, 0)
    this.#gauges.backupsBytes.set({ dataset }, bytes)
    const newest = own[0]?.sidecar
    if (newest !== undefined) this.#gauges.backupAge.set({ dataset }, age(now, exportedAt(newest)))
    if (head === undefined) return
    const { identity, generation, next } = head
    const same = newest?.identity === identity && newest.generation === generation.number
    // What was written in another generation may be in it or not.
    this.#gauges.backupMissing.set({ dataset }, next - (same ? newest.next : 0))
  }

  #tellRuns(dataset: string, runs: readonly LastRun[]): void {
    for (const { kind, at, success } of runs) {
      this.#gauges.lastRun.set({ dataset, kind }, at / 1000)
      this.#gauges.lastRunSuccess.set({ dataset, kind }, success ? 1 : 0)
    }
  }

  /** The worst finding of each check. */
  #tellHealth(dataset: string, findings: readonly Finding[]): void {
    const worst = new Map<string, number>()
    for (const { check, level } of findings)
      worst.set(check, Math.max(worst.get(check) ?? 0, LEVELS[level]))
    for (const [check, level] of worst) this.#gauges.healthCheck.set({ dataset, check }, level)
  }

  #tellJobs(jobs: readonly Pick<Job, 'kind' | 'state' | 'stuck'>[]): void {
    for (const kind of JOB_KINDS) {
      const running = jobs.filter((job) => job.kind === kind && job.state === 'running')
      this.#gauges.jobRunning.set({ kind }, running.length)
      this.#gauges.jobStuck.set({ kind }, running.filter(({ stuck }) => stuck).length)
    }
  }
}

interface ReadFolder {
  readonly folder: string
  /** When a file was last added to it, or removed. */
  readonly changed: number
  readonly readAt: number
  readonly backups: readonly Backup[]
}

/** A dataset that was just made may not be known to everybody who is asked. */
function orElse<T>(ask: () => T, unknown: T): T {
  try {
    return ask()
  } catch {
    return unknown
  }
}

/** Seconds; a clock that went back makes nothing younger than now. */
const age = (now: number, then: number): number => Math.max(0, now - then) / 1000

/** A gauge without labels says 0 unless it is taken away. */
function put(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove()
  else gauge.set(value)
}

function gauges(registers: Registry[]) {
  const gauge = (name: string, help: string, ...labelNames: string[]): Gauge =>
    new Gauge({ name, help, labelNames, registers })
  const ofDataset = (name: string, help: string): Gauge => gauge(name, help, 'dataset')
  return {
    storeUp: gauge('cairn_store_up', 'Whether the store answers: 1 or 0.'),
    storeBytes: gauge('cairn_store_bytes', 'The size of the store.'),
    storeFreeBytes: gauge('cairn_store_free_bytes', 'What is free where the store lies.'),
    datasetUp: ofDataset('cairn_dataset_up', 'Whether the dataset can be read: 1 or 0.'),
    entities: ofDataset('cairn_entities', 'Live entities.'),
    recent: ofDataset('cairn_recent_entries', 'Entries that wait for a snapshot.'),
    chainLimit: ofDataset('cairn_chain_limit_entries', 'How many may wait.'),
    snapshotAge: ofDataset('cairn_snapshot_age_seconds', 'The age of the newest snapshot.'),
    seq: ofDataset('cairn_snapshot_seq', 'The number of the newest snapshot.'),
    number: ofDataset('cairn_commit_number', 'The number of the newest commit.'),
    backupAge: ofDataset('cairn_backup_age_seconds', 'How long ago the newest CAR was exported.'),
    backupMissing: ofDataset(
      'cairn_backup_missing_entries',
      'Entries that the newest CAR lacks; all where there is none.',
    ),
    backupsBytes: ofDataset('cairn_backups_bytes', 'The size of all CARs in the backups folder.'),
    lastRun: gauge(
      'cairn_last_run_timestamp_seconds',
      'When the last job of the automation ended.',
      'dataset',
      'kind',
    ),
    lastRunSuccess: gauge(
      'cairn_last_run_success',
      'Whether it went well: 1 or 0.',
      'dataset',
      'kind',
    ),
    healthCheck: gauge(
      'cairn_health_check',
      'The worst finding of a check: 0 ok, 1 warning, 2 critical.',
      'dataset',
      'check',
    ),
    jobRunning: gauge('cairn_job_running', 'Jobs under way.', 'kind'),
    jobStuck: gauge('cairn_job_stuck', 'Jobs under way without progress for long.', 'kind'),
  }
}
