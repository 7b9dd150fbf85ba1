/**
 * Guard: a reservation in the index pointer that keeps other writers out while a bulk load runs. It is
 * renewed by commits of its own, also while its owner waits for something slow, and void by itself soon
 * after its owner died.
 */
import { CairnError, toCairnError } from '../errors.ts'
import type { Commit } from '../model/commit.ts'
import type { Context } from './context.ts'
import { GUARD_LASTS_MS } from './met-guard.ts'
import type { Move, Pointer } from './pointer.ts'
import { extendedState, type State } from './state.ts'

const RENEW_MS = 30_000
const LOOK_MS = 10_000

export class Guard {
  readonly token: string
  readonly reason: string
  readonly #context: Context
  readonly #pointer: Pointer
  #renewAt = 0
  #stopLooking: (() => void) | undefined
  #lost: CairnError | undefined

  private constructor(context: Context, pointer: Pointer, reason: string) {
    this.#context = context
    this.#pointer = pointer
    this.reason = reason
    this.token = Buffer.from(context.randomBytes(8)).toString('hex')
  }

  /** Reserves the dataset; `busy` when someone else has. */
  static async take(context: Context, pointer: Pointer, reason: string): Promise<Guard> {
    const guard = new Guard(context, pointer, reason)
    await guard.#write(true)
    guard.#stopLooking = context.timers.every(LOOK_MS, () => guard.#look())
    return guard
  }

  /** Renews the guard when it is time; call it often. */
  async keep(): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost
    const left = this.#renewAt - this.#context.now()
    // More than ever was to wait: the clock went back.
    if (left <= 0 || left > RENEW_MS) await this.#write(false)
  }

  #look(): void {
    this.keep().catch((error: unknown) => (this.#lost = toCairnError(error)))
  }

  /** Renews it no more. */
  stop(): void {
    this.#stopLooking?.()
  }

  async #write(first: boolean): Promise<void> {
    const now = this.#context.now()
    this.#renewAt = now + RENEW_MS
    const reason = first ? 'reserve' : 'reserve again'
    await this.#pointer.move(
      async (state) => {
        const { commit } = state
        if (!first) this.check(commit)
        // Renewed it is for longer than before, also when the clock went back.
        const renewed = first ? 0 : (commit.exclusive?.until ?? 0) + RENEW_MS
        const until = Math.max(now + GUARD_LASTS_MS, renewed)
        const exclusive = { owner: this.token, reason: this.reason, until }
        return { ...same(state), changes: { reason, exclusive }, result: undefined }
      },
      { fresh: true, guard: this.token },
    )
  }

  /** The guard must not have been void: someone else may have written meanwhile. */
  check({ exclusive, dataset }: Commit): void {
    if (exclusive?.owner === this.token) return
    throw new CairnError(
      'conflict',
      `The reservation of "${dataset}" was lost: this process was too slow.`,
      {
        hint: 'Nothing was changed. Try again when the machine is less busy.',
      },
    )
  }

  /** Gives the dataset free again after a failure. */
  async lift(): Promise<void> {
    this.stop()
    try {
      await this.#pointer.move(
        async (state) => {
          if (state.commit.exclusive?.owner !== this.token) return { stay: undefined }
          const changes = { reason: 'lift', exclusive: null }
          return { ...same(state), changes, result: undefined }
        },
        { fresh: true, guard: this.token },
      )
    } catch (error) {
      // It is void by itself soon; the failure that led here is what the caller needs to see.
      this.#context.log.error('guard.lift_failed', { error: String(error) })
    }
  }
}

/** A move that leaves snapshot and chain as they are. */
function same(state: State): Pick<Move<never>, 'blocks' | 'become'> {
  return { blocks: [], become: (stored) => extendedState(state, [], stored) }
}
