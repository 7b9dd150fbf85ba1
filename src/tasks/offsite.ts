/**
 * Copies of backups in a bucket: making them, bringing them back, removing them. None of it needs a store, so
 * that it can be done where there is none.
 */
import { basename } from 'node:path'
import { readBackups } from '../backup/folder.ts'
import { chooseCopy } from '../offsite/choose.ts'
import { readOffsite } from '../offsite/listing.ts'
import { parseOffsite, withPlace, type Place } from '../offsite/place.ts'
import { pruneCopies, type PruneCopiesOptions, type PrunedCopies } from '../offsite/prune.ts'
import { pull } from '../offsite/pull.ts'
import { push } from '../offsite/push.ts'
import type { Values } from '../config/schema.ts'
import { CairnError, toCairnError } from '../errors.ts'
import { formatTime } from '../model/time.ts'
import { checkPolicy, type RetentionPolicy } from '../retention/policy.ts'
import { withFiles } from '../util/file-error.ts'
import { longOptions, note, type TaskContext } from './context.ts'
import { parseRetention } from './retention.ts'

export type OffsiteContext = Omit<TaskContext, 'cairn' | 'backend' | 'dataDir'>

export interface PushTaskOptions {
  readonly address: string
  /** What these rules would remove again is not copied. */
  readonly keep?: RetentionPolicy | undefined
  /** Read back what is in the bucket. */
  readonly verify?: boolean | undefined
}

export type PushRecord = Readonly<{
  status: 'pushed' | 'already_pushed'
  place: string
  pushed: number
  sent_bytes: number
  cars: readonly Readonly<{
    name: string
    status: 'pushed' | 'already_there' | 'not_kept'
    size_bytes: number
    sent_bytes: number
  }>[]
}>

export function pushTask(context: OffsiteContext, options: PushTaskOptions): Promise<PushRecord> {
  return at(options.address, (place) => pushTo(place, context, options))
}

async function pushTo(
  place: Place,
  context: OffsiteContext,
  { keep, verify }: PushTaskOptions,
): Promise<PushRecord> {
  const { backupsDir: folder, now } = context
  const found = await push(place, { ...longOptions(context), folder, now, keep, verify })
  for (const path of found.folder.unfinished) note(context, `has no sidecar, not copied: ${path}`)
  for (const { path, reason } of found.folder.damaged)
    note(context, `not copied: ${path}: ${reason}`)
  const sent = found.cars.filter(({ status }) => status === 'pushed')
  return {
    status: sent.length === 0 ? 'already_pushed' : 'pushed',
    place: place.location,
    pushed: sent.length,
    sent_bytes: sent.reduce((sum, { sentBytes }) => sum + sentBytes, 0),
    cars: found.cars.map(({ name, status, bytes, sentBytes }) => ({
      name,
      status,
      size_bytes: bytes,
      sent_bytes: sentBytes,
    })),
  }
}

export interface PruneOffsiteTaskOptions {
  readonly address: string
  readonly policy: RetentionPolicy
  /** Of all datasets unless it is named. */
  readonly dataset?: string | undefined
  /** Say what would go and change nothing. */
  readonly dryRun?: boolean | undefined
}

export type PruneOffsiteRecord = Readonly<{
  status: 'pruned' | 'already_pruned' | 'planned'
  place: string
  kept: number
  forgotten: number
  freed_bytes: number
  dropped_uploads: number
  cars: readonly Readonly<{
    name: string
    ts: string | number
    size_bytes: number
    keep: boolean
    reasons: readonly string[]
  }>[]
}>

export function pruneOffsiteTask(
  context: OffsiteContext,
  options: PruneOffsiteTaskOptions,
): Promise<PruneOffsiteRecord> {
  checkPolicy(options.policy)
  return at(options.address, (place) => pruneAt(place, context, { ...options, proved: new Set() }))
}

type Proved = Pick<PruneCopiesOptions, 'proved'>

async function pruneAt(
  place: Place,
  context: OffsiteContext,
  { policy, dataset, dryRun = false, proved }: PruneOffsiteTaskOptions & Proved,
): Promise<PruneOffsiteRecord> {
  const { backupsDir, now } = context
  const here = await readBackups(backupsDir)
  const names = here.backups.map(({ paths }) => basename(paths.car))
  const options = { ...longOptions(context), policy, dataset, names, proved, dryRun, now }
  const pruned = await pruneCopies(place, options)
  notePassed(context, pruned)
  const going = pruned.verdicts.flatMap(({ keep, item }) => (keep ? [] : [item.backup]))
  const nothing = going.length + pruned.uploads.length === 0
  return {
    status: dryRun ? 'planned' : nothing ? 'already_pruned' : 'pruned',
    place: place.location,
    kept: pruned.verdicts.length - going.length,
    forgotten: going.length,
    freed_bytes: going.reduce((sum, { sidecar }) => sum + sidecar.size_bytes, 0),
    dropped_uploads: pruned.uploads.length,
    cars: pruned.verdicts.map(({ item, keep, reasons }) => ({
      name: item.backup.paths.car,
      ts: formatTime(item.ts),
      size_bytes: item.backup.sidecar.size_bytes,
      keep,
      reasons,
    })),
  }
}

