/** What the commands that write do to a world: to the store, and to the maps beside it. */
import { expect } from 'vitest'
import { isCairnError } from '../../src/errors.ts'
import type { ImportEntry } from '../../src/engine/import-entry.ts'
import { printCid } from '../../src/model/cid.ts'
import { newestCommit } from '../helpers/engine.ts'
import { carInMemory } from '../helpers/memory-car.ts'
import {
  DatasetModel,
  entriesOf,
  isAlive,
  logOf,
  notIn,
  type Logged,
  type Snap,
} from '../helpers/upkeep-model.ts'
import type { World, Wanted } from './world.ts'

/** One batch: all of it, or nothing when one of it conflicts. */
export async function write(world: World, wanted: readonly Wanted[]): Promise<void> {
  const dataset = await world.dataset()
  const entries = new Map(entriesOf(world.of.newest.state))
  const verdicts: (Logged | 'already' | 'conflict')[] = []
  for (const one of wanted) {
    const verdict = world.judge(one, world.known(one.pi, entries))
    verdicts.push(verdict)
    if (typeof verdict === 'object') entries.set(one.pi, verdict)
  }
  const answers = await dataset.appendBatch(wanted.map(entryOf)).catch((error: unknown) => {
    if (isCairnError(error, 'conflict')) return 'conflict' as const
    throw error
  })
  expect(answers === 'conflict', 'whether it conflicts').toBe(verdicts.includes('conflict'))
  if (answers === 'conflict') return
  const appended: Logged[] = []
  for (const [i, { ver, status, position }] of answers.entries()) {
    const verdict = verdicts[i]
    expect(status, wanted[i]?.pi).toBe(verdict === 'already' ? 'already' : 'appended')
    if (typeof verdict !== 'object') continue
    expect(ver, verdict.pi).toBe(verdict.ver)
    appended.push({ ...verdict, position: position ?? -1 })
  }
  if (appended.length === 0) return
  const { state, kept } = world.of.newest
  const commit = await world.made({ snap: state.snap, chain: [...state.chain, ...appended] }, kept)
  world.gave(commit, appended)
}

const entryOf = ({ pi, n, ver, expectVer, exp }: Wanted): ImportEntry => ({
  pi,
  ...(n === null ? { tip: null } : { value: { n } }),
  ...(ver === undefined ? {} : { ver }),
  ...(expectVer === undefined ? {} : { expectVer }),
  ...(exp === undefined ? {} : { exp }),
})

export async function build(world: World, tag: string | undefined): Promise<void> {
  const { of } = world
  const dataset = await world.dataset()
  const tags = tag === undefined ? [] : [tag]
  const { status, snapshot, seq, ts, live } = await dataset.build({ tags })
  const { state, kept } = of.newest
  if (status === 'already_built') {
    expect(state.chain).toEqual([])
    for (const { exp } of state.snap.entries.values()) expect(isAlive(exp, world.moment)).toBe(true)
    expect(tags.every((one) => state.snap.tags.includes(one))).toBe(true)
    return
  }
  const entries = new Map([...entriesOf(state)].filter(([, { exp }]) => isAlive(exp, ts)))
  expect(live).toBe([...entries.values()].filter(({ tip }) => tip !== null).length)
  const snap: Snap = { cid: printCid(snapshot), seq, ts, tags, log: logOf(state), entries }
  await world.made({ snap, chain: [] }, [...kept, snap])
}

export type Past = { readonly snapshot: Snap } | { readonly number: number }

export async function rollback(
  world: World,
  to: Past,
  selector: string | number,
  keepChain: boolean,
): Promise<void> {
  const { of } = world
  const dataset = await world.dataset()
  const now = of.newest
  const past =
    'snapshot' in to
      ? { identity: now.identity, state: { snap: to.snapshot, chain: [] } }
      : of.keptCommits.find(({ number }) => number === to.number)
  if (past === undefined) throw new Error('no such commit')
  const target = typeof selector === 'number' ? { commit: selector } : { snapshot: selector }
  const report = await dataset.rollback(target, { keepChain })
  expect(report.undo).toBe(now.number)
  const later = keepChain ? notIn(now.state.chain, past.state) : []
  const { next } = await newestCommit(world.backend, of.name)
  const again = later.map((one, i) => ({ ...one, position: next - later.length + i }))
  const chain = [...past.state.chain, ...again]
  const commit = await world.made({ snap: past.state.snap, chain }, of.listOf(past.identity))
  world.gave(commit, again)
}

export async function prune(world: World, last: number): Promise<void> {
  const { of } = world
  const { kept, oldest } = of.pruned(last, [])
  const { state, number } = of.newest
  const report = await (await world.dataset()).prune({ policy: { last } })
  expect(report.kept).toBe(kept.length)
  of.whole = false
  of.oldest = oldest
  const commit = await newestCommit(world.backend, of.name)
  expect(commit.oldest).toBe(oldest)
  // The list is made anew in the order of numbers.
  const list = kept.toSorted((a, b) => a.seq - b.seq)
  if (commit.number > number) await world.made(state, list)
}

/** Exports what is current and restores it under another name, where it replaces what was there. */
export async function copyTo(world: World, name: string): Promise<void> {
  const { state } = world.of.newest
  const { car } = await carInMemory(await world.dataset())
  const { identity } = world.of.newest
  const known = world.datasets.get(name)
  const before = known && (await newestCommit(world.backend, name))
  const { status } = await world.cairn.restoreCar([car], { as: name, replace: true })
  const of = known ?? new DatasetModel(name)
  const same =
    known !== undefined &&
    [before?.identity, ...(before?.origins ?? [])].includes(identity) &&
    known.newest.state.snap.cid === state.snap.cid &&
    known.newest.state.chain.length === state.chain.length &&
    known.newest.state.chain.every((one, i) => one === state.chain[i])
  expect(status).toBe(same ? 'already_restored' : 'restored')
  if (same) return
  world.datasets.set(name, of)
  const commit = await newestCommit(world.backend, name)
  const list = known === undefined ? [] : of.listOf(commit.identity)
  const kept = list.some(({ cid }) => cid === state.snap.cid) ? list : [...list, state.snap]
  of.whole = false
  await world.made(state, kept, of)
  const given = of.positions.get(commit.identity) ?? new Set<number>()
  for (const { position } of state.chain) given.add(position)
  of.positions.set(commit.identity, given)
}
