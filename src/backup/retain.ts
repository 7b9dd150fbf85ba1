/**
 * Which backups go. Judged is one series: the backups of one dataset (by identity, so that one that was
 * made anew under the old name pushes nothing out) with the same amount of content. Whatever the rules
 * say, the newest stays, and so does every base that a delta needs that stays.
 */
import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { decideRetention, type Candidate, type Verdict } from '../retention/decide.ts'
import type { RetentionPolicy } from '../retention/policy.ts'
import { syncPath } from '../util/durable-file.ts'
import { basesOf } from './bases.ts'
import { exportedAt, type Backup } from './folder.ts'

export interface BackupCandidate extends Candidate {
  readonly backup: Backup
}

/**
 * Of every series of the dataset, or of all datasets: full ones and those without content are judged apart.
 * `backups` are newest first and all there are.
 */
export function planAllRetention(
  backups: readonly Backup[],
  policy: RetentionPolicy,
  now: number,
  dataset?: string,
): Verdict<BackupCandidate>[] {
  const own = backups.filter(({ sidecar }) => dataset === undefined || sidecar.dataset === dataset)
  return newestOfEach(own).flatMap((newest) => planBackupRetention(backups, newest, policy, now))
}

/** The first of every series. */
export function newestOfEach(backups: readonly Backup[]): Backup[] {
  const series = new Map<string, Backup>()
  for (const backup of backups) {
    const { dataset, identity, content } = backup.sidecar
    const name = `${dataset} ${identity} ${content}`
    if (!series.has(name)) series.set(name, backup)
  }
  return [...series.values()]
}

/** Of the series of `one` the newest whose bases are all among `backups`, and these. */
export function newestGood(backups: readonly Backup[], one: Backup): Backup[] | undefined {
  for (const backup of backups.filter((other) => isSameSeries(other, one))) {
    const bases = basesOf(backups, backup)
    if (bases !== undefined) return [backup, ...bases]
  }
  return undefined
}

/** `backups` are newest first and all there are; `newest` is the one whose series is judged, and stays. */
export function planBackupRetention(
  backups: readonly Backup[],
  newest: Backup,
  policy: RetentionPolicy,
  now: number,
): Verdict<BackupCandidate>[] {
  const series = backups.filter((one) => isSameSeries(one, newest))
  const [first] = series
  const made = series.find((one) => one.paths.car === newest.paths.car)
  // Someone else has removed it meanwhile, and may do so with more.
  if (first === undefined || made === undefined) return []
  // A delta whose base is gone may be the newest, and brings nothing back.
  const [good = first] = newestGood(backups, first) ?? []
  const pins = new Map([
    [made, 'just made'],
    [first, 'newest good'],
    [good, 'newest good'],
  ])
  // The next second gives a backup its name where this one was taken.
  const moment = Math.max(now, exportedAt(made.sidecar))
  const decide = (): Verdict<BackupCandidate>[] =>
    decideRetention(candidatesOf(series, pins), policy, moment)
  const going = new Set(decide().flatMap(({ keep, item }) => (keep ? [] : [item.backup])))
  for (const kept of backups.filter((one) => !going.has(one))) {
    for (const base of basesOf(backups, kept) ?? []) {
      if (going.has(base)) pins.set(base, `base of ${kept.sidecar.filename}`)
    }
  }
  return decide()
}

export function isSameSeries({ sidecar: a }: Backup, { sidecar: b }: Backup): boolean {
  return a.dataset === b.dataset && a.identity === b.identity && a.content === b.content
}

/** No time is later than that of a newer backup, so that the rules see the order that the folder has. */
function candidatesOf(
  series: readonly Backup[],
  pins: ReadonlyMap<Backup, string>,
): BackupCandidate[] {
  let latest = Number.MAX_SAFE_INTEGER
  return series.map((backup) => {
    latest = Math.min(latest, exportedAt(backup.sidecar))
    const pinned = pins.get(backup)
    return {
      id: backup.sidecar.filename,
      ts: latest,
      tags: [],
      backup,
      ...(pinned === undefined ? {} : { pinned }),
    }
  })
}

/** The sidecar first: from then on it is no backup, however far this comes. */
export async function removeBackup({ paths }: Backup): Promise<void> {
  for (const path of [paths.sidecar, paths.sums, paths.car]) {
    await rm(path, { force: true })
    await syncPath(dirname(path))
  }
}
