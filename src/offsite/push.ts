/** Copying the backups of a folder that a bucket lacks: the newest first, and what one needs before it. */
import { access } from 'node:fs/promises'
import { basename } from 'node:path'
import { basesOf } from '../backup/bases.ts'
import { checkAllKnown, readBackups, type Backup, type BackupFolder } from '../backup/folder.ts'
import { newestGood, newestOfEach, planAllRetention } from '../backup/retain.ts'
import type { LongOptions } from '../engine/context.ts'
import { isCairnError, throwIfAborted } from '../errors.ts'
import type { RetentionPolicy } from '../retention/policy.ts'
import { withFiles } from '../util/file-error.ts'
import { isMarked } from './copy-flaw.ts'
import { isCopyName, readOffsite, together, type OffsiteListing } from './listing.ts'
import type { Place } from './place.ts'
import { hashCopy } from './read-car.ts'
import { sendBackup } from './send.ts'

export interface PushOptions extends LongOptions {
  readonly folder: string
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** What these rules would remove again is not copied; without rules all is. */
  readonly keep?: RetentionPolicy | undefined
  /** Read back all of the folder's backups that are in the bucket, also older ones that were there. */
  readonly verify?: boolean | undefined
}

export interface PushedCar {
  readonly name: string
  readonly status: 'pushed' | 'already_there' | 'not_kept'
  readonly bytes: number
  /** Less than `bytes` where a part of it was there. */
  readonly sentBytes: number
}

export interface Pushed {
  readonly cars: readonly PushedCar[]
  /** Of the folder, which hold nothing that could be copied. */
  readonly folder: Pick<BackupFolder, 'unfinished' | 'damaged'>
}

/** In the order in which they are sent. A CAR that is damaged keeps no other from being copied; then it rejects. */
export async function push({ bucket }: Place, options: PushOptions): Promise<Pushed> {
  const { folder, signal, onProgress, keep } = options
  const here = await readBackups(folder)
  const there = await readOffsite(bucket, { signal })
  const own = sendable(here.backups)
  if (keep !== undefined) {
    checkAllKnown(here)
    checkAllKnown(there)
  }
  const unwanted = keep === undefined ? new Set() : notKept(own, there, keep, options.now())
  const lacking = await lackingIn(there, own, { ...options, bucket })
  const going = own.filter((one) => lacking.has(one) && !unwanted.has(one))
  const total = going.reduce((sum, { sidecar }) => sum + sidecar.size_bytes, 0)
  let done = 0
  const onBytes = (count: number): void => {
    done += count
    onProgress?.({ step: 'send', done, total, unit: 'bytes' })
  }
  const cars: PushedCar[] = []
  const failures: unknown[] = []
  for (const one of own) {
    throwIfAborted(signal)
    const { paths, sidecar } = one
    const car = { name: basename(paths.car), bytes: sidecar.size_bytes, sentBytes: 0 }
    if (!lacking.has(one)) cars.push({ ...car, status: 'already_there' })
    else if (unwanted.has(one)) cars.push({ ...car, status: 'not_kept' })
    else {
      const send = { signal, verify: options.verify === true, onBytes }
      try {
        const { sentBytes } = await withFiles(paths.car, () => sendBackup(bucket, one, send))
        cars.push({ ...car, status: 'pushed', sentBytes })
      } catch (error) {
        if (!isOfTheFile(error)) throw error
        // A prune that runs beside this may have removed it.
        if (await isThere(paths.car)) failures.push(error)
      }
    }
  }
  if (failures.length > 0) throw failures[0]
  return { cars, folder: here }
}

const isOfTheFile = (error: unknown): boolean =>
  isCairnError(error, 'invalid_car') || isCairnError(error, 'usage')

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** Newest first, but what one stands on before it. */
function sendable(backups: readonly Backup[]): Backup[] {
  const named = backups.filter(({ paths }) => isCopyName(basename(paths.car)))
  const order = new Set<Backup>()
  for (const one of named) {
    for (const base of (basesOf(named, one) ?? []).toReversed()) order.add(base)
    order.add(one)
  }
  return [...order]
}

/** What a prune right after would remove. */
function notKept(
  own: readonly Backup[],
  there: OffsiteListing,
  keep: RetentionPolicy,
  now: number,
): ReadonlySet<Backup> {
  const names = new Set(own.map(({ paths }) => basename(paths.car)))
  const others = there.backups.filter(({ paths }) => !names.has(paths.car))
  const verdicts = planAllRetention(together(own, others), keep, now)
  return new Set(verdicts.flatMap((one) => (one.keep ? [] : [one.item.backup])))
}

/** What is not whole in the bucket. What a restore of today needs is looked at more closely than the rest. */
async function lackingIn(
  there: OffsiteListing,
  own: readonly Backup[],
  options: Pick<PushOptions, 'verify'> & LongOptions & Pick<Place, 'bucket'>,
): Promise<ReadonlySet<Backup>> {
  const all = together(own)
  const newest = new Set(newestOfEach(all).flatMap((one) => newestGood(all, one) ?? []))
  const lacking = new Set<Backup>()
  for (const one of own) {
    const how = options.verify === true ? 'read' : newest.has(one) ? 'look' : 'trust'
    if (!(await isWhole(there, one, how, options))) lacking.add(one)
  }
  return lacking
}

/**
 * Whether the bucket has it, by its sidecar. `look` compares what the server says of the copy, and reads it where
 * that tells nothing; `read` reads it whatever the server says.
 */
async function isWhole(
  there: OffsiteListing,
  { paths, sidecar }: Backup,
  how: 'trust' | 'look' | 'read',
  { bucket, signal, onProgress }: LongOptions & Pick<Place, 'bucket'>,
): Promise<boolean> {
  const copy = there.backups.find((one) => one.paths.car === basename(paths.car))
  if (copy === undefined) return false
  const { sha256, checkpoint_cid, size_bytes } = copy.sidecar
  if (sha256 !== sidecar.sha256 || checkpoint_cid !== sidecar.checkpoint_cid) return false
  if (how === 'trust') return true
  const head = await bucket.head(copy.paths.car, { signal })
  if (head?.size !== size_bytes) return false
  if (how === 'look' && isMarked(head, copy.sidecar)) return true
  let done = 0
  const onBytes = (count: number): void => {
    done += count
    onProgress?.({ step: 'read back', done, total: size_bytes, unit: 'bytes' })
  }
  return (await hashCopy(bucket, copy.paths.car, size_bytes, { signal, onBytes })) === sha256
}
