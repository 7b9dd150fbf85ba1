/**
 * Pointer: one dataset's index pointer as this process sees it, and the one way to move it.
 *
 * `current` asks the store whether there is a newer commit, so a read sees every commit that was
 * acknowledged before it began, whichever process made it.
 *
 * `move` is the compare-and-set loop. A plan looks at a state and says what the next commit is; if
 * another commit came first, the plan is made anew from the newer state. All moves of this process
 * form a line, so it competes with other processes only.
 */
import { isCairnError, throwIfAborted } from '../errors.ts'
import type { Block } from '../model/cid.ts'
import type { Commit, EncodedCommit } from '../model/commit.ts'
import type { Fenced } from '../model/replication.ts'
import type { CommitRequest, HeldBlock, Staging } from '../store/backend.ts'
import { Mutex } from '../util/mutex.ts'
import type { Context } from './context.ts'
import { MetGuard } from './met-guard.ts'
import { ofNewest, prepareNewest } from './newest-state.ts'
import { commitSurely, successorOf } from './next-commit.ts'
import { madeBy, secondsSince } from './observe.ts'
import { checkWritable, isWritable } from './replica/standing.ts'
import { completeState, extendedState, type State } from './state.ts'

/** What the next commit is to be: the fields that differ, and the blocks that come with it. */
export interface Move<T> {
  readonly changes: Partial<Commit> & { readonly reason: string }
  readonly blocks: readonly HeldBlock[]
  readonly content?: readonly Block[]
  /** The staging that holds the other blocks it names. */
  readonly staging?: Staging
  /** Blocks were looked for and found, in the store as it was after so many sweeps had begun. */
  readonly relies?: Reliance | undefined
  /** The state that the commit leads to, where that takes no reading; asked for if nothing came between. */
  readonly become?: (stored: EncodedCommit) => State
  /** The moment of the commit, where that is not now. */
  readonly at?: number
  readonly result: T
}

/** What a move relies on beyond its own blocks; see `sweeps` of the store's contract. */
export interface Reliance {
  readonly sweeps: number
  /** A sweep has begun since: looks again, and rejects if something is gone. */
  readonly renew: () => Promise<void>
}

/** Looks at a state and says how to move on, or gives the result without moving. */
export type Plan<T> = (state: State) => Promise<Move<T> | { readonly stay: T }>

export interface MoveOptions {
  readonly signal?: AbortSignal | undefined
  /** Begin from a state that the store confirms to be the newest. */
  readonly fresh?: boolean
  /** The token of the guard under which this move is made. */
  readonly guard?: string
  /** A move that replicas and fenced datasets take, too: none that writes entries. */
  readonly replication?: boolean
}

export class Pointer {
  readonly dataset: string
  /** Snapshots are made one after another, whoever of this process makes them: two would fold the same. */
  readonly builds: Mutex = new Mutex()
  readonly #context: Context
  readonly #line = new Mutex()
  readonly #updates = new Mutex()
  readonly #listeners = new Set<() => void>()
  readonly #met: MetGuard
  #state: State

  private constructor(context: Context, dataset: string, state: State) {
    this.#context = context
    this.dataset = dataset
    this.#met = new MetGuard(() => context.now())
    this.#state = state
  }

  /** Undefined when the dataset has no commit. */
  static async open(
    context: Context,
    dataset: string,
    signal?: AbortSignal,
  ): Promise<Pointer | undefined> {
    const prepared = await prepareNewest(context, dataset, undefined, signal)
    return prepared && new Pointer(context, dataset, completeState(prepared))
  }

  /** The state that this process has seen last; the store may be ahead of it. */
  get seen(): State {
    return this.#state
  }

