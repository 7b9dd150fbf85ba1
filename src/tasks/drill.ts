/**
 * Trying a backup: it is restored into a store that is thrown away. What goes wrong with the backup is in
 * the report, which is written whatever came of it, and makes the task fail; what is wrong with the call is
 * thrown and writes none.
 */
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { basesOf, hasContent } from '../backup/bases.ts'
import {
  drillReport,
  lastSuccessIn,
  REPORT_NAME,
  writeReport,
  type DrillReport,
} from '../backup/drill-report.ts'
import { drill, type Drilled, type DrillOptions } from '../backup/drill.ts'
import {
  checkAllKnown,
  newestFirst,
  readBackup,
  readBackups,
  type Backup,
} from '../backup/folder.ts'
import { pathsBeside } from '../backup/name.ts'
import { refuseExisting } from '../backup/publish.ts'
import { openCairn } from '../compose.ts'
import type { Cairn } from '../cairn.ts'
import type { Dataset } from '../engine/dataset.ts'
import { CairnError, isCairnError, toCairnError, type ErrorCode } from '../errors.ts'
import { isOffsiteAddress } from '../offsite/place.ts'
import { fetchSources } from '../offsite/sources.ts'
import { fileError, withFiles } from '../util/file-error.ts'
import { systemCodeOf } from '../util/system-error.ts'
import { longOptions, note, TaskFailure, type TaskContext } from './context.ts'

export interface DrillTaskOptions {
  /** These CARs instead of the newest backup; an address of a bucket is the newest copy in it. */
  readonly from?: readonly string[] | undefined
  /** Secret keys of age. */
  readonly identities?: readonly string[] | undefined
  /** How many entities are looked at one by one; 100 unless given. */
  readonly sample?: number | undefined
  /** Fail if the restore takes longer. */
  readonly maxRtoMs?: number | undefined
  /** Fail if a loss now would cost more than this. */
  readonly maxRpoMs?: number | undefined
  /** Where the scratch store is made; the system's temporary folder unless given. */
  readonly scratch?: string | undefined
  /** Of the scratch store. */
  readonly cacheBytes?: number | undefined
  /** Write the report to this file, too. */
  readonly report?: string | undefined
}

/** Without a store it can be done, too: it is for the day when there is none. */
export type DrillContext = Omit<TaskContext, 'cairn' | 'backend'> & {
  readonly cairn: Cairn | undefined
}

export type DrillRecord = Readonly<Pick<DrillReport, keyof DrillReport>>

export const DRILL_SAMPLE = 100
/** These are not about the backup. */
const NOT_ABOUT_BACKUPS: readonly ErrorCode[] = ['usage', 'config', 'aborted']

export async function drillTask(
  context: DrillContext,
  options: DrillTaskOptions = {},
): Promise<DrillRecord> {
  const { backupsDir, dataset, now } = context
  const path = join(backupsDir, REPORT_NAME)
  const startedAt = now()
  const lastSuccess = await lastSuccessIn(path, dataset)
  const { outcome, sources } = await rehearse(context, options)
  const circumstances = { dataset, sources, startedAt, finishedAt: now(), lastSuccess }
  const report: DrillRecord = drillReport(outcome, circumstances)
  await writeReports(report, path, options.report)
  if (report.status === 'failed') throw new TaskFailure(failed(report, outcome, path), report)
  return report
}

async function writeReports(
  report: DrillRecord,
  path: string,
  also: string | undefined,
): Promise<void> {
  const folder = dirname(path)
  await withFiles(folder, async () => {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await writeReport(path, report)
  })
  if (also === undefined) return
  await refuseExisting([also], true)
  await withFiles(also, () => writeReport(also, report))
}

interface Rehearsed {
  readonly outcome: Drilled | CairnError
  readonly sources: readonly string[]
}

async function rehearse(context: DrillContext, options: DrillTaskOptions): Promise<Rehearsed> {
  let sources: readonly string[] = []
  try {
    const scratch = options.scratch ?? tmpdir()
    await using found = await whatToRestore(context, options.from, scratch)
    sources = found.sources.map((path) => found.names?.get(path) ?? path)
    const outcome = await drill({
      ...longOptions(context),
      ...found,
      live: await liveDataset(context),
      identities: options.identities,
      sample: options.sample ?? DRILL_SAMPLE,
      maxRtoMs: options.maxRtoMs,
      maxRpoMs: options.maxRpoMs,
      scratch,
      openStore: (folder) => openScratch(context, folder, options.cacheBytes),
      now: context.now,
    })
    return { outcome, sources }
  } catch (error) {
    const outcome = toCairnError(error)
    if (NOT_ABOUT_BACKUPS.includes(outcome.code)) throw outcome
    return { outcome, sources }
  }
}

