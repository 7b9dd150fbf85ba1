/** One look at a dataset: what was seen, judged by the settings. */
import type { Values } from '../config/schema.ts'
import { healthLimits, type Origins } from './limits.ts'
import type { Observation } from './observation.ts'
import { observe, type Place } from './observe.ts'
import { healthReport, type Finding, type HealthReport } from './report.ts'
import { judge } from './rules.ts'

/** What of the findings is reported, and what beside them. */
export type Choose = (findings: readonly Finding[]) => readonly Finding[]

const ALL: Choose = (findings) => findings

export async function lookAt(
  place: Place,
  values: Values,
  origins?: Origins,
  choose?: Choose,
): Promise<HealthReport> {
  return reportOf(await observe({ offsite: values.offsite, ...place }), values, origins, choose)
}

export function reportOf(
  seen: Observation,
  values: Values,
  origins: Origins | undefined,
  choose: Choose = ALL,
): HealthReport {
  const { dataset, at, status } = seen
  const facts = 'value' in status ? status.value : undefined
  return healthReport(
    { dataset, at, recentCount: facts?.recentCount, snapshotTs: facts?.snapshotTs },
    choose(judge(seen, healthLimits(values, origins, at))),
  )
}
