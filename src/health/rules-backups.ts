/** Rules about the backups. Pure. */
import { basesOf, hasContent } from '../backup/bases.ts'
import { exportedAt, type Backup } from '../backup/folder.ts'
import type { HealthLimits } from './limits.ts'
import type { DatasetFacts, DrillFacts, Observation } from './observation.ts'
import type { Finding } from './report.ts'
import { ageText, gigabytesText, HOUR_MS, timeText } from './words.ts'

const LEAST_CAR_AGE_MS = 48 * HOUR_MS
/** Smaller CARs double by a few entries. */
const LEAST_GROWN_BYTES = 1 << 20

/** The backups of a dataset that can be restored from what lies in the folder, newest first. */
export function restorable(backups: readonly Backup[], dataset: string): Backup[] {
  const own = backups.filter(({ sidecar }) => sidecar.dataset === dataset)
  return own.filter((one) => hasContent(one) && basesOf(own, one) !== undefined)
}

/** Whether it holds every entry that the dataset has. */
export function isComplete({ sidecar }: Backup, facts: DatasetFacts): boolean {
  return (
    sidecar.identity === facts.identity &&
    sidecar.generation === facts.generation &&
    sidecar.next === facts.next
  )
}

export function carRule(
  { dataset, backupsDir, at, automation }: Observation,
  facts: DatasetFacts,
  all: readonly Backup[],
  limits: HealthLimits,
): Finding[] {
  const hint = 'cairn export-car'
  if (facts.next === 0)
    return [{ check: 'car', level: 'ok', message: 'Nothing was written yet that a CAR could hold' }]
  const backups = restorable(all, dataset)
  const complete = backups.find((one) => isComplete(one, facts))
  if (complete !== undefined)
    return [
      {
        check: 'car',
        level: 'ok',
        message: `the CAR ${complete.sidecar.filename} has all entries`,
      },
    ]
  const newest = backups.toSorted((a, b) => exportedAt(b.sidecar) - exportedAt(a.sidecar))[0]
  if (newest === undefined) {
    const message = `No backups found! No CAR of "${dataset}" in ${backupsDir} could be restored`
    return [{ check: 'car', level: 'critical', message, hint }]
  }
  const age = at - exportedAt(newest.sidecar)
  const isServed = 'value' in automation && automation.value !== undefined
  const threshold = limits.maxCarAgeMs ?? defaultCarAge(isServed ? limits.exportEveryMs : undefined)
  return [
    {
      check: 'car',
      level: age > threshold ? 'critical' : 'ok',
      message: `The newest CAR, ${newest.sidecar.filename}, is ${ageText(age)} old and lacks the newest entries`,
      value: age,
      threshold,
      hint,
    },
  ]
}

/** A schedule counts only where a service keeps it. */
function defaultCarAge(exportEveryMs: number | undefined): number {
  return Math.max(LEAST_CAR_AGE_MS, 2 * (exportEveryMs ?? 0))
}

export function drillRule(
  { dataset, backupsDir, at }: Observation,
  facts: DatasetFacts,
  drill: DrillFacts | undefined,
  { maxDrillAgeMs }: HealthLimits,
): Finding[] {
  const hint = 'cairn drill'
  if (facts.next === 0)
    return [{ check: 'drill', level: 'ok', message: 'Nothing was written yet that could be lost' }]
  if (drill?.dataset !== dataset) {
    const message = `There is no report of a drill of "${dataset}" in ${backupsDir}`
    return [{ check: 'drill', level: 'warning', message, hint }]
  }
  if (!drill.passed) {
    const message = `The drill of ${timeText(drill.finishedAt)} failed`
    return [{ check: 'drill', level: 'critical', message, hint: 'See drill-report.json there.' }]
  }
  const age = at - drill.finishedAt
  const took = drill.rtoMs === undefined ? '' : `, restored in ${drill.rtoMs} ms`
  return [
    {
      check: 'drill',
      level: age > maxDrillAgeMs ? 'warning' : 'ok',
      message: `The newest drill passed ${ageText(age)} ago${took}`,
      value: age,
      threshold: maxDrillAgeMs,
      hint,
    },
  ]
}

export function backupsRule(bytes: number, { maxBackupsBytes }: HealthLimits): Finding[] {
  return [
    {
      check: 'backups',
      level: bytes > maxBackupsBytes ? 'warning' : 'ok',
      message: `Backup directory is ${gigabytesText(bytes)}`,
      value: bytes,
      threshold: maxBackupsBytes,
      hint: 'cairn prune --cars, or raise max_backups_bytes',
    },
  ]
}

/** A CAR twice as large as the one before it: something writes more than it did, or twice. */
export function growthRule(
  { identity }: Pick<DatasetFacts, 'identity'>,
  backups: readonly Backup[],
): Finding[] {
  const full = backups.filter(
    ({ sidecar }) => sidecar.identity === identity && sidecar.since === null,
  )
  const [newest] = full
  const before = full.find(
    (one) => one !== newest && one.sidecar.content === newest?.sidecar.content,
  )
  if (newest === undefined || before === undefined) return []
  const [now, then] = [newest.sidecar.size_bytes, before.sidecar.size_bytes]
  const doubled = now >= 2 * then && now >= LEAST_GROWN_BYTES
  return [
    {
      check: 'growth',
      level: doubled ? 'warning' : 'ok',
      message: `${newest.sidecar.filename} has ${now} bytes, the CAR before it ${then}`,
      value: now,
      threshold: 2 * then,
      hint: 'cairn car diff, to see what was added',
    },
  ]
}