function notePassed(context: OffsiteContext, { listing }: PrunedCopies): void {
  for (const name of listing.unfinished)
    note(context, `has no sidecar, and is not touched: ${name}`)
  for (const { path, reason } of listing.damaged) note(context, `not touched: ${path}: ${reason}`)
}

export interface PullTaskOptions {
  readonly address: string
  /** `newest`, `seq:7` or the name of a CAR; the newest unless given. */
  readonly which?: string | undefined
  /** Undefined: the only one in the bucket, or the context's. */
  readonly dataset: string | undefined
  /** The folder; the context's unless given. */
  readonly into?: string | undefined
}

export type PullRecord = Readonly<{
  status: 'pulled' | 'already_pulled'
  place: string
  /** Of the one that was asked for; it is the last of `cars`. */
  path: string
  read_bytes: number
  cars: readonly Readonly<{
    name: string
    path: string
    status: 'pulled' | 'already_there'
    size_bytes: number
    read_bytes: number
  }>[]
}>

/** One copy and what it stands on. */
export function pullTask(
  context: OffsiteContext,
  { address, which, dataset, into }: PullTaskOptions,
): Promise<PullRecord> {
  const { dataset: fallback, backupsDir, now, signal } = context
  const folder = into ?? backupsDir
  return at(address, async ({ bucket, location }) => {
    const listing = await readOffsite(bucket, { signal })
    const chosen = chooseCopy(listing, { dataset, fallback, which }, location)
    for (const { paths } of chosen.passedOver)
      note(context, `${paths.car} is newer, but its base is missing`)
    const copies = [...chosen.bases.toReversed(), chosen.copy]
    const options = { ...longOptions(context), folder, now }
    const cars = await withFiles(folder, () => pull(bucket, copies, options))
    return {
      status: cars.some(({ status }) => status === 'pulled') ? 'pulled' : 'already_pulled',
      place: location,
      path: cars.at(-1)?.path ?? '',
      read_bytes: cars.reduce((sum, { readBytes }) => sum + readBytes, 0),
      cars: cars.map(({ name, path, status, bytes, readBytes }) => ({
        name,
        path,
        status,
        size_bytes: bytes,
        read_bytes: readBytes,
      })),
    }
  })
}

export interface OffsiteExport {
  readonly address: string
  /** By which the copies are pruned once all are there; without rules none is removed. */
  readonly keep: RetentionPolicy | undefined
}

export type OffsiteRecord = Readonly<{
  place: string
  pushed: number
  sent_bytes: number
  forgotten: number
}>

/** What the settings ask for; undefined without a place. */
export function offsiteOf({
  offsite,
  keep_offsite,
}: Pick<Values, 'offsite' | 'keep_offsite'>): OffsiteExport | undefined {
  if (offsite === null) return undefined
  parseOffsite(offsite)
  return { address: offsite, keep: parseRetention(keep_offsite) }
}

/** What follows an export: nothing is removed before what should be in the bucket is proved to be there. */
export async function copyOffsite(
  context: OffsiteContext,
  { address, keep }: OffsiteExport,
): Promise<OffsiteRecord> {
  try {
    return await at(address, async (place) => {
      const { pushed, sent_bytes, cars } = await pushTo(place, context, { address, keep })
      const sent = cars.filter(({ status }) => status === 'pushed')
      const proved = new Set(sent.map(({ name }) => name))
      const rules = keep && { address, policy: keep, proved }
      const pruned = rules && (await pruneAt(place, context, rules))
      return { place: place.location, pushed, sent_bytes, forgotten: pruned?.forgotten ?? 0 }
    })
  } catch (error) {
    throw notCopied(toCairnError(error))
  }
}

/** Whatever it is, the backups themselves are whole. */
function notCopied(cause: CairnError): CairnError {
  const { code, message, hint } = cause
  if (code === 'aborted') return cause
  return new CairnError('offsite_failed', `The backups were not all copied offsite: ${message}`, {
    hint: hint ?? 'They are whole in their folder; `cairn offsite push` tries again.',
    reason: code,
    cause,
  })
}

async function at<T>(address: string, use: (place: Place) => Promise<T>): Promise<T> {
  return withPlace(parseOffsite(address), {}, use)
}
