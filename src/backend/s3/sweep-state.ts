/**
 * What writers and a sweep tell each other. One object, `sweep.json`, is written by the sweep alone and
 * read by all; who may sweep is decided by `sweeps/NUMBER`, put where there is none, whose owner's lease
 * must be live.
 *
 *   marking  a sweep has begun. Who relies on a block that is there says so under
 *            `sweeps/NUMBER/touched/`, and then looks here again: if it is still `marking`, and `version` the
 *            same, the sweep, which reads what was touched after it has said `freeing`, will see it.
 *   freeing  objects are being deleted; who relies on anything waits.
 *
 * `version` grows when deleting begins and when it has ended: odd, or another than before, it says that
 * what is known of the packs is out of date.
 */
import { CairnError } from '../../errors.ts'
import { DIGEST_BYTES, digestKey, inlineBytes, type CidBytes } from '../../model/cid.ts'
import type { Bucket, RequestOptions } from '../../s3/bucket.ts'
import type { Clock } from './clock.ts'
import { SWEEP, timedName, touchedOf } from './layout.ts'
import { pause, type LeaseObjects } from './lease-objects.ts'

const POLL_MS = 200
const WAIT_MS = 120_000
const STATE_BYTES = 4096

export interface SweepState {
  /** How many sweeps have begun. */
  readonly begun: number
  readonly phase: 'none' | 'marking' | 'freeing'
  readonly version: number
  /** The key of the lease of who sweeps. */
  readonly lease: string
}

const NONE: SweepState = { begun: 0, phase: 'none', version: 0, lease: '' }

export class SweepStates {
  readonly #bucket: Bucket
  readonly #leases: LeaseObjects
  readonly #clock: Clock

  constructor(bucket: Bucket, leases: LeaseObjects, clock: Clock) {
    this.#bucket = bucket
    this.#leases = leases
    this.#clock = clock
  }

  async read(options?: RequestOptions): Promise<SweepState> {
    const got = await this.#bucket.get(SWEEP, { ...options, limit: STATE_BYTES })
    return got === undefined ? NONE : parseState(got.bytes)
  }

  /** `guard` says that it is still the writer's turn. */
  async write(state: SweepState, guard: () => void): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(state))
    await this.#bucket.put(SWEEP, bytes, { contentType: 'application/json', guard })
  }

  /** What is so, and whether its owner lives. Whose lease is gone may have said one thing more before it went. */
  async look(
    options?: RequestOptions,
  ): Promise<{ readonly state: SweepState; readonly underWay: boolean }> {
    for (let state = await this.read(options); ;) {
      if (state.phase === 'none') return { state, underWay: false }
      if (await this.#leases.isLive(state.lease, options)) return { state, underWay: true }
      const after = await this.read(options)
      if (isSame(state, after)) return { state, underWay: false }
      state = after
    }
  }

  /**
   * Looks for blocks so that what was found stays. `look` answers which are there by what is so at the
   * state that it is given.
   */
  async rely<T>(
    look: (state: SweepState) => Promise<{ answer: T; found: readonly CidBytes[] }>,
    options: RequestOptions = {},
  ): Promise<T> {
    const giveUpAt = performance.now() + WAIT_MS
    for (;;) {
      const { state, underWay } = await this.look(options)
      if (!underWay || state.phase === 'marking') {
        const { answer, found } = await look(state)
        if (!underWay || found.length === 0) return answer
        await this.#touch(state.begun, found, options)
        // Else it has deleted something since, and may not have heard of the touch before.
        if (isSame(state, await this.read(options))) return answer
      }
      if (performance.now() > giveUpAt) throw stillFreeing(this.#bucket.location)
      await pause(POLL_MS, options.signal)
      options.signal?.throwIfAborted()
    }
  }

  /** The digests that were touched since the sweep began, 32 bytes each. */
  async *touched(sweep: number, options?: RequestOptions): AsyncGenerator<Uint8Array> {
    for await (const { objects } of this.#bucket.pages(touchedOf(sweep), options)) {
      for (const { key } of objects)
        yield (await this.#bucket.get(key, options))?.bytes ?? new Uint8Array(0)
    }
  }

  async forgetTouched(sweep: number): Promise<void> {
    for await (const { objects } of this.#bucket.pages(touchedOf(sweep))) {
      await this.#bucket.delete(objects.map(({ key }) => key))
    }
  }

  async #touch(sweep: number, cids: readonly CidBytes[], options: RequestOptions): Promise<void> {
    const stored = cids.filter((cid) => inlineBytes(cid) === undefined)
    if (stored.length === 0) return
    const digests = new Map(stored.map((cid) => [digestKey(cid), cid.subarray(-DIGEST_BYTES)]))
    const key = touchedOf(sweep) + timedName(this.#clock.server)
    await this.#bucket.put(key, Buffer.concat([...digests.values()]), options)
  }
}

const isSame = (a: SweepState, b: SweepState): boolean =>
  a.begun === b.begun && a.phase === b.phase && a.version === b.version

function parseState(bytes: Uint8Array): SweepState {
  try {
    const { begun, phase, version, lease } = JSON.parse(Buffer.from(bytes).toString()) as SweepState
    const isPhase = phase === 'none' || phase === 'marking' || phase === 'freeing'
    if (isPhase && isCount(begun) && isCount(version) && typeof lease === 'string') {
      return { begun, phase, version, lease }
    }
  } catch {
    // Told below.
  }
  throw new CairnError('pointer_damaged', `The object ${SWEEP} of the bucket is damaged.`, {
    hint: 'If nothing prunes, remove it; the next prune writes it again.',
    key: SWEEP,
  })
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0

function stillFreeing(location: string): CairnError {
  return new CairnError('backend_timeout', `A prune of ${location} is deleting and does not end.`, {
    hint: 'Wait for it. One that died stands in the way for at most eighty minutes.',
  })
}
