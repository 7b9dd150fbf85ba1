/** What is found wrong with the blocks of a part. */
import { isCairnError, type CairnError, type ErrorCode } from '../errors.ts'
import { printCid, type CidBytes } from '../model/cid.ts'
import type { Visitor } from '../reach/met.ts'

/**
 * `missing`: the store lacks it. `corrupt`: the store has other bytes than its CID says. `malformed`:
 * the bytes are those of the CID, but not what must stand there. `unknown`: the store did not say.
 */
export type FoundState = 'missing' | 'corrupt' | 'malformed' | 'unknown'

export const FOUND_STATES: readonly FoundState[] = ['missing', 'corrupt', 'malformed', 'unknown']

export interface Problem {
  /** Null: the newest commit itself, which is no block. */
  readonly cid: string | null
  /** What the block is: snapshot, branch, leaf, chain, content, kept list. */
  readonly kind: string
  readonly state: FoundState
  readonly code: ErrorCode
  readonly message: string
}

const STATES: Readonly<Partial<Record<ErrorCode, FoundState>>> = {
  block_missing: 'missing',
  content_missing: 'missing',
  block_mismatch: 'corrupt',
  pointer_damaged: 'corrupt',
  invalid_block: 'malformed',
  invalid_content: 'malformed',
  invalid_entry: 'malformed',
  too_large: 'malformed',
  backend_unavailable: 'unknown',
  backend_timeout: 'unknown',
  backend_refused: 'unknown',
}

/**
 * Undefined for what says nothing about the store, such as an abort, or a record of another version: what
 * that should be is not known here, so it is no damage either.
 */
export function stateOf(error: CairnError): FoundState | undefined {
  return STATES[error.code]
}

/** A part of a store that lost everything has so many problems listed; further ones are counted. */
const MOST_LISTED = 5000

export class Findings {
  readonly problems: Problem[] = []
  /** Problems by state, those that are not listed included. */
  readonly counts: Record<FoundState, number> = { missing: 0, corrupt: 0, malformed: 0, unknown: 0 }
  blocks = 0
  bytes = 0

  get count(): number {
    return FOUND_STATES.reduce((sum, state) => sum + this.counts[state], 0)
  }

  met(bytes: Uint8Array): void {
    this.blocks += 1
    this.bytes += bytes.length
  }

  /** Throws what is no finding. */
  add(error: unknown, kind: string, cid: CidBytes | null): void {
    const state = isCairnError(error) ? stateOf(error) : undefined
    if (!isCairnError(error) || state === undefined) throw error
    this.counts[state] += 1
    if (this.problems.length >= MOST_LISTED) return
    const { code, message } = error
    const named = error.details['cid']
    const text = typeof named === 'string' ? named : cid === null ? null : printCid(cid)
    this.problems.push({ cid: text, kind, state, code, message })
  }

  /** Hears of content from a walk. */
  readonly content: Visitor = {
    block: ({ bytes }) => this.met(bytes),
    problem: (error, cid) => this.add(error, 'content', cid),
  }
}
