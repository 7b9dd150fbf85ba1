/**
 * What goes wrong on the way to a store and back: as often as a plan says, much more often for a while where
 * something just did, and never once it is switched off.
 */
import { CairnError } from '../../src/errors.ts'
import { Random } from '../helpers/random.ts'

/**
 * `unavailable`, `late` and `lost` concern calls, `wrong` and `missing` the answers of reads. `rotten`: what was
 * staged is acknowledged, and other bytes are kept, or none.
 */
export const FAULTS = ['unavailable', 'timeout', 'late', 'lost', 'wrong', 'missing'] as const
export type Fault = (typeof FAULTS)[number] | 'rotten'

const BAD_RATE = 0.4

export class Faults {
  on = true
  readonly kinds: ReadonlySet<Fault>
  /** How often each has happened. */
  readonly counts: Map<Fault, number> = new Map<Fault, number>()
  readonly #random: Random
  readonly #rate: number
  /** Draws that the bad time goes on for. */
  #bad = 0

  constructor(seed: number, kinds: ReadonlySet<Fault>, rate: number) {
    this.kinds = kinds
    this.#random = new Random(seed)
    this.#rate = rate
  }

  /** Whether it happens now. */
  strikes(fault: Fault): boolean {
    if (!this.on || !this.kinds.has(fault)) return false
    const rate = this.#bad > 0 ? BAD_RATE : this.#rate
    this.#bad -= 1
    if (this.#random.next() >= rate) return false
    if (this.#bad <= 0 && this.#random.int(0, 1) === 0) this.#bad = this.#random.int(2, 12)
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1)
    return true
  }

  /** How long what comes late is under way, in milliseconds. */
  delay(): number {
    return this.#random.scaled(10, 20_000)
  }

  /** What is kept of bytes that are written: all, others, or nothing. */
  kept(bytes: Uint8Array): Uint8Array | undefined {
    if (!this.strikes('rotten')) return bytes
    return this.#random.int(0, 1) === 0 ? undefined : this.damaged(bytes)
  }

  /** Other bytes than were stored: one flipped, or fewer. */
  damaged(bytes: Uint8Array): Uint8Array {
    const copy = new Uint8Array(bytes)
    const at = this.#random.int(0, Math.max(0, copy.length - 1))
    if (copy.length === 0) return Uint8Array.of(0)
    if (this.#random.int(0, 1) === 0) return copy.subarray(0, at)
    copy[at] = (copy[at] ?? 0) ^ (1 << this.#random.int(0, 7))
    return copy
  }
}

export const unavailable = (): CairnError =>
  new CairnError('backend_unavailable', 'The simulated store is away.')

export const timedOut = (): CairnError =>
  new CairnError('backend_timeout', 'The simulated store took too long.')

export const unknown = (): CairnError =>
  new CairnError('commit_unknown', 'The simulated store did not answer.')
