/** What the automation says in the log, in the words that people look for there. */
import type { Logger } from '../engine/logger.ts'
import { toCairnError } from '../errors.ts'
import type { Job } from '../jobs/job.ts'
import type { DatasetFacts } from './decide.ts'
import { printRule, type AutomationPolicy } from './policy.ts'

/** A save is told of only when the snapshot was read back, proved and committed. */
export function logSave(
  log: Logger,
  { id, dataset, state, reason, reasons, result, error }: Job,
): void {
  const fields = { dataset, job: id, reason, reasons }
  if (state === 'failed') {
    const { code, message: why } = error ?? { code: 'internal', message: 'the reason is not known' }
    const message = `Failed to save (reason: ${reason}): ${why}`
    log.error('save.failed', { ...fields, code, message })
  }
  if (state !== 'succeeded' || result?.['status'] !== 'built') return
  const { snapshot, seq, folded } = result
  const message = `Session saved to disk (reason: ${reason})`
  log.info('save.done', { ...fields, snapshot, seq, folded, message })
}

export function logPolicy(log: Logger, event: string, policy: AutomationPolicy): void {
  const { saveIntervalMs, saveRules, maxLagMs, timeZone, schedules } = policy
  const message =
    saveIntervalMs > 0
      ? `Auto-save enabled (interval: ${saveIntervalMs / 1000}s)`
      : `Auto-save by interval is off (rules: ${saveRules.map(printRule).join(', ') || 'never'})`
  log.info(event, {
    message,
    save_rules: saveRules.map(printRule),
    max_lag_ms: maxLagMs,
    time_zone: timeZone,
    schedules: Object.fromEntries(
      Object.entries(schedules).map(([kind, schedule]) => [kind, schedule.cron]),
    ),
  })
}

/** A long chain is told of once for each snapshot that it grows on. */
export class ChainWarnings {
  readonly #dataset: string
  readonly #log: Logger
  #longOn = ''
  #urgentOn = ''
  #misfit = ''

  constructor(dataset: string, log: Logger) {
    this.#dataset = dataset
    this.#log = log
  }

  look({ recentCount, thresholds }: DatasetFacts, snapshot: string): void {
    const fields = { dataset: this.#dataset, recent_count: recentCount }
    if (recentCount >= thresholds.emergency && this.#urgentOn !== snapshot) {
      this.#urgentOn = snapshot
      this.#longOn = snapshot
      const message = `CRITICAL: Recent chain has ${recentCount} entries (threshold: ${thresholds.emergency})`
      this.#log.error('chain.emergency', { ...fields, message })
    }
    if (recentCount >= thresholds.rebuild && this.#longOn !== snapshot) {
      this.#longOn = snapshot
      const message = `WARNING: Recent chain has ${recentCount} items. Rebuild recommended.`
      this.#log.info('chain.long', { ...fields, message })
    }
  }

  misfit(error: unknown): void {
    const { code, message, hint } = toCairnError(error)
    if (message === this.#misfit) return
    this.#misfit = message
    this.#log.error('automation.config', { dataset: this.#dataset, code, message, hint })
  }
}
