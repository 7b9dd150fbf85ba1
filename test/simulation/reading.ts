/** Steps that read: what they are shown is what some commit held that was current meanwhile. */
import { refuseMissing } from '../../src/content/complete.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { Entry } from '../../src/model/entry.ts'
import { collect, expectTrue } from './check.ts'
import { showsAll, Window } from './ground.ts'
import type { TrueState } from './truth.ts'
import { anyId, idOf, tolerant, type Turn } from './turn.ts'

export async function get(turn: Turn): Promise<void> {
  const { ground, process, dataset, what } = turn
  const pi = anyId(turn)
  const window = new Window(ground, process, dataset.name)
  const entry = await dataset.get(pi)
  const { states } = window.close()
  const shown = states.some((state) => window.shows(state, pi, entry))
  expectTrue(shown, `${what}: ${pi} is ${entry === undefined ? 'absent' : `@${entry.ver}`}`)
}

/** A page at a time: whatever did not change meanwhile is met once, and what is met was there. */
export async function list(turn: Turn): Promise<void> {
  const { ground, process, dataset, random, what } = turn
  const order = random.int(0, 1) === 0 ? 'asc' : 'desc'
  const limit = random.int(1, ground.entities)
  const window = new Window(ground, process, dataset.name)
  const met: Entry[] = []
  let cursor: string | undefined
  do {
    const page = await dataset.list({ limit, order, cursor })
    met.push(...page.items)
    cursor = page.nextCursor ?? undefined
  } while (cursor !== undefined)
  const { states } = window.close()
  const byPi = new Map(met.map((entry) => [entry.pi, entry]))
  expectTrue(byPi.size === met.length, `${what}: an entity is met twice`)
  for (let n = 0; n < ground.entities; n++) {
    const shown = states.some((state) => window.shows(state, idOf(n), byPi.get(idOf(n))))
    expectTrue(shown, `${what}: ${idOf(n)} is ${byPi.has(idOf(n)) ? 'wrong' : 'missed'}`)
  }
}

/** All of one state. */
export async function allEntries(turn: Turn): Promise<void> {
  const { ground, process, dataset, what } = turn
  const window = new Window(ground, process, dataset.name)
  const found = await tolerant(collect(dataset.entries()))
  const { states, seen } = window.close()
  if (found === undefined) return
  const shown = states.some((state) => showsAll(ground, state, found, seen))
  expectTrue(shown, `${what}: the entities are those of no commit`)
}

export async function history(turn: Turn): Promise<void> {
  const { ground, process, dataset, what } = turn
  const pi = anyId(turn)
  const window = new Window(ground, process, dataset.name)
  const lines = await tolerant(collect(dataset.history(pi)))
  const { states } = window.close()
  if (lines === undefined) return
  const found = lines.map(({ entry, position }) => `${position}: ${entry.ver}`)
  const isHistory = (state: TrueState): boolean => {
    const all = ground.truth.logOf(state).filter((one) => one.pi === pi)
    const all2 = all.toReversed().map(({ position, ver }) => `${position}: ${ver}`)
    const recent = state.chain.flatMap(({ entries }) => entries).filter((one) => one.pi === pi)
    return found.length >= recent.length && found.every((line, i) => line === all2[i])
  }
  expectTrue(states.some(isHistory), `${what}: the history of ${pi} is ${found.join(', ')}`)
}

/** A kept commit reads as it was made. */
export async function past(turn: Turn): Promise<void> {
  const { ground, dataset, random, what } = turn
  const newest = ground.truth.newest(dataset.name)
  const number = random.int(ground.truth.at(dataset.name, newest).commit.oldest, newest)
  const found = await tolerant(collect(dataset.entries({ at: { commit: number } })))
  if (found === undefined) return
  const state = ground.truth.at(dataset.name, number)
  const { ts } = state.commit
  const same = showsAll(ground, state, found, { from: ts, to: ts })
  expectTrue(same, `${what}: commit ${number} has changed`)
}

export async function diff({ dataset }: Turn): Promise<void> {
  await tolerant(collect(dataset.diff('latest~1', 'latest')))
}

/** At the end: every entity's content is whole. */
export async function proveContent(
  dataset: Dataset,
  backend: Parameters<typeof refuseMissing>[0],
): Promise<void> {
  const found = await collect(dataset.entries())
  const tips = found.flatMap(({ tip }) => tip ?? [])
  await refuseMissing(backend, tips, undefined)
}
