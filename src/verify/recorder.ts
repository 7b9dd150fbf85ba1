/**
 * Keeps the books of a run: each piece of work on a part is tried, what it found goes into the ledger, and
 * what the run as a whole has met is summed up.
 */
import { isCairnError, throwIfAborted } from '../errors.ts'
import type { CidBytes } from '../model/cid.ts'
import { Findings, FOUND_STATES, stateOf, type FoundState, type Problem } from './finding.ts'
import type { Ledger } from './ledger.ts'
import type { Part } from './part.ts'

export type Work = (findings: Findings) => Promise<void>

/** So many parts in a row could not be looked at: the store does not answer any more. */
const UNKNOWN_IN_A_ROW = 3
const SAVE_EVERY_MS = 30_000

export class Recorder {
  proved = 0
  blocks = 0
  bytes = 0
  readonly #ledger: Ledger
  readonly #now: () => number
  readonly #signal: AbortSignal | undefined
  /** The last findings of each part in which there are any. */
  readonly #found = new Map<string, Findings>()
  #unknownInARow = 0
  #saved: number

  constructor(ledger: Ledger, now: () => number, signal: AbortSignal | undefined) {
    this.#ledger = ledger
    this.#now = now
    this.#signal = signal
    this.#saved = now()
  }

  /** True when the store has stopped to answer: the rest of the run would say nothing. */
  get silent(): boolean {
    return this.#unknownInARow >= UNKNOWN_IN_A_ROW
  }

  get problems(): Problem[] {
    return [...this.#found.values()].flatMap(({ problems }) => problems)
  }

  get counts(): Record<FoundState, number> {
    const sums = { missing: 0, corrupt: 0, malformed: 0, unknown: 0 }
    for (const { counts } of this.#found.values())
      for (const state of FOUND_STATES) sums[state] += counts[state]
    return sums
  }

  /** The parts in which the run has met a problem. */
  get faulty(): string[] {
    return [...this.#found.keys()]
  }

  /** Proves all of a part. False when the store did not let it. */
  async prove(part: Part, work: Work): Promise<boolean> {
    const findings = new Findings()
    const looked = await this.#attempt(part, findings, work)
    if (looked) {
      this.proved += 1
      this.#ledger.proved(part.id, this.#now(), findings)
      if (findings.count === 0) this.#found.delete(part.id)
    } else {
      this.#ledger.noted(part.id, this.#now(), findings)
    }
    await this.#count(part, findings)
    return looked
  }

  /** Looks at some of a part. */
  async look(part: Part, work: Work): Promise<void> {
    const findings = new Findings()
    await this.#attempt(part, findings, work)
    if (findings.count > 0) this.#ledger.noted(part.id, this.#now(), findings)
    await this.#count(part, findings)
  }

  async #count(part: Part, findings: Findings): Promise<void> {
    this.blocks += findings.blocks
    this.bytes += findings.bytes
    if (findings.count > 0) this.#found.set(part.id, findings)
    if (this.#now() - this.#saved < SAVE_EVERY_MS) return
    this.#saved = this.#now()
    // The save at the end of the run tells what is wrong.
    await this.#ledger.save().catch(() => undefined)
  }

  /** What keeps the store from answering is a finding, too; what else goes wrong is thrown. */
  async #attempt(part: Part, findings: Findings, work: Work): Promise<boolean> {
    throwIfAborted(this.#signal)
    try {
      await work(findings)
      this.#unknownInARow = 0
      return true
    } catch (error) {
      findings.add(error, part.kind, cidOf(part))
      const unknown = isUnknown(error)
      this.#unknownInARow = unknown ? this.#unknownInARow + 1 : 0
      return !unknown
    }
  }
}

const cidOf = (part: Part): CidBytes | null => (part.kind === 'pointer' ? null : part.cid)

function isUnknown(error: unknown): boolean {
  return isCairnError(error) && stateOf(error) === 'unknown'
}

/** What the store does not let see is told where the part is proved. */
export async function unlessUnknown<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (isUnknown(error)) return undefined
    throw error
  }
}
