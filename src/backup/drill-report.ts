/** The report of a drill: what health checks read. It also remembers the last drill that succeeded. */
import { readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { CairnError } from '../errors.ts'
import type { DrillCheck } from './drill-check.ts'
import type { Drilled } from './drill.ts'
import { writeWhole } from './publish.ts'

const REPORT_SCHEMA = 'cairn/drill-report@v1'
export const REPORT_NAME = 'drill-report.json'

export interface DrillSuccess {
  readonly finished_at: string
  readonly snapshot: string
  readonly rto_ms: number
  readonly rpo_ms: number
}

/** As it stands in the file. */
export interface DrillReport {
  readonly schema: typeof REPORT_SCHEMA
  readonly status: 'passed' | 'failed'
  readonly dataset: string
  readonly started_at: string
  readonly finished_at: string
  readonly sources: readonly string[]
  readonly snapshot: string | null
  readonly total_count: number | null
  readonly checks: readonly DrillCheck[]
  readonly sampled: number
  readonly compared_with_live: number
  readonly open_ms: number | null
  readonly restore_ms: number | null
  readonly verify_ms: number | null
  readonly rto_ms: number | null
  readonly rpo_ms: number | null
  readonly age_ms: number | null
  readonly error: { readonly code: string; readonly message: string } | null
  readonly last_success: DrillSuccess | null
}

export interface DrillCircumstances {
  readonly dataset: string
  readonly sources: readonly string[]
  readonly startedAt: number
  readonly finishedAt: number
  readonly lastSuccess: DrillSuccess | null
}

export function drillReport(
  outcome: Drilled | CairnError,
  { dataset, sources, startedAt, finishedAt, lastSuccess }: DrillCircumstances,
): DrillReport {
  const drilled = 'checks' in outcome ? outcome : undefined
  const error = 'checks' in outcome ? undefined : outcome
  const passed = drilled !== undefined && drilled.checks.every(({ ok }) => ok)
  const finished_at = new Date(finishedAt).toISOString()
  const success = passed
    ? {
        finished_at,
        snapshot: drilled.snapshot,
        rto_ms: drilled.rtoMs,
        rpo_ms: drilled.rpoMs,
      }
    : lastSuccess
  return {
    schema: REPORT_SCHEMA,
    status: passed ? 'passed' : 'failed',
    dataset: drilled?.dataset ?? dataset,
    started_at: new Date(startedAt).toISOString(),
    finished_at,
    sources,
    snapshot: drilled?.snapshot ?? null,
    total_count: drilled?.totalCount ?? null,
    checks: drilled?.checks ?? [],
    sampled: drilled?.sampled ?? 0,
    compared_with_live: drilled?.compared ?? 0,
    open_ms: drilled?.times.openMs ?? null,
    restore_ms: drilled?.times.restoreMs ?? null,
    verify_ms: drilled?.times.verifyMs ?? null,
    rto_ms: drilled?.rtoMs ?? null,
    rpo_ms: drilled?.rpoMs ?? null,
    age_ms: drilled?.ageMs ?? null,
    error: error === undefined ? null : { code: error.code, message: error.message },
    last_success: success,
  }
}

/** The last success that a report remembers of this dataset; null where there is no report to read. */
export async function lastSuccessIn(path: string, dataset: string): Promise<DrillSuccess | null> {
  try {
    const report = JSON.parse(await readFile(path, 'utf8')) as Partial<DrillReport>
    return report.dataset === dataset && isSuccess(report.last_success) ? report.last_success : null
  } catch {
    return null
  }
}

function isSuccess(value: unknown): value is DrillSuccess {
  if (typeof value !== 'object' || value === null) return false
  const { finished_at, snapshot, rto_ms, rpo_ms } = value as Readonly<Record<string, unknown>>
  const isMoment = typeof finished_at === 'string' && !Number.isNaN(Date.parse(finished_at))
  return (
    isMoment && typeof snapshot === 'string' && Number.isFinite(rto_ms) && Number.isFinite(rpo_ms)
  )
}

export async function writeReport(path: string, report: DrillReport): Promise<void> {
  await writeWhole(dirname(path), basename(path), `${JSON.stringify(report, null, 2)}\n`)
}
