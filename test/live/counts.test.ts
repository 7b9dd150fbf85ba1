/**
 * What saving a live state asks of its store, counted and not timed: that only what changed is written shows
 * here on any machine. Who changes a number on purpose says why in the commit.
 */
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { openSession } from '../../src/session/open.ts'
import type { Session } from '../../src/session/session.ts'
import { tallyBackend, type Tally, type TallyBackend } from '../bench/tally.ts'
import { START } from '../helpers/engine.ts'

const COUNT = 10_000
const SILENT = { info() {}, error() {}, debug() {} }

interface Thing {
  readonly name: string
  readonly at: readonly number[]
  readonly version: number
}

const keyOf = (index: number): string => `object-${String(index).padStart(5, '0')}`
const thingOf = (index: number, version: number): Thing => ({
  name: `Cube.${index}`,
  at: [index, version],
  version,
})

/** A hundredth of all, at even distances. */
const changed = (version: number): Map<string, Thing> =>
  new Map(
    Array.from({ length: COUNT / 100 }, (_, i) => [keyOf(i * 100), thingOf(i * 100, version)]),
  )

/** What a build writes beside contents: leaves, the branch over them, the header, the list of kept snapshots. */
const TREE = 6
/** By which calls a build writes. */
const BUILD = { stage: 1, put: 1, flush: 1, commit: 1 }

let tally: TallyBackend
let session: Session
let scene: Map<string, Thing>

beforeEach(async () => {
  tally = tallyBackend(openMemory())
  const cairn = new Cairn(tally.backend, { now: () => START })
  session = await openSession(cairn, { log: SILENT, now: () => START })
  onTestFinished(() => session.close({ save: false }))
  scene = sceneOf(1)
  await session.attach('scene', { capture: () => scene })
  await session.save('first')
})

function sceneOf(version: number): Map<string, Thing> {
  return new Map(Array.from({ length: COUNT }, (_, i) => [keyOf(i), thingOf(i, version)]))
}

const save = (): Promise<Tally> => tally.during(() => session.save('again'))

/** Maps look for the commits of others by the clock, so that only calls that write are counted. */
function writingCalls({ calls }: Tally): Record<string, number> {
  return Object.fromEntries(Object.entries(calls).filter(([name]) => name in BUILD))
}

test('of an attached source a save writes what changed in one commit, and the tree in another', async () => {
  for (const version of [2, 3]) {
    for (const [key, thing] of changed(version)) scene.set(key, thing)
    const saved = await save()
    expect(writingCalls(saved)).toEqual({ ...BUILD, commit: 2 })
    expect(saved.written).toBe(COUNT / 100 + 1 + TREE)
    expect(saved.writtenBytes).toBeLessThan(800_000)
  }
})

test('a save with nothing new commits nothing and writes nothing, even if every object was made anew', async () => {
  scene = sceneOf(1)
  const saved = await save()
  expect(writingCalls(saved)).toEqual({})
  expect([saved.written, saved.commitBytes]).toEqual([0, 0])
})

test('ten thousand changed objects of half a kB are one commit', async () => {
  const note = 'x'.repeat(450)
  scene = new Map([...sceneOf(2)].map(([key, thing]) => [key, { ...thing, note }]))
  const saved = await save()
  expect(writingCalls(saved)).toEqual({ ...BUILD, commit: 2 })
  expect(saved.written).toBe(COUNT + 1 + TREE)
  expect(saved.writtenBytes).toBeGreaterThan(5_000_000)
})

test('what is written to a map at once is one commit; a save after it writes the tree alone', async () => {
  session.detach('scene')
  const map = await session.map<Thing>('scene')
  const set = await tally.during(() => map.setAll(changed(2)))
  expect(writingCalls(set)).toEqual({ commit: 1 })
  expect(set.written).toBe(COUNT / 100 + 1)
  const saved = await save()
  expect(writingCalls(saved)).toEqual(BUILD)
  expect(saved.written).toBe(TREE)
  expect(writingCalls(await save())).toEqual({})
})
