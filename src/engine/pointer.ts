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
import { CairnError, isCairnError, throwIfAborted } from '../errors.ts'
import { bytesEqual, type Block } from '../model/cid.ts'
import {
  POINTER_HINT,
  decodeCommit,
  encodeCommit,
  type Commit,
  type EncodedCommit,
  type Exclusive,
} from '../model/commit.ts'
import type { CommitOutcome, CommitRequest, HeldBlock, Staging } from '../store/backend.ts'
import { Mutex } from '../util/mutex.ts'
import type { Context } from './context.ts'
import { madeBy, secondsSince } from './observe.ts'
import { checkWritable, isWritable } from './replica/standing.ts'
import { completeState, prepareState, type PreparedState, type State } from './state.ts'

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

/** How long a guard holds that is not renewed. */
export const GUARD_LASTS_MS = 120_000

const UNKNOWN_RETRIES = 5
const UNKNOWN_DELAY_MS = 200

export class Pointer {
  readonly dataset: string
  /** Snapshots are made one after another, whoever of this process makes them: two would fold the same. */
  readonly builds: Mutex = new Mutex()
  readonly #context: Context
  readonly #line = new Mutex()
  readonly #updates = new Mutex()
  readonly #listeners = new Set<() => void>()
  #state: State
  /** The guard of another writer that was met last, and when by this process's clock. */
  #met: { readonly owner: string; readonly until: number; readonly at: number } | undefined

  private constructor(context: Context, dataset: string, state: State) {
    this.#context = context
    this.dataset = dataset
    this.#state = state
  }

