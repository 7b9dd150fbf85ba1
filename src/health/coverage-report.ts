/** Reading what coverage is worked out from, and the report as it is printed. Changes nothing. */
import { basename, join } from 'node:path'
import { readBackups, type Backup } from '../backup/folder.ts'
import type { Values } from '../config/schema.ts'
import type { Cairn } from '../cairn.ts'
import { decodeCommit } from '../model/commit.ts'
import type { RetentionPolicy } from '../retention/policy.ts'
import { parseRetention } from '../tasks/retention.ts'
import { throwIfAborted, toCairnError } from '../errors.ts'
import { printPlace } from '../offsite/place.ts'
import type { Backend } from '../store/backend.ts'
import {
  coverage,
  coverageFindings,
  finding,
  type CoverageFinding,
  type Proof,
  type Recovery,
  type StatePoint,
} from './coverage.ts'
import type { DatasetFacts, DrillFacts, ProofFacts } from './observation.ts'
import { factsOf, readDrillIn } from './observe.ts'
import { withinDeadline } from './deadline.ts'
import { lookOffsite, offsiteState, offsiteText, type OffsiteState } from './offsite.ts'
import { readProof } from './proof.ts'
import { isComplete, restorable } from './rules-backups.ts'
import { DAY_MS, HOUR_MS, timeText } from './words.ts'

const OFFSITE_MS = 20_000

export interface CoverageOptions {
  readonly cairn: Cairn
  readonly backend: Backend
  readonly dataset: string
  readonly values: Values
  readonly now: number
  /** Instead of as far back as the retention rules reach. */
  readonly since?: number | undefined
  readonly signal?: AbortSignal | undefined
}

interface RecoveryRecord {
  readonly by: Recovery['by']
  readonly name: string | null
  readonly exact: boolean
  readonly state_of: string | null
  readonly loses_ms: number
  readonly proved_at: string | null
  readonly proved_by: Proof['by'] | null
}

interface IntervalRecord {
  readonly from: string
  readonly to: string
  readonly store: RecoveryRecord | null
  readonly cars: RecoveryRecord | null
}

/** The copies elsewhere, from which alone the dataset could be brought back. */
export interface OffsiteCoverage {
  readonly place: string
  /** `unknown`: the place could not be looked at. */
  readonly status: OffsiteState['status'] | 'unknown'
  readonly copies: number | null
  readonly newest: string | null
  readonly newest_at: string | null
  readonly complete: boolean | null
}

/** As it is printed. */
export interface CoverageReport {
  readonly dataset: string
  readonly checked_at: string
  readonly from: string
  readonly to: string
  readonly covered: boolean
  readonly intervals: readonly IntervalRecord[]
  /** Null where no place is set. */
  readonly offsite: OffsiteCoverage | null
  readonly findings: readonly CoverageFinding[]
}

export async function readCoverage(options: CoverageOptions): Promise<CoverageReport> {
  const { dataset, values, now, since } = options
  const store = await readStore(options)
  const { backups } = await readBackups(values.backups_dir)
  const drill = await readDrillIn(values.backups_dir)
  const cars = restorable(backups, dataset)
    .filter(({ sidecar }) => sidecar.identity === store.facts.identity)
    .map((one) => carPoint(one, store.facts, drill))
  const times = [store.commitsFrom, ...[...store.snapshots, ...cars].map(({ ts }) => ts)]
  const earliest = Math.min(...times)
  const reached = windowFrom(values, now)
  const begin =
    store.knowsBirth || !Number.isFinite(reached) ? Math.max(reached, earliest) : reached
  // A moment at least, also of a dataset that was made in this one.
  const from = Math.min(since ?? begin, now - 1)
  const intervals = coverage({ ...store, cars, from, now })
  const problems = coverageFindings(intervals)
  const elsewhere = await readElsewhere(options, store.facts)
  return {
    dataset,
    checked_at: timeText(now),
    from: timeText(from),
    to: timeText(now),
    covered: !problems.some(({ level }) => level === 'critical'),
    intervals: intervals.map((one) => ({
      from: timeText(one.from),
      to: timeText(one.to),
      store: recoveryRecord(one.store),
      cars: recoveryRecord(one.cars),
    })),
    offsite: elsewhere?.offsite ?? null,
    findings: [...problems, ...(elsewhere?.findings ?? [])],
  }
}

interface Elsewhere {
  readonly offsite: OffsiteCoverage
  readonly findings: readonly CoverageFinding[]
}

