/** What can be read of a world, held to its maps: pages, pasts, histories, differences; at the end all of it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { printCid } from '../../src/model/cid.ts'
import { verifyDataset } from '../../src/verify/verify.ts'
import { collect, expectRefused } from '../helpers/engine.ts'
import { NaiveBuilder } from '../helpers/naive-tree.ts'
import { entriesOf, isAlive, logOf, seenAt, seenOf, type Logged } from '../helpers/upkeep-model.ts'
import { byId, CHUNK_SIZE, lineOf, lineOfLogged, type World } from './world.ts'

export interface PageOf {
  readonly prefix?: string
  readonly from?: string
  readonly to?: string
  readonly order?: 'asc' | 'desc'
  readonly offset?: number
  readonly limit: number
}

/** The page, and by its cursor all that follow it. */
export async function list(world: World, page: PageOf): Promise<void> {
  const dataset = await world.dataset()
  const all = inRange(world.counted(), page)
  // What has expired since the last build counts in offsets.
  const rest = all.slice(page.offset ?? 0).filter(({ exp }) => isAlive(exp, world.moment))
  let { items, hasMore, nextCursor } = await dataset.list(page)
  expect(items.map(lineOf), 'the page').toEqual(rest.slice(0, page.limit).map(lineOfLogged))
  const lines = items.map(lineOf)
  const { offset: _, ...range } = page
  while (nextCursor !== null) {
    expect(hasMore).toBe(true)
    ;({ items, hasMore, nextCursor } = await dataset.list({
      ...range,
      limit: 50,
      cursor: nextCursor,
    }))
    lines.push(...items.map(lineOf))
  }
  expect(hasMore).toBe(false)
  expect(lines, 'all pages').toEqual(rest.map(lineOfLogged))
}

const MOST_OFFSETS = 20

/** What stands at an offset, at all of them where entities are few, is what the maps have there. */
async function checkOffsets(world: World): Promise<void> {
  const dataset = await world.dataset()
  const counted = world.counted()
  const step = Math.ceil((counted.length + 1) / MOST_OFFSETS)
  for (const order of ['asc', 'desc'] as const) {
    const all = order === 'asc' ? counted : counted.toReversed()
    for (let offset = 0; offset <= all.length; offset += step) {
      const rest = all.slice(offset).find(({ exp }) => isAlive(exp, world.moment))
      const { items } = await dataset.list({ order, offset, limit: 1 })
      expect(items.map(lineOf), `${order} from ${offset}`).toEqual(
        rest === undefined ? [] : [lineOfLogged(rest)],
      )
    }
  }
}

function inRange(entries: readonly Logged[], { prefix = '', from, to, order }: PageOf): Logged[] {
  const found = entries.filter(
    (one) =>
      one.pi.startsWith(prefix) &&
      (from === undefined || byId(one, { pi: from }) >= 0) &&
      (to === undefined || byId(one, { pi: to }) < 0),
  )
  return order === 'asc' ? found : found.reverse()
}

export async function get(world: World, pi: string): Promise<void> {
  const known = world.known(pi)
  const there = known === undefined || known.tip === null ? undefined : lineOfLogged(known)
  const dataset = await world.dataset()
  const entry = await dataset.get(pi)
  expect(entry && lineOf(entry)).toBe(there)
  const tip = entry?.tip ?? null
  if (tip === null) return
  const content = await dataset.content(tip)
  expect(content).toMatchObject({ kind: 'value', value: { n: expect.any(Number) as number } })
}

export async function history(world: World, pi: string): Promise<void> {
  const { newest, whole } = world.of
  const logged = await collect((await world.dataset()).history(pi))
  const all = logOf(newest.state)
    .filter((one) => one.pi === pi)
    .toReversed()
  const recent = newest.state.chain.filter((one) => one.pi === pi).length
  const lines = logged.map(({ entry, position }) => `${position}: ${lineOf(entry)}`)
  const expected = all.map((one) => `${one.position}: ${lineOfLogged(one)}`)
  expect(lines).toEqual(whole ? expected : expected.slice(0, lines.length))
  expect(lines.length).toBeGreaterThanOrEqual(recent)
}

