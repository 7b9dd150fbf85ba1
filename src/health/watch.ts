/**
 * Watching all datasets of a store: looks at each every `health_interval`, and tells people what has
 * changed since they were told last. A store that does not answer is itself a finding.
 */
import type { Values } from '../config/schema.ts'
import type { Cairn } from '../cairn.ts'
import type { Logger } from '../engine/logger.ts'
import { toCairnError } from '../errors.ts'
import { alertMemoryPath, readAlertMemory, writeAlertMemory } from './alert-memory.ts'
import { nextAlerts, type Notice } from './alerts.ts'
import { withinDeadline, type Deadline } from './deadline.ts'
import { parseWebhook, postNotice, runAlertCommand, type Webhook } from './deliver.ts'
import { healthLimits, type Origins } from './limits.ts'
import { subjectOf, textOf } from './notice.ts'
import { lookAt } from './look.ts'
import type { Place } from './observe.ts'
import { rememberedOffsite, type LookOffsite } from './offsite.ts'
import { Outbox, type Senders } from './outbox.ts'
import type { HealthReport } from './report.ts'

export interface HealthWatch {
  /** Looks now. Who asks while a look is under way gets that one. */
  check(dataset: string): Promise<HealthReport>
  latest(dataset: string): HealthReport | undefined
  start(): void
  /** Stops looking and telling; what was not told yet is told after the next start. */
  stop(): Promise<void>
  /** Refuses settings that make no sense, and then goes on with the old ones. */
  reload(values: Values, origins?: Origins): void
}

export interface WatchOptions {
  readonly cairn: Cairn
  readonly values: Values
  readonly origins?: Origins | undefined
  readonly now: () => number
  readonly log: Logger
  /** How long a store may take to answer a look (30 s). */
  readonly deadlineMs?: number
  /** How long a webhook or a command may take (15 s). */
  readonly deliverMs?: number
  readonly firstRetryMs?: number
}

const DEADLINE_MS = 30_000
const DELIVER_MS = 15_000
/** So long what is being sent may take when all ends, so that it need not be sent again. */
const GRACE_MS = 2000

interface Settings {
  readonly values: Values
  readonly origins: Origins | undefined
  readonly webhook: Webhook | undefined
}

export function openHealthWatch(options: WatchOptions): HealthWatch {
  return new Watch(options)
}

class Watch implements HealthWatch {
  readonly #options: WatchOptions
  readonly #stop = new AbortController()
  readonly #cut = new AbortController()
  readonly #looking = new Map<string, Promise<HealthReport>>()
  readonly #latest = new Map<string, HealthReport>()
  readonly #lookOffsite: LookOffsite
  readonly #outboxes = new Map<string, Promise<Outbox>>()
  #settings: Settings
  #timer: NodeJS.Timeout | undefined
  #round: Promise<void> = Promise.resolve()

  constructor(options: WatchOptions) {
    this.#options = options
    this.#lookOffsite = rememberedOffsite(options.now)
    this.#settings = settingsOf(options, options.now())
  }

  check(dataset: string): Promise<HealthReport> {
    const known = this.#looking.get(dataset)
    if (known !== undefined) return known
    const looking = this.#look(dataset).finally(() => this.#looking.delete(dataset))
    this.#looking.set(dataset, looking)
    return looking
  }

  latest(dataset: string): HealthReport | undefined {
    return this.#latest.get(dataset)
  }

