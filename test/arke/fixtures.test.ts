/** Data that the old programs, or a node in their codecs, have written: read as what it says. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CarReader } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import { expect, test } from 'vitest'
import { linksOf } from '../../src/content/links.ts'
import { parseCid } from '../../src/model/cid.ts'
import { expectRefused } from '../helpers/engine.ts'
import {
  FIXTURES,
  carSource,
  countsOf,
  importInto,
  openStore,
  readExpected,
  stateOf,
  type ExpectedEntity,
} from './helpers.ts'

type Row = Record<string, unknown>
const textOf = (link: unknown): string =>
  typeof link === 'object' && link !== null && '/' in link && typeof link['/'] === 'string'
    ? link['/']
    : String(link)

interface Naive {
  readonly entities: Record<string, { ver: number; tip: string }>
  readonly missingEvents: number
}

/** The newest version of each id among all entries of a CAR, and the events it lacks, read without our code. */
async function naiveTruth(name: string): Promise<Naive> {
  const reader = await CarReader.fromBytes(await readFile(join(FIXTURES, name)))
  const entities: Naive['entities'] = {}
  const there = new Set<string>()
  const named = new Set<string>()
  for await (const { cid, bytes } of reader.blocks()) {
    there.add(String(cid))
    const value = (cid.code === 0x71 ? dagCbor : dagJson).decode<Row>(bytes)
    if (typeof value['event_cid'] === 'string') named.add(value['event_cid'])
    if (value['schema'] === 'arke/event@v1' && !name.startsWith('seed') && value['prev'] !== null)
      named.add(textOf(value['prev']))
    const rows = Array.isArray(value['entries']) ? (value['entries'] as Row[]) : []
    for (const { pi, ver, tip, tip_cid, chain_cid } of rows) {
      if (chain_cid !== undefined) named.add(textOf(chain_cid))
      if (Number(ver) > (entities[String(pi)]?.ver ?? 0))
        entities[String(pi)] = { ver: Number(ver), tip: textOf(tip ?? tip_cid) }
    }
  }
  return { entities, missingEvents: [...named].filter((one) => !there.has(one)).length }
}

const ORIGINALS: readonly [name: string, entities: number, findings: Record<string, number>][] = [
  ['seed-516.car', 516, {}],
  ['seed-updated-entity.car', 1, {}],
  ['head-3.car', 3, {}],
  ['head-20.car', 20, { version_differs: 1 }],
  ['head-25-incremental.car', 25, { version_differs: 1 }],
]

test.each(ORIGINALS)(
  '%s gives the newest version of each entity',
  async (name, count, findings) => {
    const store = openStore()
    const report = await importInto(store, await carSource(name))
    const naive = await naiveTruth(name)
    expect(withoutTimes(await stateOf(store))).toEqual(naive.entities)
    expect(Object.keys(naive.entities)).toHaveLength(count)
    const { missing_event = 0, ...others } = countsOf(report)
    expect(missing_event).toBe(naive.missingEvents)
    expect(others).toEqual(findings)
    expect(report.datasets).toMatchObject([{ dataset: 'main', content: 'linked', appended: count }])
  },
)

function withoutTimes(
  state: Record<string, ExpectedEntity>,
): Record<string, { ver: number; tip: string }> {
  return Object.fromEntries(Object.entries(state).map(([pi, { ver, tip }]) => [pi, { ver, tip }]))
}

