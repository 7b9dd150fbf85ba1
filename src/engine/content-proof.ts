/** The proof that the content of a batch is whole, which holds until a sweep begins. */
import { refuseMissing } from '../content/complete.ts'
import type { Block, CidBytes } from '../model/cid.ts'
import type { Backend } from '../store/backend.ts'
import type { Reliance } from './pointer.ts'

export class ContentProof implements Reliance {
  sweeps = 0
  readonly #backend: Backend
  readonly #tips: readonly CidBytes[]
  readonly #given: readonly Block[]
  readonly #signal: AbortSignal | undefined

  constructor(
    backend: Backend,
    tips: readonly CidBytes[],
    given: readonly Block[],
    signal: AbortSignal | undefined,
  ) {
    this.#backend = backend
    this.#tips = tips
    this.#given = given
    this.#signal = signal
  }

  async renew(): Promise<void> {
    // Counted before anything is looked for: a sweep that begins meanwhile is noticed at the commit.
    this.sweeps = await this.#backend.sweeps({ signal: this.#signal })
    await refuseMissing(this.#backend, this.#tips, this.#signal, this.#given)
  }
}
