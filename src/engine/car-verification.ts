/** What verifying CARs finds. */
import { CairnError, type ErrorCode } from '../errors.ts'
import type { CarCounts } from './car-counts.ts'

export interface CarProblem {
  readonly code: ErrorCode
  readonly message: string
  /** The block it is about; null: the file. */
  readonly cid: string | null
  /** The file, and where in it the block's section begins; null: it is in none. */
  readonly path: string | null
  readonly offset: number | null
}

export interface VerifiedState {
  readonly root: string
  readonly dataset: string | null
  readonly seq: number
  /** `delta`: only what the CAR has itself was proved, since its base was not given. */
  readonly scope: 'all' | 'delta'
}

export interface CarVerification {
  /** `incomplete`: nothing is wrong but that blocks are missing. */
  readonly verdict: 'whole' | 'damaged' | 'incomplete'
  readonly states: readonly VerifiedState[]
  /** Blocks that were reached and proved, each once. */
  readonly counts: CarCounts
  readonly sections: number
  readonly bytes: number
  /** Sections that nothing reaches: a problem, unless a damaged or missing block led to them. */
  readonly unreached: number
  readonly duplicates: number
  readonly problemCount: number
  /** The first of them, in the order of the files. */
  readonly problems: readonly CarProblem[]
}

const MISSING: ReadonlySet<ErrorCode> = new Set(['block_missing', 'content_missing'])

export function verdictOf(problems: ReadonlySet<ErrorCode>): CarVerification['verdict'] {
  if (problems.size === 0) return 'whole'
  return [...problems].every((code) => MISSING.has(code)) ? 'incomplete' : 'damaged'
}

/** The report as an error, where it is one: for who has no other use for it than to fail. */
export function failedVerification(report: CarVerification): CairnError | undefined {
  const { verdict, problemCount } = report
  if (verdict === 'whole') return undefined
  const problems = problemCount === 1 ? '1 problem' : `${problemCount} problems`
  return verdict === 'damaged'
    ? new CairnError('damage_found', `The CAR is damaged: ${problems}.`, {
        hint: 'Take another copy of it, or make a new export.',
      })
    : new CairnError('blocks_missing', `The CAR is not whole: ${problems}.`, {
        hint: 'Take another copy of it; a delta needs its base beside it.',
      })
}