  /** Calls whenever `seen` has become another commit's; until the answer is called. */
  onMove(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #become(state: State): void {
    this.#state = state
    for (const listener of this.#listeners) listener()
  }

  /** The state of the newest commit. */
  async current(signal?: AbortSignal): Promise<State> {
    const { commit, cid } = this.#state.stored
    const newer = await this.#context.backend.newest(this.dataset, commit.number, { signal, cid })
    if (newer === undefined || newer.number <= this.#state.commit.number) return this.#state
    return this.#updates.run(() => this.#catchUp(signal))
  }

  async #catchUp(signal: AbortSignal | undefined): Promise<State> {
    for (;;) {
      const before = this.#state
      const prepared = await prepareNewest(this.#context, this.dataset, before, signal)
      if (prepared === undefined || prepared.state.commit.number <= this.#state.commit.number)
        return this.#state
      // One that was adopted meanwhile may have changed the overlay that this one was to extend.
      if (this.#state !== before) continue
      this.#become(completeState(prepared))
      return this.#state
    }
  }

  /** What is read of the newest state; of a newer one, where blocks of it were freed meanwhile. */
  async reading<T>(read: (state: State) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return ofNewest(await this.current(signal), () => this.current(signal), read)
  }

  move<T>(plan: Plan<T>, options: MoveOptions = {}): Promise<T> {
    const { replicas } = this.#context
    const move = (): Promise<T> => this.#line.run(() => this.#move(plan, options))
    if (replicas === undefined || options.replication === true) return move()
    return replicas.beforeWrite(this).then(move)
  }

  /** Makes the dataset refuse all writes, durably. False for a replica, which takes none as it is. */
  fence(by: Fenced): Promise<boolean> {
    return this.move<boolean>(
      async (state) => {
        const { commit } = state
        if (commit.replica !== undefined) return { stay: false }
        if (commit.fenced !== undefined) return { stay: true }
        return {
          changes: { reason: `fenced by generation ${by.by.number}`, fenced: by },
          blocks: [],
          become: (stored) => extendedState(state, [], stored),
          result: true,
        }
      },
      { fresh: true, replication: true },
    )
  }

  async #move<T>(plan: Plan<T>, options: MoveOptions): Promise<T> {
    const { signal, fresh = false, guard, replication = false } = options
    // A guard may be lifted since, a replica promoted: that it is so is said of the newest state only.
    const held = this.#state.commit.exclusive !== null || !isWritable(this.#state.commit)
    let state = fresh || held ? await this.current(signal) : this.#state
    for (;;) {
      throwIfAborted(signal)
      if (!replication) checkWritable(state.commit)
      this.#met.check(state.commit, guard)
      const move = await this.#planned(plan, state, signal)
      if (move === 'outdated') {
        state = this.#state
        continue
      }
      if ('stay' in move) return move.stay
      // Who commits past a void guard takes it away, so that its owner finds out.
      const exclusive = state.commit.exclusive?.owner === guard ? state.commit.exclusive : null
      const { at } = move
      const clock = at === undefined ? this.#context : { ...this.#context, now: () => at }
      const next = successorOf(clock, state.stored, { exclusive, ...move.changes })
      const began = performance.now()
      const outcome = await commitSurely(this.#context, requestOf(next, move))
      if (outcome === 'committed') {
        this.#context.observe?.('commit', secondsSince(began), {
          dataset: this.dataset,
          ...madeBy(state.commit, next.commit),
        })
        await this.#adopt(state, next, move.become)
        return move.result
      }
      if (outcome === 'swept') await move.relies?.renew()
      state = await this.current(signal)
    }
  }

  /** A state that is not the newest may lack blocks, which a prune has freed since. */
  async #planned<T>(
    plan: Plan<T>,
    state: State,
    signal: AbortSignal | undefined,
  ): Promise<Awaited<ReturnType<Plan<T>>> | 'outdated'> {
    try {
      return await plan(state)
    } catch (error) {
      if (!isCairnError(error, 'block_missing')) throw error
      const { commit } = await this.current(signal)
      if (commit.number > state.commit.number) return 'outdated'
      throw error
    }
  }

  /** The commit is durable: whatever fails from here on, it is not the commit. */
  async #adopt(from: State, stored: EncodedCommit, become: Move<never>['become']): Promise<void> {
    if (become !== undefined && this.#state === from) return this.#become(become(stored))
    try {
      await this.#updates.run(() => this.#catchUp(undefined))
    } catch (error) {
      // The next read tries again, and reports it to someone who waits for the answer.
      this.#context.log.error('pointer.reload_failed', {
        dataset: this.dataset,
        error: String(error),
      })
    }
  }
}

/** The commit `next` with what comes along with it. */
function requestOf({ commit, bytes }: EncodedCommit, move: Move<unknown>): CommitRequest {
  return {
    dataset: commit.dataset,
    number: commit.number,
    bytes,
    blocks: move.blocks,
    ...(move.content === undefined ? {} : { content: move.content }),
    ...(move.staging === undefined ? {} : { staging: move.staging }),
    ...(move.relies === undefined ? {} : { sweeps: move.relies.sweeps }),
  }
}
