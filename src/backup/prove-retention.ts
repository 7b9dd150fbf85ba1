/**
 * Nothing of a series goes before the newest good one of it is proved, with its bases: a size and a sidecar are
 * no proof. What is not what its sidecar says counts as damaged, and the next one is tried. Where none holds,
 * the series loses nothing.
 */
import type { Verdict } from '../retention/decide.ts'
import type { Backup, DamagedBackup } from './folder.ts'
import { isSameSeries, newestGood, newestOfEach, type BackupCandidate } from './retain.ts'

type Verdicts = readonly Verdict<BackupCandidate>[]

export interface RetentionProof {
  /** As of `planAllRetention`. */
  readonly plan: (backups: readonly Backup[]) => Verdicts
  /** Why it is not what its sidecar says; undefined where it is. Asked once of each. */
  readonly flawOf: (backup: Backup) => Promise<string | undefined>
}

export interface ProvedRetention {
  /** Not of what is damaged: that stays. */
  readonly verdicts: Verdicts
  readonly damaged: readonly DamagedBackup[]
}

/** `backups` are newest first and all there are. Where nothing would go, nothing is read. */
export async function proveRetention(
  backups: readonly Backup[],
  { plan, flawOf }: RetentionProof,
): Promise<ProvedRetention> {
  const proved = new Set<Backup>()
  const flaws = new Map<Backup, string>()
  for (;;) {
    const left = backups.filter((one) => !flaws.has(one))
    const { verdicts, needed } = reliedOn(plan(left), left, backups)
    const unproved = needed.find((one) => !proved.has(one))
    if (unproved === undefined) {
      const damaged = [...flaws].map(([{ paths }, reason]) => ({ path: paths.car, reason }))
      return { verdicts, damaged }
    }
    const flaw = await flawOf(unproved)
    if (flaw === undefined) proved.add(unproved)
    else flaws.set(unproved, flaw)
  }
}

/** What has to hold before anything goes; a series that had a good one, and has none left, keeps all. */
function reliedOn(
  verdicts: Verdicts,
  left: readonly Backup[],
  all: readonly Backup[],
): { readonly verdicts: Verdicts; readonly needed: readonly Backup[] } {
  const needed: Backup[] = []
  const held: Backup[] = []
  const going = verdicts.flatMap(({ keep, item }) => (keep ? [] : [item.backup]))
  for (const one of newestOfEach(going)) {
    const good = newestGood(left, one)
    if (good !== undefined) needed.push(...good)
    else if (newestGood(all, one) !== undefined) held.push(one)
    // Deltas whose base was never here: what they stand on may be in a store.
    else needed.push(...left.filter((other) => isSameSeries(other, one)).slice(0, 1))
  }
  return { needed, verdicts: verdicts.map((one) => heldBack(one, held)) }
}

function heldBack(
  verdict: Verdict<BackupCandidate>,
  held: readonly Backup[],
): Verdict<BackupCandidate> {
  const { keep, item } = verdict
  if (keep || !held.some((one) => isSameSeries(one, item.backup))) return verdict
  return { item, keep: true, reasons: ['no good one left'] }
}
