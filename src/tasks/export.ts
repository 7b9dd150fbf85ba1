/**
 * Exporting a CAR that can be relied on. Older ones go only when it is there, and then the hook runs and the
 * copies are made: what fails from then on leaves it.
 */
import { flawOf } from '../backup/flaw.ts'
import { readBackups, type Backup, type BackupFolder } from '../backup/folder.ts'
import { runHook } from '../backup/hook.ts'
import { proveRetention } from '../backup/prove-retention.ts'
import { planBackupRetention, removeBackup } from '../backup/retain.ts'
import type { Sidecar } from '../backup/sidecar.ts'
import {
  exportToFile,
  exportToFolder,
  type BackedUp,
  type WriteCarOptions,
} from '../backup/write-car.ts'
import { throwIfAborted, toCairnError, type CairnError } from '../errors.ts'
import type { CarContent } from '../model/checkpoint.ts'
import { checkPolicy, type RetentionPolicy } from '../retention/policy.ts'
import { withFiles } from '../util/file-error.ts'
import { longOptions, note, TaskFailure, type TaskContext } from './context.ts'
import { copyOffsite, type OffsiteExport, type OffsiteRecord } from './offsite.ts'

/** What goes into a CAR, and in which form. */
export interface CarOptions {
  /** `full` unless given. */
  readonly content?: CarContent | undefined
  /** A delta: only what this kept snapshot does not reach. */
  readonly since?: string | undefined
  /** A kept snapshot instead of the current state. */
  readonly snapshot?: string | undefined
  /** A CARv2, with an index. */
  readonly v2?: boolean | undefined
  /** Public keys of age. */
  readonly encryptTo?: readonly string[] | undefined
  /** Export even what is there already; replace the file. */
  readonly force?: boolean | undefined
}

export interface ExportTaskOptions extends CarOptions {
  /** This file instead of one in the backups folder. */
  readonly file?: string | undefined
  /** Then remove all but the newest so many backups of the kind; of a `file` none is. */
  readonly keep?: number | undefined
  /** Or those that these rules do not name. */
  readonly policy?: RetentionPolicy | undefined
  /** Run by the shell when the CAR is there; $1 is its path. */
  readonly after?: string | undefined
  /** How long that may take; an hour unless given. */
  readonly afterTimeoutMs?: number | undefined
  /** Where the backups of the folder are copied then; a `file` is not. */
  readonly offsite?: OffsiteExport | undefined
}

export type ExportRecord = Readonly<
  { status: BackedUp['status'] } & Pick<Sidecar, keyof Sidecar> & {
      removed: readonly string[]
      /** Where copies were made. */
      offsite?: OffsiteRecord
    }
>

const AFTER_TIMEOUT_MS = 3_600_000

export async function exportTask(
  context: Omit<TaskContext, 'backend'>,
  options: ExportTaskOptions = {},
): Promise<ExportRecord> {
  return afterExport(context, await exportBackup(context, options), options)
}

/** Its first half, which alone needs the store. */
export async function exportBackup(
  context: Omit<TaskContext, 'backend'>,
  options: ExportTaskOptions,
): Promise<BackedUp> {
  // Rules that make no sense are refused before anything is done.
  policyOf(options)
  const { file } = options
  const write = writeOptions(context, options)
  const dataset = await context.cairn.dataset(context.dataset)
  return file === undefined
    ? withFiles(context.backupsDir, () => exportToFolder(dataset, context.backupsDir, write))
    : withFiles(file, () => exportToFile(dataset, file, write))
}

/** Its second half: what is to happen once the CAR is there. */
export async function afterExport(
  context: Omit<TaskContext, 'cairn' | 'backend'>,
  { status, backup }: BackedUp,
  options: ExportTaskOptions,
): Promise<ExportRecord> {
  const policy = policyOf(options)
  const removed = policy === undefined ? [] : await removeOlder(context, backup, policy)
  const record = { status, ...backup.sidecar, path: backup.paths.car, removed }
  const hook = await tried(() => runAfter(backup, options, context.signal))
  // One way to another place failing is a reason more to go the other.
  const copied = await tried(() => copyAfter(context, options))
  const offsite = 'value' in copied ? copied.value : undefined
  const done = offsite === undefined ? record : { ...record, offsite }
  const [first, second] = [hook, copied].flatMap((one) => ('failed' in one ? [one.failed] : []))
  if (first === undefined) return done
  if (second !== undefined) note(context, second.message)
  throw new TaskFailure(first, done)
}

async function tried<T>(
  work: () => Promise<T>,
): Promise<{ readonly value: T } | { readonly failed: CairnError }> {
  try {
    return { value: await work() }
  } catch (error) {
    return { failed: toCairnError(error) }
  }
}

async function copyAfter(
  context: Omit<TaskContext, 'cairn' | 'backend'>,
  { offsite, file }: ExportTaskOptions,
): Promise<OffsiteRecord | undefined> {
  return offsite === undefined || file !== undefined ? undefined : copyOffsite(context, offsite)
}

export function writeOptions(
  context: Pick<TaskContext, 'now' | 'signal' | 'onProgress'>,
  { content, since, snapshot, v2, encryptTo, force }: CarOptions,
): WriteCarOptions {
  return {
    ...longOptions(context),
    content,
    since,
    snapshot,
    version: v2 === true ? 2 : 1,
    recipients: encryptTo ?? [],
    force: force === true,
    now: context.now,
  }
}

function policyOf({ file, keep, policy }: ExportTaskOptions): RetentionPolicy | undefined {
  if (file !== undefined) return undefined
  const rules = keep === undefined ? policy : { last: keep }
  if (rules !== undefined) checkPolicy(rules)
  return rules
}

async function removeOlder(
  context: Omit<TaskContext, 'cairn' | 'backend'>,
  made: Backup,
  policy: RetentionPolicy,
): Promise<readonly string[]> {
  const folder = await readBackups(context.backupsDir)
  noteUntouched(context, folder)
  // One of the older CARs may be the base of what this version cannot read.
  if (folder.damaged.some(({ unknown }) => unknown !== undefined)) return []
  const { verdicts, damaged } = await proveRetention(folder.backups, {
    plan: (backups) => planBackupRetention(backups, made, policy, context.now()),
    // The one that was just made was read back, and so was the same one that was found.
    flawOf: async (one) =>
      one.paths.car === made.paths.car ? undefined : flawOf(one, longOptions(context)),
  })
  noteUntouched(context, { unfinished: [], damaged })
  const going = verdicts.flatMap(({ item, keep }) => (keep ? [] : [item.backup]))
  await removeBackups(context, going)
  return going.map(({ paths }) => paths.car)
}

/** What lies in a folder of backups, is none, and stays. */
export function noteUntouched(
  context: Parameters<typeof note>[0],
  { unfinished, damaged }: Pick<BackupFolder, 'unfinished' | 'damaged'>,
): void {
  for (const path of unfinished) note(context, `has no sidecar, and is not touched: ${path}`)
  for (const { path, reason } of damaged) note(context, `not touched: ${path}: ${reason}`)
}

/** One after the other: between two of them an abort ends it. */
export async function removeBackups(
  { signal }: Pick<TaskContext, 'signal'>,
  backups: readonly Backup[],
): Promise<void> {
  for (const backup of backups) {
    throwIfAborted(signal)
    await withFiles(backup.paths.car, () => removeBackup(backup))
  }
}

async function runAfter(
  backup: Backup,
  { after, afterTimeoutMs }: ExportTaskOptions,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (after === undefined) return
  await runHook(after, backup, { timeoutMs: afterTimeoutMs ?? AFTER_TIMEOUT_MS, signal })
}
