/** The log read backwards: every kept entry of one entity, newest first. */
import { walkBack } from '../chain/walk.ts'
import { idOfKey } from '../model/entity-id.ts'
import type { Entry } from '../model/entry.ts'
import type { Context } from './context.ts'
import { identitiesOf, type State } from './state.ts'

export interface LoggedEntry {
  readonly entry: Entry
  readonly position: number
}

/** Walks the whole kept log, so it takes time with the log's length, not the dataset's. */
export async function* historyOf(
  context: Context,
  { commit, header, chain }: State,
  key: string,
  signal?: AbortSignal,
): AsyncGenerator<LoggedEntry> {
  const pi = idOfKey(key)
  for (const { block } of chain.toReversed()) yield* entriesOf(pi, block)
  const older = {
    head: commit.base,
    base: null,
    identities: identitiesOf(commit),
    floor: commit.floor,
    next: header.upto,
    signal,
  }
  for await (const { block } of walkBack(context.backend, older)) yield* entriesOf(pi, block)
}

function* entriesOf(
  pi: string,
  block: { readonly first: number; readonly entries: readonly Entry[] },
): Generator<LoggedEntry> {
  for (let i = block.entries.length - 1; i >= 0; i--) {
    const entry = block.entries[i]
    if (entry?.pi === pi) yield { entry, position: block.first + i }
  }
}