  /** Undefined when the dataset has no commit. */
  static async open(
    context: Context,
    dataset: string,
    signal?: AbortSignal,
  ): Promise<Pointer | undefined> {
    const newest = async (): Promise<EncodedCommit | undefined> => {
      const stored = await context.backend.newest(dataset, -1, { signal })
      return stored && checkedCommit(dataset, stored.number, stored.bytes)
    }
    const prepared = await preparedNewest(newest, (stored) =>
      prepareState(context, stored, undefined, signal),
    )
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
      const prepared = await this.#prepareAfter(before, signal)
      if (prepared === undefined || prepared.state.commit.number <= this.#state.commit.number)
        return this.#state
      // One that was adopted meanwhile may have changed the overlay that this one was to extend.
      if (this.#state !== before) continue
      this.#become(completeState(prepared))
      return this.#state
    }
  }

  /** The newest state, where there is one that is newer than `before`. */
  async #prepareAfter(
    before: State,
    signal: AbortSignal | undefined,
  ): Promise<PreparedState | undefined> {
    const { number } = before.commit
    const newest = async (): Promise<EncodedCommit | undefined> => {
      const newer = await this.#context.backend.newest(this.dataset, number, { signal })
      return newer && checkedCommit(this.dataset, newer.number, newer.bytes)
    }
    return preparedNewest(newest, async (stored) => {
      if (!(await this.#follows(stored, before.stored, signal))) throw storeChanged(this.dataset)
      return prepareState(this.#context, stored, before, signal)
    })
  }

  /**
   * What is read of the newest state. One that is not the newest any more may lack blocks, which a prune has
   * freed since: then it is read again.
   */
  async reading<T>(read: (state: State) => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (let state = await this.current(signal); ;) {
      try {
        return await read(state)
      } catch (error) {
        if (!isCairnError(error, 'block_missing')) throw error
        const now = await this.current(signal)
        if (now.commit.number <= state.commit.number) throw error
        state = now
      }
    }
  }

  /** Whether the commits up to `newer` pass through `known`, as far as they are kept. */
  async #follows(
    { commit }: EncodedCommit,
    known: EncodedCommit,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const { number, identity } = known.commit
    // By the commits and not by identity: a restore may have put another one's state here.
    if (commit.number === number + 1)
      return commit.prev !== null && bytesEqual(commit.prev, known.cid)
    const there = await this.#context.backend.getCommit(this.dataset, number, { signal })
    if (there === undefined) return commit.identity === identity
    if (bytesEqual(there, known.bytes)) return true
    // Damaged is not replaced.
    checkedCommit(this.dataset, number, there)
    return false
  }

  move<T>(plan: Plan<T>, options: MoveOptions = {}): Promise<T> {
    const { replicas } = this.#context
    const move = (): Promise<T> => this.#line.run(() => this.#move(plan, options))
    if (replicas === undefined || options.replication === true) return move()
    return replicas.beforeWrite(this).then(move)
  }

  async #move<T>(plan: Plan<T>, options: MoveOptions): Promise<T> {
    const { signal, fresh = false, guard, replication = false } = options
    // A guard may be lifted since, a replica promoted: that it is so is said of the newest state only.
    const held = this.#state.commit.exclusive !== null || !isWritable(this.#state.commit)
    let state = fresh || held ? await this.current(signal) : this.#state
    for (;;) {
      throwIfAborted(signal)
      if (!replication) checkWritable(state.commit)
      this.#checkGuard(state.commit, guard)
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
      const outcome = await commitSurely(this.#context, {
        dataset: this.dataset,
        number: next.commit.number,
        bytes: next.bytes,
        blocks: move.blocks,
        ...(move.content === undefined ? {} : { content: move.content }),
        ...(move.staging === undefined ? {} : { staging: move.staging }),
        ...(move.relies === undefined ? {} : { sweeps: move.relies.sweeps }),
      })
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

  #checkGuard({ exclusive }: Commit, guard: string | undefined): void {
    if (exclusive === null || exclusive.owner === guard) return
    const now = this.#context.now()
    const voidAt = this.#voidAt(exclusive, now)
    if (voidAt <= now) return
    throw new CairnError(
      'busy',
      `The dataset "${this.dataset}" is reserved: ${exclusive.reason}.`,
      {
        hint: `Try again when it is done, or after ${new Date(voidAt).toISOString()} if it died.`,
      },
    )
  }

  /** By `until`; or, as the owner's clock may be far ahead, once it was met unchanged for so long. */
  #voidAt({ owner, until }: Exclusive, now: number): number {
    const met = this.#met
    const known = met?.owner === owner && met.until === until && met.at <= now
    const { at } = known ? met : (this.#met = { owner, until, at: now })
    return Math.min(until, at + GUARD_LASTS_MS)
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

/** The commit after another one, with other fields. */
export function successorOf(
  context: Pick<Context, 'now' | 'writer'>,
  { commit, cid }: EncodedCommit,
  changes: Partial<Commit>,
): EncodedCommit {
  const same = changes.identity === undefined || changes.identity === commit.identity
  return encodeCommit({
    ...commit,
    ...(same ? {} : { failovers: undefined }),
    ...changes,
    number: commit.number + 1,
    prev: cid,
    ts: Math.max(context.now(), commit.ts, changes.ts ?? 0),
    writer: context.writer,
  })
}

/** The state of the newest commit; of a newer one, where what it needs was freed while it was read. */
async function preparedNewest(
  newest: () => Promise<EncodedCommit | undefined>,
  prepare: (stored: EncodedCommit) => Promise<PreparedState>,
): Promise<PreparedState | undefined> {
  for (let stored = await newest(); stored !== undefined;) {
    try {
      return await prepare(stored)
    } catch (error) {
      if (!isCairnError(error, 'block_missing')) throw error
      const now = await newest()
      if (now === undefined || now.commit.number <= stored.commit.number) throw error
      stored = now
    }
  }
  return undefined
}

export function checkedCommit(dataset: string, number: number, bytes: Uint8Array): EncodedCommit {
  const stored = decodeNamed(dataset, number, bytes)
  if (stored.commit.number === number && stored.commit.dataset === dataset) return stored
  throw damagedCommit(dataset, number, "it is another one's")
}

function decodeNamed(dataset: string, number: number, bytes: Uint8Array): EncodedCommit {
  try {
    return decodeCommit(bytes)
  } catch (error) {
    if (isCairnError(error, 'format_unsupported')) throw error
    throw damagedCommit(
      dataset,
      number,
      error instanceof Error ? error.message : 'unreadable',
      error,
    )
  }
}

function damagedCommit(dataset: string, number: number, why: string, cause?: unknown): CairnError {
  return new CairnError(
    'pointer_damaged',
    `Commit ${number} of "${dataset}" is damaged: ${why.replace(/\.$/, '')}.`,
    {
      hint: POINTER_HINT,
      dataset,
      number,
      cause,
    },
  )
}

function storeChanged(dataset: string): CairnError {
  return new CairnError(
    'store_changed',
    `The store now holds another dataset "${dataset}" than before.`,
    {
      hint: 'It was emptied, replaced or restored under the same name; open it anew if that was meant.',
    },
  )
}

/**
 * A commit whose outcome is unknown is asked for again, which finds out; never assumed. Where its number was
 * forgotten meanwhile nobody can tell any more: to make it anew might be to make it twice.
 */
export async function commitSurely(
  context: Context,
  request: CommitRequest,
): Promise<Exclude<CommitOutcome, 'forgotten'>> {
  for (let attempt = 1; ; attempt++) {
    const outcome = await context.backend.commit(request).catch((error: unknown) => {
      const unknown = isCairnError(error, 'commit_unknown')
      // An earlier try may have taken effect, so no other error of a later one says that none did.
      if (!unknown && attempt > 1) throw outcomeUnknown(request, error)
      if (!unknown || attempt > UNKNOWN_RETRIES) throw error
    })
    if (outcome === 'forgotten' && attempt > 1) throw outcomeUnknown(request)
    if (outcome !== undefined) return outcome === 'forgotten' ? 'conflict' : outcome
    const { dataset, number } = request
    context.log.info('commit.unknown', { dataset, number, attempt })
    await context.timers.delay(UNKNOWN_DELAY_MS * attempt)
  }
}

function outcomeUnknown({ dataset, number }: CommitRequest, cause?: unknown): CairnError {
  return new CairnError(
    'commit_unknown',
    `Whether commit ${number} of "${dataset}" took effect is not known.`,
    {
      hint: 'Look at the newest state before trying again; a retry with versions is safe.',
      cause,
    },
  )
}
