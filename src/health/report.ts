/** What is said of a dataset's health: findings, one or more for each check, and the verdict over them. */
import type { ErrorCode } from '../errors.ts'

export type Level = 'ok' | 'warning' | 'critical'

export const CHECKS = [
  'store',
  'chain',
  'snapshot',
  'car',
  'offsite',
  'disk',
  'drill',
  'verify',
  'build',
  'export',
  'backups',
  'growth',
  'durability',
] as const

export type Check = (typeof CHECKS)[number]

export interface Finding {
  readonly check: Check
  readonly level: Level
  readonly message: string
  readonly hint?: string
  readonly value?: number
  readonly threshold?: number
  /** Of what failed when it was looked at. */
  readonly code?: ErrorCode
}

/** As it is printed and sent. */
export interface HealthReport {
  readonly healthy: boolean
  readonly level: Level
  readonly dataset: string
  readonly checked_at: string
  readonly recent_count: number | null
  readonly snapshot_ts: string | null
  /** The findings that are not ok. */
  readonly alerts: readonly Finding[]
  readonly checks: readonly Finding[]
}

export interface ReportFacts {
  readonly dataset: string
  readonly at: number
  readonly recentCount: number | undefined
  readonly snapshotTs: number | undefined
}

export function healthReport(
  { dataset, at, recentCount, snapshotTs }: ReportFacts,
  checks: readonly Finding[],
): HealthReport {
  const alerts = checks.filter(({ level }) => level !== 'ok')
  return {
    healthy: alerts.length === 0,
    level: worst(alerts),
    dataset,
    checked_at: new Date(at).toISOString(),
    recent_count: recentCount ?? null,
    snapshot_ts: snapshotTs === undefined ? null : new Date(snapshotTs).toISOString(),
    alerts,
    checks,
  }
}

const RANK: Readonly<Record<Level, number>> = { ok: 0, warning: 1, critical: 2 }

export const isWorse = (a: Level, b: Level): boolean => RANK[a] > RANK[b]

export function worst(findings: readonly { readonly level: Level }[]): Level {
  return findings.reduce<Level>((so, { level }) => (isWorse(level, so) ? level : so), 'ok')
}

/** A line for people, as cron mails it. */
export function findingLine({ check, level, message }: Finding): string {
  const name = level === 'ok' ? 'OK' : level.toUpperCase()
  // The alert of the chain has the words that people and older programs look for.
  return check === 'chain' && level !== 'ok'
    ? `${name}: ${message}`
    : `${name}: ${check}: ${message}`
}
