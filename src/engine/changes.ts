/**
 * Changes: the log of a dataset as it grows, for a follower that keeps up with it.
 *
 * Invariant: what a follower is given between two changes of kind `generation` is, position by position, the
 * log of one generation from where it began on: every entry once, none left out, in order; whatever builds
 * fold and prunes free meanwhile, and whichever process commits. Where that cannot be kept, because the log is
 * not kept so far back, it ends with `history_gone`.
 *
 * A change of kind `generation` says that entries which were given before may not count any more, and others
 * may: its reader reads the entities anew. What is appended after the new generation began follows it.
 */
import type { Entry } from '../model/entry.ts'
import type { Generation } from '../model/generation.ts'
import { isCairnError } from '../errors.ts'
import type { CallOptions } from '../store/backend.ts'
import type { Context } from './context.ts'
import type { LoggedEntry } from './history.ts'
import { logFrom, logViewOf, type LogView } from './log.ts'
import type { Pointer } from './pointer.ts'
import { commitLog, generations } from './prune/log.ts'
import { newerCommit } from './watch-pointer.ts'

export interface EntryChange {
  readonly kind: 'entry'
  readonly position: number
  readonly entry: Entry
}

export interface GenerationChange {
  readonly kind: 'generation'
  readonly generation: Generation
  /** The position from which on entries follow. */
  readonly next: number
  /** The reason of the commit that began it; null where that is not kept. */
  readonly reason: string | null
}

export type LogChange = EntryChange | GenerationChange

/** Entries that follow each other in the log, and became visible at the same time. */
export interface EntriesChange {
  readonly kind: 'entries'
  readonly entries: readonly LoggedEntry[]
}

export interface ChangesOptions extends CallOptions {
  /** The first position that is wanted; not given: from now on. */
  readonly since?: number | undefined
  /** The generation that `since` is of; if it is not the current one, that is the first change. */
  readonly generation?: { readonly number: number; readonly tag?: string | undefined } | undefined
}

export async function* followLog(
  context: Context,
  pointer: Pointer,
  options: ChangesOptions = {},
): AsyncGenerator<LogChange> {
  for await (const change of followLogInBatches(context, pointer, options)) {
    if (change.kind === 'generation') yield change
    else for (const one of change.entries) yield { kind: 'entry', ...one }
  }
}

/** The same, as many entries at a time as are at hand: for who has a promise to spare for each commit only. */
export async function* followLogInBatches(
  context: Context,
  pointer: Pointer,
  { since, generation, signal }: ChangesOptions = {},
): AsyncGenerator<EntriesChange | GenerationChange> {
  let view = logViewOf(await pointer.current(signal))
  let known = generation ?? view.commit.generation
  let next = since ?? view.commit.next
  for (;;) {
    const { commit } = view
    if (!isSame(known, commit.generation)) {
      const change = await generationChange(context, view, signal)
      known = change.generation
      next = change.next
      yield change
    }
    try {
      for await (const entries of logFrom(context, pointer, view, next, signal)) {
        next = (entries.at(-1)?.position ?? next - 1) + 1
        yield { kind: 'entries', entries }
      }
      next = commit.next
      await newerCommit(context, pointer, commit.number, signal)
      view = logViewOf(pointer.seen)
    } catch (error) {
      // A prune may have freed what a slow reader had yet to read: the newer state says which.
      if (!isCairnError(error, 'block_missing')) throw error
      const now = await pointer.current(signal)
      if (now.commit.number <= commit.number) throw error
      view = logViewOf(now)
    }
  }
}

function isSame(
  known: { readonly number: number; readonly tag?: string | undefined },
  now: Generation,
): boolean {
  return known.number === now.number && (known.tag === undefined || known.tag === now.tag)
}

/** Where the newest generation began. What lies between that and the floor is in the state that is read anew. */
async function generationChange(
  context: Context,
  { commit }: LogView,
  signal: AbortSignal | undefined,
): Promise<GenerationChange> {
  const { generation } = commit
  let first = commit
  for await (const one of generations(commitLog(context, commit, commit.oldest, signal))) {
    first = one.first
    break
  }
  const began = first.number === 0 || first.number > commit.oldest
  return {
    kind: 'generation',
    generation,
    next: Math.max(first.next, commit.floor),
    reason: began ? first.reason : null,
  }
}