  start(): void {
    if (this.#timer === undefined) this.#schedule(0)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    clearTimeout(this.#timer)
    const grace = setTimeout(() => this.#cut.abort(), GRACE_MS)
    await this.#round
    for (const outbox of await Promise.all(this.#outboxes.values())) await outbox.settled()
    clearTimeout(grace)
  }

  reload(values: Values, origins?: Origins): void {
    this.#settings = settingsOf({ values, origins }, this.#options.now())
  }

  async #look(dataset: string): Promise<HealthReport> {
    const { cairn, now } = this.#options
    const { values, origins } = this.#settings
    const around = { ...this.#deadline(), cairn, now, lookOffsite: this.#lookOffsite }
    const place = { ...placeOf(values), ...around, dataset }
    const report = await lookAt(place, values, origins)
    this.#latest.set(dataset, report)
    return report
  }

  #schedule(ms: number): void {
    if (this.#stop.signal.aborted) return
    this.#timer = setTimeout(() => {
      this.#round = this.#lookAtAll().finally(() =>
        this.#schedule(this.#settings.values.health_interval),
      )
    }, ms)
    this.#timer.unref()
  }

  async #lookAtAll(): Promise<void> {
    const names = await this.#names()
    for (const name of this.#latest.keys()) if (!names.includes(name)) this.#latest.delete(name)
    for (const name of names) {
      if (this.#stop.signal.aborted) return
      try {
        await this.#tell(await this.check(name))
      } catch (error) {
        this.#failed(name, error)
      }
    }
  }

  /** Where the store does not even tell which datasets it has, those that were there before. */
  async #names(): Promise<readonly string[]> {
    const { dataset } = this.#settings.values
    try {
      const { cairn } = this.#options
      const names = await withinDeadline(this.#deadline(), 'The store', () => cairn.datasets())
      return names.length > 0 ? names : [dataset]
    } catch {
      return this.#latest.size > 0 ? [...this.#latest.keys()] : [dataset]
    }
  }

  #deadline(): Deadline {
    return { deadlineMs: this.#options.deadlineMs ?? DEADLINE_MS, signal: this.#stop.signal }
  }

  async #tell(report: HealthReport): Promise<void> {
    const outbox = await this.#outbox(report.dataset)
    const { state, notice } = nextAlerts(outbox.state, report)
    if (notice !== undefined) this.#logChange(notice)
    await outbox.post(state, notice)
  }

  #logChange(notice: Notice): void {
    const { dataset, level } = notice
    const fields = { dataset, level, message: subjectOf(notice), text: textOf(notice) }
    if (level === 'ok') this.#options.log.info('health.changed', fields)
    else this.#options.log.error('health.changed', fields)
  }

  #failed(dataset: string, error: unknown): void {
    if (this.#stop.signal.aborted) return
    const { message } = toCairnError(error)
    this.#options.log.error('health.failed', { dataset, message })
  }

  /** One that could not be opened is tried again. */
  #outbox(dataset: string): Promise<Outbox> {
    const known = this.#outboxes.get(dataset)
    if (known !== undefined) return known
    const opening = this.#openOutbox(dataset)
    this.#outboxes.set(dataset, opening)
    opening.catch(() => this.#outboxes.delete(dataset))
    return opening
  }

  async #openOutbox(dataset: string): Promise<Outbox> {
    const { log, firstRetryMs } = this.#options
    const path = alertMemoryPath(this.#settings.values.data_dir, dataset)
    return new Outbox({
      dataset,
      memory: await readAlertMemory(path, log),
      save: (memory) => writeAlertMemory(path, memory),
      senders: () => this.#senders(),
      log,
      stop: this.#stop.signal,
      cut: this.#cut.signal,
      ...(firstRetryMs === undefined ? {} : { firstRetryMs }),
    })
  }

  #senders(): Senders {
    const { webhook, values } = this.#settings
    const { alert_command: command } = values
    const timeoutMs = this.#options.deliverMs ?? DELIVER_MS
    return {
      ...(webhook === undefined
        ? {}
        : { webhook: (notice, signal) => postNotice(notice, webhook, { timeoutMs, signal }) }),
      ...(command === null
        ? {}
        : { command: (notice, signal) => runAlertCommand(notice, command, { timeoutMs, signal }) }),
    }
  }
}

function settingsOf(
  { values, origins }: Pick<WatchOptions, 'values' | 'origins'>,
  now: number,
): Settings {
  healthLimits(values, origins, now)
  const { alert_webhook: url, alert_webhook_shape: shape } = values
  return { values, origins, webhook: url === null ? undefined : parseWebhook(url, shape) }
}

const placeOf = ({ data_dir, backups_dir }: Values): Pick<Place, 'dataDir' | 'backupsDir'> => ({
  dataDir: data_dir,
  backupsDir: backups_dir,
})