/** Its export broke off, which the original did not notice: three manifests are not in it. */
test('head-3-updated.car: what is missing is told, and left out or kept as a CID when asked', async () => {
  const name = 'head-3-updated.car'
  const naive = await naiveTruth(name)
  const stopped = openStore()
  const error = await expectRefused(importInto(stopped, await carSource(name)), 'content_missing')
  expect(error.message).toContain('3 x missing_manifest')
  expect(error.hint).toMatch(/--content external.*--skip-missing/)
  expect(await stopped.cairn.datasets()).toEqual([])

  const external = openStore()
  const report = await importInto(external, await carSource(name), { content: 'external' })
  expect(withoutTimes(await stateOf(external))).toEqual(naive.entities)
  expect(countsOf(report)).toEqual({
    missing_event: naive.missingEvents,
    missing_history: 1,
    missing_manifest: 3,
  })

  const skipping = openStore()
  const skipped = await importInto(skipping, await carSource(name), { skipMissing: true })
  expect(skipped.datasets).toMatchObject([{ content: 'linked', appended: 3, leftOut: 3 }])
  const state = withoutTimes(await stateOf(skipping))
  expect(naive.entities).toMatchObject(state)
  expect(Object.keys(state)).toHaveLength(3)
})

const made = await readExpected()

function expectedState({ entities, all }: (typeof made)[string]): Record<string, ExpectedEntity> {
  if (all === undefined) return { ...entities }
  const { count, ...entity } = all
  const ids = Array.from({ length: count }, (_, i) => `01K7BIG${String(i).padStart(19, '0')}`)
  return Object.fromEntries(ids.map((pi) => [pi, entity]))
}

test.each(Object.keys(made))('made/%s gives the state that was written', async (name) => {
  const expected = made[name]
  if (expected === undefined) throw new Error(name)
  const store = openStore()
  const source = await carSource(join('made', name))
  const stops = ['no_tip', 'missing_recent', 'missing_manifest'].some((k) => k in expected.findings)
  const content = 'missing_manifest' in expected.findings ? 'external' : 'auto'
  const report = await importInto(store, source, { content, skipMissing: stops })
  expect(await stateOf(store)).toEqual(expectedState(expected))
  expect(countsOf(report)).toEqual(expected.findings)
  expect(report.stops).toBe(stops)
})

test('the two shapes of arke/snapshot@v2 are told apart', async () => {
  const shapes = await Promise.all(
    ['seed-516.car', 'head-3.car'].map(async (name) => {
      const { snapshot } = await importInto(undefined, await carSource(name))
      return [snapshot?.schema, snapshot?.shape]
    }),
  )
  expect(shapes).toEqual([
    ['arke/snapshot@v2', 'chunks'],
    ['arke/snapshot@v2', 'entries'],
  ])
})

test('linked content is in the store, down to its last block', async () => {
  const store = openStore()
  await importInto(store, await carSource('head-20.car'))
  const state = await stateOf(store)
  const ahead = Object.values(state).map(({ tip }) => parseCid(tip))
  let blocks = 0
  for (let cid = ahead.pop(); cid !== undefined; cid = ahead.pop()) {
    const [bytes] = await store.backend.getBlocks([cid])
    if (bytes === undefined) throw new Error('a block is missing')
    blocks += 1
    ahead.push(...linksOf(cid, bytes))
  }
  // A manifest and a component of each.
  expect(blocks).toBeGreaterThanOrEqual(40)
})

test('the same again changes nothing, a later CAR brings what is newer, an older one nothing', async () => {
  const store = openStore()
  await importInto(store, await carSource('head-20.car'))
  const first = await stateOf(store)
  const again = await importInto(store, await carSource('head-20.car'))
  expect(again.datasets).toMatchObject([{ appended: 0, already: 20, newerThere: 0 }])
  expect(await stateOf(store)).toEqual(first)

  const later = await importInto(store, await carSource('head-25-incremental.car'))
  const newest = await stateOf(store)
  expect(Object.keys(newest)).toHaveLength(25)
  const changed = Object.keys(newest).filter((pi) => newest[pi]?.ver !== first[pi]?.ver).length
  expect(later.datasets).toMatchObject([{ appended: changed, already: 25 - changed }])

  const older = await importInto(store, await carSource('head-20.car'))
  expect(older.datasets).toMatchObject([
    { appended: 0, already: 25 - changed, newerThere: changed - 5 },
  ])
  expect(await stateOf(store)).toEqual(newest)
})
