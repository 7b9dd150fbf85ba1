/**
 * Appending with group commit. Batches that arrive while a commit is under way share the next one: one
 * commit, one chain block (or as many as 1 MiB each needs), whoever's entries it carries.
 *
 * A batch is all or nothing. It is judged against the newest entry of each entity (earlier batches of
 * the group included), in the order of ids, so that a leaf of the tree is read once; a batch that is
 * refused does not disturb the others. Nothing is acknowledged before its commit is durable. If the
 * commit lost a race, the whole group is judged and encoded again from the newer state.
 */
import { CairnError, throwIfAborted, toCairnError, type ErrorCode } from '../errors.ts'
import { chainBlocks } from '../chain/extend.ts'
import type { LoadedBlock } from '../chain/walk.ts'
import type { Block } from '../model/cid.ts'
import type { Entry } from '../model/entry.ts'
import type { HeldBlock } from '../store/backend.ts'
import { momentOf, type Context } from './context.ts'
import type { Draft } from './draft.ts'
import { answersOf, judgeGroup, type Appended } from './judge-group.ts'
import { secondsSince } from './observe.ts'
import type { Move, Pointer, Reliance } from './pointer.ts'
import { extendedState, type State } from './state.ts'

export interface Batch {
  readonly drafts: readonly Draft[]
  /** Blocks that the drafts' tips need and that come with them. */
  readonly content: readonly Block[]
  /** Of blocks that the drafts' tips need and that the store has. */
  readonly relies?: Reliance | undefined
  readonly signal?: AbortSignal | undefined
}

interface Waiting extends Batch {
  readonly resolve: (result: Appended[]) => void
  readonly reject: (error: CairnError) => void
}

/** Content blocks of one commit stay below this; the rest of the queue waits for the next one. */
const MAX_GROUP_CONTENT = 8 << 20

/** Errors that are a member's, not the group's; with all of them nothing was committed. */
const CONCERNS_ONE: ReadonlySet<ErrorCode> = new Set([
  'content_missing',
  'block_missing',
  'block_mismatch',
  'invalid_block',
  'chain_full',
])

/** Of a group: the oldest of its members'. */
function relianceOf(group: readonly Batch[]): Reliance | undefined {
  const all = group.flatMap(({ relies }) => (relies === undefined ? [] : [relies]))
  if (all.length === 0) return undefined
  return {
    sweeps: Math.min(...all.map(({ sweeps }) => sweeps)),
    renew: async () => {
      for (const one of all) await one.renew()
    },
  }
}

export class Appender {
  readonly #context: Context
  readonly #pointer: Pointer
  /** Makes room for so many entries in a full chain, or throws `chain_full`. */
  readonly #makeRoom: (entries: number) => Promise<void>
  #queue: Waiting[] = []
  #running = false

  constructor(context: Context, pointer: Pointer, makeRoom: (entries: number) => Promise<void>) {
    this.#context = context
    this.#pointer = pointer
    this.#makeRoom = makeRoom
  }