/** What cannot be looked at is said to be unknown, which is not well either. */
async function readElsewhere(
  { values, dataset, now, signal }: CoverageOptions,
  facts: DatasetFacts,
): Promise<Elsewhere | undefined> {
  const { offsite: address, max_offsite_age: maxAgeMs } = values
  if (address === null) return undefined
  const at = now
  const wrong = (message: string, hint: string): CoverageFinding[] => [
    finding('offsite', 'critical', { from: at, to: at }, message, { hint }),
  ]
  try {
    const seen = await withinDeadline(
      { deadlineMs: OFFSITE_MS, signal },
      'The offsite place',
      (s) => lookOffsite(address, s),
    )
    const state = offsiteState(seen, facts, dataset, { at, maxAgeMs })
    const { status, copies, newest, newestAt, complete } = state
    const isFine = status === 'ok' || facts.next === 0
    return {
      offsite: {
        place: seen.place,
        status,
        copies,
        newest: newest?.paths.car ?? null,
        newest_at: newestAt === undefined ? null : timeText(newestAt),
        complete,
      },
      findings: isFine
        ? []
        : wrong(offsiteText(state, { place: seen.place, dataset, at }), 'cairn offsite push'),
    }
  } catch (error) {
    throwIfAborted(signal)
    const { message, hint } = toCairnError(error)
    const unknown = { copies: null, newest: null, newest_at: null, complete: null }
    return {
      offsite: { place: printPlace(address), status: 'unknown', ...unknown },
      findings: wrong(`What is offsite is not known: ${message}`, hint ?? 'cairn offsite list'),
    }
  }
}

interface StoreSide {
  readonly facts: DatasetFacts
  readonly commitsFrom: number
  readonly storeProof: Proof | null
  readonly snapshots: readonly StatePoint[]
  /** Whether what is kept goes back to where the dataset began. */
  readonly knowsBirth: boolean
}

async function readStore(options: CoverageOptions): Promise<StoreSide> {
  const { cairn, backend, dataset: name, values, signal } = options
  const dataset = await cairn.dataset(name)
  const status = await dataset.status({ signal })
  const facts = factsOf(status)
  const proof = await readProof(join(values.data_dir, 'ledger'), {
    dataset: name,
    identity: facts.identity,
  })
  const storeProof = proofOfStore(proof)
  const { oldest } = status.pointer
  const bytes = await backend.getCommit(name, oldest, { signal })
  const commitsFrom = bytes === undefined ? facts.commitTs : decodeCommit(bytes).commit.ts
  const snapshots: StatePoint[] = []
  let knowsBirth = oldest === 0
  for await (const { seq, ts } of dataset.snapshots({ signal })) {
    knowsBirth ||= seq === 0
    snapshots.push({
      kind: 'snapshot',
      name: `seq:${seq}`,
      ts,
      complete: false,
      proof: storeProof,
    })
  }
  return { facts, commitsFrom, storeProof, snapshots, knowsBirth }
}

/** Of all parts the one that was proved the longest ago counts, and one that never was counts for all. */
function proofOfStore({ parts, never, problems, oldest }: ProofFacts): Proof | null {
  const isProved = parts > 0 && never === 0 && problems === 0
  return isProved && oldest !== undefined ? { at: oldest, by: 'verify' } : null
}

/** It was read back when it was made; the drill that tried it since counts more, whatever came of it. */
function carPoint(one: Backup, facts: DatasetFacts, drill: DrillFacts | undefined): StatePoint {
  const { sidecar, paths } = one
  return {
    kind: 'car',
    name: sidecar.filename,
    ts: Date.parse(sidecar.ts),
    complete: isComplete(one, facts),
    proof: proofOfCar(Date.parse(sidecar.verified_at), basename(paths.car), drill),
  }
}

function proofOfCar(exportedAt: number, name: string, drill: DrillFacts | undefined): Proof | null {
  // A drill of cron may have named the folder in another way.
  const wasDrilled = drill?.sources.some((path) => basename(path) === name) === true
  if (!wasDrilled || drill.finishedAt < exportedAt) return { at: exportedAt, by: 'export' }
  return drill.passed ? { at: drill.finishedAt, by: 'drill' } : null
}

/** How far back something should be kept; without rules nothing is ever forgotten. */
function windowFrom(values: Values, now: number): number {
  const policies = [parseRetention(values.keep_snapshots), parseRetention(values.keep_cars)]
  return now - Math.max(...policies.map((one) => (one === undefined ? Infinity : reachOf(one))))
}

const PERIOD_MS = {
  hourly: HOUR_MS,
  daily: DAY_MS,
  weekly: 7 * DAY_MS,
  monthly: 28 * DAY_MS,
  yearly: 365 * DAY_MS,
} as const

/** How far back the rules surely keep something: the oldest period may have its newest state alone. */
export function reachOf(policy: RetentionPolicy): number {
  const spans = Object.entries(PERIOD_MS).map(
    ([period, ms]) => ms * Math.max(0, (policy[period as keyof typeof PERIOD_MS] ?? 0) - 2),
  )
  return Math.max(policy.withinMs ?? 0, ...spans)
}

function recoveryRecord(recovery: Recovery | null): RecoveryRecord | null {
  if (recovery === null) return null
  const { by, name, exact, to, losesMs, proof } = recovery
  return {
    by,
    name,
    exact,
    state_of: to === null ? null : timeText(to),
    loses_ms: losesMs,
    proved_at: proof === null ? null : timeText(proof.at),
    proved_by: proof?.by ?? null,
  }
}
