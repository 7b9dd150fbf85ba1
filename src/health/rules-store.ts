/** Rules about the dataset and its store. Pure. */
import { defaultThresholds } from '../automation/policy.ts'
import type { HealthLimits } from './limits.ts'
import type { DatasetFacts, ProofFacts, Space } from './observation.ts'
import type { Finding } from './report.ts'
import { ageText, countText, timeText } from './words.ts'

const LOW_PERCENT = 20
const TIGHT_PERCENT = 10
/** Commits of other machines may be a little ahead of this clock. */
const CLOCK_SLACK_MS = 5 * 60_000

export function storeRule({ commitTs }: DatasetFacts, now: number): Finding[] {
  if (commitTs <= now + CLOCK_SLACK_MS) {
    const message = 'the store and the index pointer can be read'
    return [{ check: 'store', level: 'ok', message }]
  }
  return [
    {
      check: 'store',
      level: 'critical',
      message: `The newest commit is of ${timeText(commitTs)}, later than this clock`,
      hint: 'Set the clocks of all machines that write to this store.',
      value: commitTs,
      threshold: now,
    },
  ]
}

/** Entries that no snapshot holds make every walk longer, and at the limit appends wait for a build. */
export function chainRule(
  { recentCount, chainLimit }: DatasetFacts,
  { alertThreshold, emergencyThreshold }: HealthLimits,
): Finding[] {
  const own = defaultThresholds(chainLimit)
  const emergency = emergencyThreshold ?? own.emergency
  const most = alertThreshold ?? own.alert
  const bad = recentCount > most || recentCount >= emergency
  const threshold = Math.min(most, emergency)
  return [
    {
      check: 'chain',
      level: bad ? 'critical' : 'ok',
      message: bad
        ? `Recent chain has ${recentCount} entries (threshold: ${threshold})`
        : `${countText(recentCount)} recent entries of at most ${countText(chainLimit)}`,
      value: recentCount,
      threshold,
      hint: 'cairn build-snapshot',
    },
  ]
}

/** A dataset that rests needs no new snapshot. */
export function snapshotRule(
  { recentCount, snapshotSeq, snapshotTs }: DatasetFacts,
  { maxSnapshotAgeMs }: HealthLimits,
  now: number,
): Finding[] {
  const age = now - snapshotTs
  const waiting =
    recentCount > 0 ? `${countText(recentCount)} entries are waiting` : 'nothing is waiting'
  return [
    {
      check: 'snapshot',
      level: age > maxSnapshotAgeMs && recentCount > 0 ? 'critical' : 'ok',
      message: `Snapshot ${snapshotSeq} is ${ageText(age)} old, ${waiting}`,
      value: age,
      threshold: maxSnapshotAgeMs,
      hint: 'cairn build-snapshot',
    },
  ]
}

export function diskRule(spaces: readonly Space[]): Finding[] {
  return spaces.map(({ where, freePercent }) => ({
    check: 'disk',
    level: freePercent < TIGHT_PERCENT ? 'critical' : freePercent < LOW_PERCENT ? 'warning' : 'ok',
    message: `${freePercent.toFixed(0)}% of the disk is free for ${where}`,
    value: freePercent,
    threshold: LOW_PERCENT,
    hint: 'cairn prune --gc',
  }))
}

export function verifyRule({ parts, never, problems }: ProofFacts): Finding[] {
  if (parts === 0) return [{ check: 'verify', level: 'ok', message: 'never verified yet' }]
  const proved = `${countText(parts - never)} of ${countText(parts)} parts are proved`
  return [
    {
      check: 'verify',
      level: problems > 0 ? 'critical' : 'ok',
      message:
        problems > 0
          ? `The ledger lists ${countText(problems)} damaged or missing blocks`
          : `${proved}, no damage is known`,
      value: problems,
      threshold: 0,
      hint: 'cairn repair --from CAR, then cairn verify',
    },
  ]
}

/** Not every store syncs, nor does everybody need it: it counts where it was asked for. */
export function durabilityRule(
  { synced, notes }: DatasetFacts,
  { requireSync }: HealthLimits,
): Finding[] {
  if (synced === true) {
    const message = 'acknowledged writes survive a power cut'
    return [{ check: 'durability', level: 'ok', message }]
  }
  const why = synced === false ? 'the store does not sync' : 'the store does not tell if it syncs'
  return [
    {
      check: 'durability',
      level: requireSync ? 'critical' : 'ok',
      message: `acknowledged writes may not survive a power cut: ${why}`,
      hint: notes.find((note) => /sync|memory/.test(note)) ?? 'cairn doctor',
    },
  ]
}
