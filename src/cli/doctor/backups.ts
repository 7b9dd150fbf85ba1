/** Checks of the backups: their folder, whether they have everything, and whether one was ever tried. */
import { access, constants, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { exportedAt, readBackups, type Backup, type BackupFolder } from '../../backup/folder.ts'
import type { Config } from '../../config/resolve.ts'
import type { Dataset } from '../../engine/dataset.ts'
import type { DatasetStatus } from '../../engine/status.ts'
import { readAutomation } from '../../health/automation-facts.ts'
import { folderBytes } from '../../health/disk.ts'
import type { AutomationFacts, DatasetFacts, DrillFacts } from '../../health/observation.ts'
import { factsOf, readDrillIn } from '../../health/observe.ts'
import { healthLimits } from '../../health/limits.ts'
import { restorable } from '../../health/rules-backups.ts'
import { ageText } from '../../health/words.ts'
import { formatTime } from '../../model/time.ts'
import { counted, formatBytes } from '../format.ts'
import { failed, failedWith, ok, skipped, warning, type CheckResult, type Report } from './check.ts'
import { waitingSince, type Looking } from './saving.ts'

/** A session backs up every five minutes, unless its program says otherwise. */
const SESSION_UNBACKED_MS = 60 * 60_000

export interface BackupsPlace extends Looking {
  readonly config: Config
  readonly status: DatasetStatus
  readonly hasSession: boolean
}

export async function checkBackups(place: BackupsPlace, report: Report): Promise<void> {
  const { backups_dir: folder } = place.config.values
  await report(await checkFolder(folder))
  await reportAll('backups', () => lookAtBackups(place, folder), report)
  const lookAtDrill = async (): Promise<CheckResult[]> => [
    drillResult(await readDrillIn(folder), place.dataset.name),
  ]
  await reportAll('drill', lookAtDrill, report)
}

/** What cannot be looked at is told as that, and keeps nothing else from being seen. */
async function reportAll(
  name: string,
  look: () => Promise<readonly CheckResult[]>,
  report: Report,
): Promise<void> {
  const results = await look().catch((error: unknown) => [failedWith(name, error)])
  for (const result of results) await report(result)
}

async function lookAtBackups(
  { config, dataset, status, hasSession, now, signal }: BackupsPlace,
  folder: string,
): Promise<CheckResult[]> {
  const { values, origins } = config
  const facts = factsOf(status)
  const found = await readBackups(folder)
  const automation = await readAutomation(values.data_dir, dataset.name)
  const newest = restorable(found.backups, dataset.name)[0]
  const judged = backupsResult({
    folder,
    newest,
    since: await unbackedSince(dataset, newest, facts, signal),
    now,
    patience: hasSession ? SESSION_UNBACKED_MS : values.max_car_age,
    isExpected: hasSession || automation !== undefined || origins.backups_dir !== 'default',
    isOff:
      automation !== undefined && healthLimits(values, origins, now).exportEveryMs === undefined,
  })
  return [
    judged,
    ...damagedResults(found),
    ...unfinishedResults(found),
    ...automationResults(automation),
    ...sizeResults(await folderBytes(folder), status),
  ]
}

/** Made by the first backup, if it is not there. */
export async function checkFolder(path: string): Promise<CheckResult> {
  const name = 'backups folder'
  const folder = resolve(path)
  const hint = `Run as its owner, or: mkdir -p ${folder}, and chown it to the user who runs Cairn.`
  const found = await stat(folder).catch(() => undefined)
  if (found?.isDirectory() === false) return failed(name, `${folder} is no folder.`, hint)
  const isWritable = await canWrite(found === undefined ? await nearest(folder) : folder)
  if (!isWritable) return failed(name, `${folder} may not be written by this user.`, hint)
  return found === undefined
    ? skipped(name, `the first backup makes ${folder}`)
    : ok(name, `${folder} can be written`)
}

/** The nearest folder above that is there. */
async function nearest(folder: string): Promise<string> {
  for (let above = dirname(folder); ; above = dirname(above)) {
    const found = await stat(above).catch(() => undefined)
    if (found !== undefined || dirname(above) === above) return above
  }
}

async function canWrite(path: string): Promise<boolean> {
  if ((await stat(path)).isDirectory() === false) return false
  return access(path, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  )
}

/** When the oldest entry was made that is in no backup, or, where that would mean to read a long log, not before it. */
async function unbackedSince(
  dataset: Dataset,
  newest: Backup | undefined,
  facts: DatasetFacts,
  signal: AbortSignal,
): Promise<number | undefined> {
  const isOfThis =
    newest?.sidecar.identity === facts.identity && newest.sidecar.generation === facts.generation
  const from = isOfThis ? newest.sidecar.next : 0
  if (isOfThis || facts.recentCount >= facts.next) return waitingSince(dataset, from, facts, signal)
  let oldest = facts.snapshotTs
  for await (const { ts } of dataset.snapshots({ signal })) oldest = Math.min(oldest, ts)
  return oldest
}

export interface BackupFacts {
  readonly folder: string
  /** That could be restored. */
  readonly newest: Backup | undefined
  /** When the oldest entry was made that it lacks; undefined: it has all. */
  readonly since: number | undefined
  readonly now: number
  readonly patience: number
  /** Somebody has said that there should be some. */
  readonly isExpected: boolean
  /** The service was told to make none. */
  readonly isOff: boolean
}

function backupsResult({
  folder,
  newest,
  since,
  now,
  patience,
  isExpected,
  isOff,
}: BackupFacts): CheckResult {
  const name = 'backups'
  if (since === undefined) return ok(name, 'the newest one has everything')
  const of = newest === undefined ? undefined : formatTime(exportedAt(newest.sidecar))
  if (of === undefined && !isExpected) return skipped(name, `there are none in ${folder}`)
  const late = `what is new since ${formatTime(since)} is in no backup`
  if (now - since <= patience)
    return ok(name, of === undefined ? late : `the newest is of ${of}; ${late}`)
  const why = isOff
    ? 'The setting export_schedule is "never", so none are made. '
    : 'Does the program run, with backups on and this folder? '
  return warning(
    name,
    of === undefined
      ? `No backup in ${folder} could be restored, and there is something to back up since ${formatTime(since)}.`
      : `The newest is of ${of}, and ${late}, ${ageText(now - since)} ago.`,
    `${why}\`cairn export-car\` makes one now, or says what keeps it from it.`,
  )
}

function damagedResults({ damaged }: BackupFolder): CheckResult[] {
  const [first] = damaged
  if (first === undefined) return []
  const hint = '`cairn car verify FILE` looks closely; take another copy, or remove it.'
  return [warning('damaged backups', `${counted(damaged.length, 'backup')}: ${first.reason}`, hint)]
}

function unfinishedResults({ unfinished }: BackupFolder): CheckResult[] {
  const [first] = unfinished
  if (first === undefined) return []
  const hint =
    'An export that was cut off is finished by one that comes a day later. Other CARs count for nothing: move them away.'
  const found = `${counted(unfinished.length, 'CAR')} without a sidecar: ${first}`
  return [warning('unfinished backups', found, hint)]
}

export function automationResults(automation: AutomationFacts | undefined): CheckResult[] {
  const runs = [
    ['last snapshot', automation?.build, 'cairn build-snapshot'],
    ['last backup', automation?.export, 'cairn export-car'],
  ] as const
  return runs.flatMap(([name, run, command]) =>
    run?.failed === true
      ? [
          warning(
            name,
            `The service failed at it at ${formatTime(run.finishedAt)}: ${run.message ?? 'it was cut off'}`,
            `\`${command}\` tries it again and shows why.`,
          ),
        ]
      : [],
  )
}

/** More than what is free: the next few may not fit. */
export function sizeResults(bytes: number, { store }: Pick<DatasetStatus, 'store'>): CheckResult[] {
  const { freeBytes } = store
  if (freeBytes === undefined || bytes <= freeBytes) return []
  return [
    warning(
      'size of backups',
      `The backups take ${formatBytes(bytes)}, and ${formatBytes(freeBytes)} are free.`,
      'Keep fewer, or make them less often; `cairn prune --cars --dry-run` shows what would go.',
    ),
  ]
}

export function drillResult(drill: DrillFacts | undefined, dataset: string): CheckResult {
  const name = 'drill'
  if (drill?.dataset !== dataset)
    return skipped(name, 'no backup was tried yet; `cairn drill` does')
  const at = formatTime(drill.finishedAt)
  if (drill.passed) return ok(name, `a restore was tried at ${at}, and passed`)
  return failed(
    name,
    `The restore that was tried at ${at} failed.`,
    'drill-report.json in the backups folder says why. Make a new backup, and run `cairn drill` again.',
  )
}