interface ToRestore extends AsyncDisposable, Pick<DrillOptions, 'sources' | 'names' | 'fetchMs'> {
  readonly backup: Backup | undefined
}

async function whatToRestore(
  context: DrillContext,
  given: readonly string[] | undefined,
  scratch: string,
): Promise<ToRestore> {
  if (given?.some(isOffsiteAddress) === true) return fetchGiven(context, given, scratch)
  const found = given === undefined ? await newestHere(context) : await namedFiles(given)
  return { ...found, [Symbol.asyncDispose]: async () => {} }
}

async function fetchGiven(
  context: DrillContext,
  given: readonly string[],
  scratch: string,
): Promise<ToRestore> {
  await mkdir(scratch, { recursive: true, mode: 0o700 })
  const began = performance.now()
  const { dataset } = context
  const wanted = { dataset, fallback: dataset, tempDir: scratch }
  const fetched = await fetchSources(given, { ...longOptions(context), ...wanted })
  for (const text of fetched.notes) note(context, text)
  const { sources, names, copies } = fetched
  return {
    sources,
    names,
    fetchMs: performance.now() - began,
    backup: copies.length === sources.length ? newestFirst(copies)[0] : undefined,
    [Symbol.asyncDispose]: () => fetched.close(),
  }
}

type Found = Omit<ToRestore, typeof Symbol.asyncDispose>

const namedFiles = async (sources: readonly string[]): Promise<Found> => ({
  sources,
  backup: await newestOf(sources),
})

async function newestHere({ backupsDir, dataset }: DrillContext): Promise<Found> {
  const folder = await readBackups(backupsDir)
  checkAllKnown(folder)
  const { backups } = folder
  const own = backups.filter(({ sidecar }) => sidecar.dataset === dataset)
  const backup = own.find(hasContent)
  if (backup === undefined) {
    const what = own.length === 0 ? 'no backup' : 'no backup with its content'
    throw new CairnError('not_found', `There is ${what} of "${dataset}" in ${backupsDir}.`, {
      hint: 'Make one with `cairn export-car`; cron can do it every night.',
      path: backupsDir,
    })
  }
  const bases = basesOf(backups, backup)
  if (bases !== undefined)
    return { sources: [backup, ...bases].map(({ paths }) => paths.car), backup }
  throw new CairnError(
    'base_missing',
    `The base of ${backup.paths.car} is not in the folder of backups.`,
    { hint: 'Export a full CAR, or name the files with --from.', path: backup.paths.car },
  )
}

/** The newest state in CARs that have a sidecar. */
async function newestOf(cars: readonly string[]): Promise<Backup | undefined> {
  const found: Backup[] = []
  for (const car of cars) {
    const backup = await backupOf(car)
    if (backup !== undefined) found.push(backup)
  }
  return found.length === cars.length ? newestFirst(found)[0] : undefined
}

/** A CAR may lack a sidecar, but not contradict it: one that is there and cannot be right is a failure. */
async function backupOf(car: string): Promise<Backup | undefined> {
  const paths = pathsBeside(car)
  try {
    return await readBackup(paths)
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined
    throw isCairnError(error) ? error : fileError(error, paths.sidecar, 'read')
  }
}

/** The dataset that is in use, if it can be opened. */
async function liveDataset(context: DrillContext): Promise<Dataset | undefined> {
  try {
    return await context.cairn?.dataset(context.dataset)
  } catch (error) {
    if (!isCairnError(error) || error.code === 'aborted') throw error
    noteNoLive(context, error)
    return undefined
  }
}

export function noteNoLive(
  context: Pick<TaskContext, 'dataset' | 'log' | 'onNote'>,
  { message }: CairnError,
): void {
  note(context, `compared with no live dataset: ${message}`)
}

function openScratch(
  { log, signal }: DrillContext,
  folder: string,
  cacheBytes: number | undefined,
): Promise<Cairn> {
  return openCairn(`lmdb:${folder}`, { create: true, cacheBytes, log, signal })
}

function failed(report: DrillRecord, outcome: Drilled | CairnError, path: string): CairnError {
  const bad = report.checks.filter(({ ok }) => !ok).map(({ name }) => name)
  const [why, hint] =
    'checks' in outcome ? [`failed: ${bad.join(', ')}`, undefined] : [outcome.message, outcome.hint]
  return new CairnError('unhealthy', `The drill of "${report.dataset}" failed: ${why}`, {
    hint: hint ?? `The report is ${path}. Make a new backup with \`cairn export-car\`, and try it.`,
    path,
  })
}
