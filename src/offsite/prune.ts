/** Removing the copies that the rules do not name, and what uploads left that nobody ended. */
import { basesOf } from '../backup/bases.ts'
import { checkAllKnown, type Backup } from '../backup/folder.ts'
import { isCarName } from '../backup/name.ts'
import { proveRetention, type ProvedRetention } from '../backup/prove-retention.ts'
import { planAllRetention, type BackupCandidate } from '../backup/retain.ts'
import type { LongOptions } from '../engine/context.ts'
import { throwIfAborted } from '../errors.ts'
import type { Verdict } from '../retention/decide.ts'
import type { RetentionPolicy } from '../retention/policy.ts'
import type { Bucket, UnfinishedUpload } from '../s3/bucket.ts'
import { flawOfCopy } from './copy-flaw.ts'
import { isCopyName, readOffsite, type OffsiteListing } from './listing.ts'
import type { Place } from './place.ts'

export interface PruneCopiesOptions extends LongOptions {
  readonly policy: RetentionPolicy
  /** Undefined: of all of them. */
  readonly dataset?: string | undefined
  /** Names of CARs that might have been sent; some servers tell of uploads only by their whole key. */
  readonly names: readonly string[]
  /** Names of copies that the caller has proved just now. */
  readonly proved: ReadonlySet<string>
  readonly dryRun: boolean
  readonly now: () => number
}

export interface PrunedCopies {
  /** With what proved to be damaged. */
  readonly listing: OffsiteListing
  readonly verdicts: readonly Verdict<BackupCandidate>[]
  readonly uploads: readonly UnfinishedUpload[]
}

const UPLOAD_AGE_MS = 7 * 24 * 3_600_000

export async function pruneCopies(
  { bucket }: Place,
  options: PruneCopiesOptions,
): Promise<PrunedCopies> {
  const { dryRun, signal } = options
  const listing = await readOffsite(bucket, { signal })
  checkAllKnown(listing)
  const { verdicts, damaged } = await decide(bucket, listing, options)
  const uploads = await staleUploads(bucket, listing, options)
  if (!dryRun) {
    const going = verdicts.flatMap(({ item, keep }) => (keep ? [] : [item.backup]))
    for (const copy of deltasFirst(going, listing)) await removeCopy(bucket, copy, signal)
    for (const { key, id } of uploads) await bucket.uploads.drop(key, id, { signal })
  }
  return { listing: { ...listing, damaged: [...listing.damaged, ...damaged] }, verdicts, uploads }
}

function decide(
  bucket: Bucket,
  { backups }: OffsiteListing,
  { policy, dataset, proved, now, signal, onProgress }: PruneCopiesOptions,
): Promise<ProvedRetention> {
  return proveRetention(backups, {
    plan: (some) => planAllRetention(some, policy, now(), dataset),
    flawOf: async (one) =>
      proved.has(one.paths.car) ? undefined : flawOfCopy(bucket, one, { signal, onProgress }),
  })
}

/** Cut off anywhere, no delta stays without its base. */
function deltasFirst(copies: readonly Backup[], { backups }: OffsiteListing): Backup[] {
  const depth = new Map(copies.map((one) => [one, basesOf(backups, one)?.length ?? Infinity]))
  return copies.toSorted((a, b) => Number(depth.get(b)) - Number(depth.get(a)))
}

/** The sidecar first: from then on it is no copy, however far this comes. */
async function removeCopy(
  bucket: Bucket,
  { paths }: Backup,
  signal: AbortSignal | undefined,
): Promise<void> {
  throwIfAborted(signal)
  await bucket.delete([paths.sidecar], { signal })
  await bucket.delete([paths.sums, paths.car], { signal })
}

async function staleUploads(
  bucket: Bucket,
  { objects }: OffsiteListing,
  { names, now, signal }: PruneCopiesOptions,
): Promise<UnfinishedUpload[]> {
  const found = new Map<string, UnfinishedUpload>()
  const prefixes = ['', ...names.filter((name) => !objects.has(name))]
  for (const prefix of prefixes) {
    for (const upload of await bucket.uploads.unfinished(prefix, { signal }))
      found.set(upload.id, upload)
  }
  return [...found.values()].filter(
    ({ key, begun }) => isCopyName(key) && isCarName(key) && now() - begun > UPLOAD_AGE_MS,
  )
}