  append(batch: Batch): Promise<Appended[]> {
    if (batch.drafts.length === 0) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...batch, resolve: this.#timed(resolve), reject })
      if (!this.#running) void this.#run()
    })
  }

  #timed(resolve: Waiting['resolve']): Waiting['resolve'] {
    const { observe } = this.#context
    if (observe === undefined) return resolve
    const began = performance.now()
    return (result) => {
      resolve(result)
      observe('append', secondsSince(began), { dataset: this.#pointer.dataset })
    }
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#queue.length > 0) {
      // Whose appends were just acknowledged may have the next ones ready: one turn gathers them.
      await this.#context.timers.turn()
      const group = this.#nextGroup()
      if (group.length > 0) await this.#commitGroup(group)
    }
    this.#running = false
  }

  /** As many waiting batches as the chain has room for; the first one alone when it does not fit. */
  #nextGroup(): Waiting[] {
    const { commit } = this.#pointer.seen
    const limit = commit.settings.chainLimit
    let room = limit - commit.recentCount
    const first = this.#queue[0]
    if (first !== undefined && first.drafts.length > limit) {
      this.#queue.shift()
      first.reject(tooMany(first.drafts.length, limit))
      return []
    }
    // Alone: if the chain is full, and nothing makes room, that is said to this one only.
    if (first !== undefined && first.drafts.length > room) return this.#queue.splice(0, 1)
    const group: Waiting[] = []
    let content = 0
    for (const waiting of this.#queue) {
      content += waiting.content.reduce((sum, { bytes }) => sum + bytes.length, 0)
      const fits =
        waiting.drafts.length <= room && (group.length === 0 || content <= MAX_GROUP_CONTENT)
      if (!fits) break
      room -= waiting.drafts.length
      group.push(waiting)
    }
    this.#queue = this.#queue.slice(group.length)
    return group
  }

  async #commitGroup(all: readonly Waiting[]): Promise<void> {
    const group = all.filter((waiting) => !rejectedIfAborted(waiting))
    if (group.length === 0) return
    try {
      const answers = await this.#tryGroup(group, false)
      for (const [i, waiting] of group.entries()) settle(waiting, answers[i])
    } catch (error) {
      await this.#failGroup(group, toCairnError(error))
    }
  }

  /** Content that vanished, or a damaged leaf, concerns some members: the others are committed. */
  async #failGroup(group: readonly Waiting[], error: CairnError): Promise<void> {
    if (group.length > 1 && CONCERNS_ONE.has(error.code)) {
      for (const waiting of group) await this.#commitGroup([waiting])
      return
    }
    for (const waiting of group) waiting.reject(error)
  }

  async #tryGroup(
    group: readonly Waiting[],
    fresh: boolean,
  ): Promise<readonly (readonly Appended[] | CairnError)[]> {
    const outcome = await this.#pointer.move(
      async (state): Promise<Move<GroupResult> | { stay: GroupResult }> => {
        const at = momentOf(this.#context, state.commit)
        const accepted = await judgeGroup(group, state, at)
        // Refusals and "already there" are said of the newest state only; one that was seen meanwhile has
        // changed the overlay.
        if (!accepted.plain && (!fresh || state !== this.#pointer.seen)) return { stay: 'stale' }
        const room = state.commit.settings.chainLimit - state.commit.recentCount
        if (accepted.entries.length > room) return { stay: 'full' }
        if (accepted.entries.length === 0) return { stay: answersOf(accepted, state, []) }
        const content = group.flatMap((waiting) => waiting.content)
        const { entries, liveChange } = accepted
        const move = appendMove(state, { at, entries, liveChange, reason: 'append' }, content)
        const result = answersOf(accepted, state, move.appended)
        return { ...move, relies: relianceOf(group), result }
      },
      { fresh },
    )
    if (outcome === 'stale') return this.#tryGroup(group, true)
    if (outcome === 'full') {
      await this.#makeRoom(group.reduce((sum, { drafts }) => sum + drafts.length, 0))
      return this.#tryGroup(group, true)
    }
    return outcome
  }
}

type GroupResult = readonly (readonly Appended[] | CairnError)[] | 'stale' | 'full'

function settle(waiting: Waiting, answer: readonly Appended[] | CairnError | undefined): void {
  if (answer instanceof CairnError) waiting.reject(answer)
  else waiting.resolve([...(answer ?? [])])
}

function rejectedIfAborted(waiting: Waiting): boolean {
  try {
    throwIfAborted(waiting.signal)
    return false
  } catch (error) {
    waiting.reject(toCairnError(error))
    return true
  }
}

function tooMany(count: number, limit: number): CairnError {
  return new CairnError(
    'too_large',
    `A batch of ${count} entries is above the limit of ${limit}.`,
    {
      hint: 'Send smaller batches, or use `cairn import` for a bulk load.',
    },
  )
}

interface AppendedEntries {
  readonly entries: readonly Entry[]
  /** The moment of the commit. */
  readonly at: number
  /** By how much the count of live entities changes. */
  readonly liveChange: number
  readonly reason: string
}

/** The move that appends entries to the chain. */
function appendMove(
  state: State,
  { entries, at, liveChange, reason }: AppendedEntries,
  content: readonly Block[] = [],
): Omit<Move<never>, 'result'> & { readonly appended: readonly LoadedBlock[] } {
  const appended = chainBlocks(state.commit, state.chain, entries, at)
  const last = appended.at(-1)
  if (last === undefined) throw new CairnError('internal', 'an append without entries')
  const { commit } = state
  const blocks: HeldBlock[] = appended.map(({ cid, bytes }) => ({ cid, bytes, hold: 'deep' }))
  return {
    changes: {
      reason,
      ts: at,
      head: last.cid,
      recentCount: commit.recentCount + entries.length,
      chainFirst: commit.recentCount === 0 ? commit.next : commit.chainFirst,
      next: commit.next + entries.length,
      nextOrdinal: last.block.ordinal + 1,
      totalCount: commit.totalCount + liveChange,
    },
    blocks,
    content,
    appended,
    become: (stored) => extendedState(state, appended, stored),
  }
}
