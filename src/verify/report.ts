/** What a run says of a dataset. */
import { CairnError } from '../errors.ts'
import type { Commit } from '../model/commit.ts'
import { Findings, type FoundState, type Problem } from './finding.ts'
import type { Ledger } from './ledger.ts'
import { POINTER } from './part.ts'
import { coverageOf, type Coverage, type VerifyMode } from './plan.ts'
import type { Verification } from './verification.ts'

/** `damaged`: something is corrupt or malformed. `incomplete`: blocks are missing. `unknown`: the store did not say. */
export type Verdict = 'sound' | 'damaged' | 'incomplete' | 'unknown'

export interface VerifyReport {
  readonly dataset: string
  readonly mode: VerifyMode['kind']
  readonly verdict: Verdict
  /** The commit whose state was looked at; null when it could not be read. */
  readonly commit: number | null
  readonly snapshots: number
  /** Parts that this run has proved whole. */
  readonly proved: number
  readonly blocks: number
  readonly bytes: number
  readonly counts: Readonly<Record<FoundState, number>>
  /** The first of them. */
  readonly problems: readonly Problem[]
  /** Blocks of the store that nothing kept reaches; null where it was not counted. */
  readonly unreachable: number | null
  readonly coverage: Coverage
  /** False where damage, the store or the time kept some parts from being known. */
  readonly whole: boolean
  readonly ledger: string
  readonly notes: readonly string[]
}

const MOST_REPORTED = 100

export interface DamagedTarget {
  readonly dataset: string
  readonly damage: CairnError
}

export function reportOf(
  run: Verification,
  commit: Commit,
  ledger: Ledger,
  mode: VerifyMode['kind'],
  now: number,
): Omit<VerifyReport, 'unreachable'> {
  const { counts, problems, proved, blocks, bytes, silent } = run.record
  const notes = [
    ...(ledger.note === undefined ? [] : [ledger.note]),
    ...(silent ? ['the store stopped to answer; the rest was not looked at'] : []),
  ]
  return {
    dataset: commit.dataset,
    mode,
    verdict: verdictOf(counts),
    commit: commit.number,
    snapshots: run.snapshots.length,
    proved,
    blocks,
    bytes,
    counts,
    problems: problems.slice(0, MOST_REPORTED),
    coverage: coverageOf(run.parts.keys(), (id) => ledger.get(id).proved, now),
    whole: run.whole,
    ledger: ledger.path,
    notes,
  }
}

/** Nothing can be said of a dataset but that its newest commit is damaged. */
export function pointerReport(
  { dataset, damage }: DamagedTarget,
  mode: VerifyMode['kind'],
  now: number,
): VerifyReport {
  const findings = new Findings()
  findings.add(damage, 'commit', null)
  return {
    dataset,
    mode,
    verdict: 'damaged',
    commit: null,
    snapshots: 0,
    proved: 0,
    blocks: 0,
    bytes: 0,
    counts: findings.counts,
    problems: findings.problems,
    unreachable: null,
    coverage: coverageOf([POINTER.id], () => null, now),
    whole: false,
    ledger: '',
    notes: [],
  }
}

export function verdictOf(counts: Readonly<Record<FoundState, number>>): Verdict {
  if (counts.corrupt + counts.malformed > 0) return 'damaged'
  if (counts.missing > 0) return 'incomplete'
  return counts.unknown > 0 ? 'unknown' : 'sound'
}

/** What a verdict is to the caller of a program; undefined when all is sound. */
export function verdictError(
  {
    dataset,
    verdict,
    counts,
    problems,
  }: Pick<VerifyReport, 'dataset' | 'verdict' | 'counts' | 'problems'>,
  hint: string,
): CairnError | undefined {
  const { missing, corrupt, malformed, unknown } = counts
  const rest = [
    ...(missing > 0 ? [`${missing} missing`] : []),
    ...(corrupt > 0 ? [`${corrupt} corrupt`] : []),
    ...(malformed > 0 ? [`${malformed} malformed`] : []),
    ...(unknown > 0 ? [`${unknown} not to be looked at`] : []),
  ].join(', ')
  const details = { hint, dataset, counts }
  switch (verdict) {
    case 'sound':
      return undefined
    case 'damaged':
      return new CairnError(
        'damage_found',
        `The dataset "${dataset}" is damaged: ${rest}.`,
        details,
      )
    case 'incomplete':
      return new CairnError(
        'blocks_missing',
        `The dataset "${dataset}" is incomplete: ${rest}.`,
        details,
      )
    case 'unknown': {
      const code = problems.find(({ state }) => state === 'unknown')?.code ?? 'backend_unavailable'
      const message = `Whether the dataset "${dataset}" is sound is not known: ${rest}.`
      return new CairnError(code, message, {
        ...details,
        hint: 'Try again when the store answers.',
      })
    }
  }
}
