/**
 * What people are told of: changes, each once. Pure: what was told before and a new report give the
 * notice to send, if any.
 *
 * A check that is worse than what was told is told at once. One that is better counts as better only when
 * it was so in two reports one after another, so that what wavers around a limit is told once and not
 * at every look. What a report could not look at stays as it was told.
 */
import {
  isWorse,
  worst,
  type Check,
  type Finding,
  type HealthReport,
  type Level,
} from './report.ts'

const CALM_REPORTS = 2

export interface CheckState {
  /** What was told last. */
  readonly level: Exclude<Level, 'ok'>
  /** How many reports in a row were better. */
  readonly calm: number
}

/** The checks that were told to be bad. */
export type AlertState = Readonly<Partial<Record<Check, CheckState>>>

export interface Change {
  readonly check: Check
  readonly from: Level
  readonly to: Level
  /** Of the check as it is now. */
  readonly findings: readonly Finding[]
}

export interface Notice {
  readonly dataset: string
  readonly at: string
  /** Of the dataset now, by what was told. */
  readonly level: Level
  readonly changes: readonly Change[]
}

export interface Alerted {
  readonly state: AlertState
  readonly notice: Notice | undefined
}

export function nextAlerts(before: AlertState, report: HealthReport): Alerted {
  const state: Partial<Record<Check, CheckState>> = {}
  const changes: Change[] = []
  for (const check of checksOf(before, report)) {
    const findings = report.checks.filter((one) => one.check === check)
    const told = before[check]
    const now = findings.length > 0 ? worst(findings) : levelUnseen(told, report)
    const next = step(told, now)
    if (next !== undefined) state[check] = next
    const from: Level = told?.level ?? 'ok'
    const to: Level = next?.level ?? 'ok'
    if (from !== to) changes.push({ check, from, to, findings })
  }
  const { dataset, checked_at: at } = report
  const level = worst(Object.values(state))
  return { state, notice: changes.length === 0 ? undefined : { dataset, at, level, changes } }
}

/** One check: undefined is told to be well. */
function step(told: CheckState | undefined, now: Level): CheckState | undefined {
  const level = told?.level ?? 'ok'
  if (isWorse(now, level)) return now === 'ok' ? undefined : { level: now, calm: 0 }
  if (told === undefined || now === level)
    return told === undefined ? undefined : { ...told, calm: 0 }
  const calm = told.calm + 1
  if (calm < CALM_REPORTS) return { ...told, calm }
  return now === 'ok' ? undefined : { level: now, calm: 0 }
}

/** Without a readable store nothing else is looked at; with one, a check that is gone is no concern any more. */
function levelUnseen(told: CheckState | undefined, { checks }: HealthReport): Level {
  const unreadable = checks.some(({ check, code }) => check === 'store' && code !== undefined)
  return unreadable ? (told?.level ?? 'ok') : 'ok'
}

function checksOf(before: AlertState, { checks }: HealthReport): Check[] {
  const told = Object.keys(before) as Check[]
  return [...new Set([...checks.map(({ check }) => check), ...told])]
}