/** The commit that was current so many commits ago, and the time it was made. */
export async function at(world: World, back: number): Promise<void> {
  const { newest, made, oldest } = world.of
  const past = made.find(({ number }) => number === newest.number - back)
  if (past === undefined) return
  const dataset = await world.dataset()
  const reading = collect(dataset.entries({ at: { commit: past.number } }))
  if (past.number < oldest) return void (await expectRefused(reading, 'not_found'))
  expect(seenOf(await reading, printCid)).toEqual(seenAt(entriesOf(past.state), past.ts))
  const then = made.findLast(({ ts }) => ts <= past.ts)
  if (then === undefined) return
  const { items } = await dataset.list({ limit: 10_000, at: { time: past.ts } })
  expect(seenOf(items, printCid)).toEqual(seenAt(entriesOf(then.state), then.ts))
}

export async function diff(world: World, before: string, after: string): Promise<void> {
  const { kept } = world.of.newest
  const named = (selector: string): ReadonlyMap<string, Logged> =>
    kept.find(({ seq }) => `seq:${seq}` === selector)?.entries ?? new Map()
  const [a, b] = [named(before), named(after)]
  const row = (map: ReadonlyMap<string, Logged>, pi: string): string => {
    const entry = map.get(pi)
    return entry === undefined ? '-' : `${lineOfLogged(entry)} ${entry.exp}`
  }
  const all = [...new Set([...a.keys(), ...b.keys()])]
  const differ = all.filter((pi) => row(a, pi) !== row(b, pi)).map((pi) => ({ pi }))
  const again = all.filter((pi) => row(a, pi) === row(b, pi) && a.get(pi) !== b.get(pi))
  const dataset = await world.dataset()
  const changes = await collect(dataset.diff(before, after))
  expect(changes.map(({ pi }) => pi).filter((pi) => !again.includes(pi))).toEqual(
    differ.sort(byId).map(({ pi }) => pi),
  )
  for (const pi of again) {
    // The same version was written twice, after a rollback: it is another one if that was at another time.
    const times = [before, after].map(async (snapshot) => dataset.get(pi, { at: { snapshot } }))
    const [was, is] = await Promise.all(times)
    if (was === undefined || is === undefined) continue
    expect(
      changes.some((one) => one.pi === pi),
      pi,
    ).toBe(was.ts !== is.ts)
  }
  for (const { pi, before: was, after: is } of changes) {
    expect(was === undefined ? '-' : `${lineOf(was)} ${was.exp}`).toBe(row(a, pi))
    expect(is === undefined ? '-' : `${lineOf(is)} ${is.exp}`).toBe(row(b, pi))
  }
}

/** Everything that is kept, of every dataset: entities, roots, histories, and what a verification says. */
export async function checkAll(world: World): Promise<void> {
  world.reopen()
  for (const name of world.datasets.keys()) {
    world.name = name
    await world.check()
    const { newest, made } = world.of
    for (let back = 0; back < made.length; back++) await at(world, back)
    for (const pi of new Set(logOf(newest.state).map((one) => one.pi))) await history(world, pi)
    await checkOffsets(world)
    await checkSnapshots(world)
    await checkSound(world)
  }
}

/** Each kept snapshot holds its entities, deleted ones too, and its root is that of the plainest tree. */
async function checkSnapshots(world: World): Promise<void> {
  const dataset = await world.dataset()
  const { kept, state } = world.of.newest
  const naive = new NaiveBuilder(CHUNK_SIZE)
  const listed = await collect(dataset.snapshots())
  expect(listed.map(({ cid }) => printCid(cid))).toEqual(kept.map(({ cid }) => cid).toReversed())
  for (const { cid, entries } of kept) {
    const past = await collect(dataset.entries({ at: { snapshot: cid }, deleted: true }))
    expect(past.map((one) => `${lineOf(one)} ${one.exp}`)).toEqual(
      [...entries.values()].sort(byId).map((one) => `${lineOfLogged(one)} ${one.exp}`),
    )
    if (cid !== state.snap.cid) continue
    const { root } = await dataset.status()
    expect(root, 'the root of the plainest tree').toBe(naive.build(past).root.cid.toString())
  }
}

async function checkSound({ backend, name, now }: World): Promise<void> {
  const ledgerDir = await mkdtemp(join(tmpdir(), 'cairn-model-'))
  try {
    const mode = { kind: 'full' } as const
    const { verdict, problems } = await verifyDataset(backend, name, {
      mode,
      ledgerDir,
      now: () => now,
    })
    expect({ verdict, problems }).toEqual({ verdict: 'sound', problems: [] })
  } finally {
    await rm(ledgerDir, { recursive: true, force: true })
  }
}
