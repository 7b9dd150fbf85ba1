/** Many blocks held with one pin: as well as by pins of their own, and broken up when only some are needed. */
import { expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { printCid, type Block } from '../../src/model/cid.ts'
import type { Backend, HeldBlock, Staging } from '../../src/store/backend.ts'
import { leaf, linking, pinsOf, request } from '../helpers/kubo-blocks.ts'
import {
  HOUR,
  MANY,
  marksOf,
  namesIn,
  nodeOfTests,
  pinCounts,
  sweep as sweepAll,
} from '../helpers/kubo-holds.ts'

const node = nodeOfTests()
const { open, later, proxyWith } = node

interface Batch {
  readonly deep: readonly HeldBlock[]
  readonly alone: readonly HeldBlock[]
  readonly content: readonly Block[]
}

/** Blocks that link to content of their own, and blocks that are held alone, with what they link to missing. */
function batch(): Batch {
  const content = Array.from({ length: MANY }, leaf)
  const deep = content.map((one) => linking('deep', one))
  const alone = Array.from({ length: MANY }, () => linking('self', leaf()))
  return { deep, alone, content }
}

async function staged(backend: Backend, { deep, alone, content }: Batch): Promise<Staging> {
  const staging = await backend.stage('main', 'a restore')
  const under = content.map((one): HeldBlock => ({ ...one, hold: 'under' }))
  await staging.put([...under, ...deep, ...alone])
  await staging.flush()
  return staging
}

/** By a writer of its own, whose intents are gone when this is. */
async function stageBefore(blocks: Batch): Promise<void> {
  const writer = await openKubo({ url: node.url })
  const staging = await staged(writer, blocks)
  await staging.end('committed')
  await writer.close()
}

const sweep = (backend: Backend, marks: readonly HeldBlock[]): Promise<number> =>
  sweepAll(backend, marksOf(marks))
const pins = (): Promise<[recursive: number, direct: number]> => pinCounts(node.url)
const records = (): Promise<string[]> => namesIn(node.url, '/cairn/bundles')

/** Whether they are there after the node has collected its garbage. */
async function survive(backend: Backend, blocks: readonly Block[]): Promise<boolean[]> {
  await backend.compact()
  return backend.hasBlocks(blocks.map(({ cid }) => cid))
}

const all = (blocks: readonly Block[], there: boolean): boolean[] => blocks.map(() => there)

test('what is staged in quantity is held by one pin, with its content', async () => {
  const backend = await open()
  const blocks = batch()
  await stageBefore(blocks)
  expect(await pins()).toEqual([1, 0])
  expect(await records()).toEqual(await pinsOf(node.url, 'recursive'))
  const wanted = [...blocks.deep, ...blocks.alone, ...blocks.content]
  expect(await survive(backend, wanted)).toEqual(all(wanted, true))
})

test('the intent of a bundle stays until its record is there', async () => {
  const proxy = await proxyWith((call) =>
    call.startsWith('files/cp') && call.includes('/cairn/bundles/') ? 'lose' : 'pass',
  )
  const writer = await openKubo({ url: proxy.url, retryMs: 100 })
  const staging = await staged(writer, batch())
  await staging.end('committed')
  await writer.close()
  expect(await pins()).toEqual([1, 0])
  expect(await records()).toEqual([])
  expect(await namesIn(node.url, '/cairn/intents')).toHaveLength(1)
  expect(await sweep(await later(2), [])).toBe(1)
  expect(await pins()).toEqual([0, 0])
})

test('a sweep that needs all of a bundle leaves it as it is', async () => {
  const backend = await open()
  const { deep, alone, content } = batch()
  await stageBefore({ deep, alone, content })
  expect(await sweep(backend, [...deep, ...alone])).toBe(0)
  expect(await pins()).toEqual([1, 0])
  expect((await records()).length).toBe(1)
})

test('a sweep that needs a part of a bundle pins that part, and lets go of the rest', async () => {
  const backend = await open()
  const { deep, alone, content } = batch()
  await stageBefore({ deep, alone, content })
  const half = MANY / 2
  expect(await sweep(backend, [...deep.slice(half), ...alone.slice(half)])).toBe(1)
  expect(await pins()).toEqual([half, half])
  expect(await records()).toEqual([])
  for (const some of [deep, content, alone]) {
    const there = await survive(backend, some)
    expect(there).toEqual([...all(some.slice(0, half), false), ...all(some.slice(half), true)])
  }
})

test('a bundle of which nothing is needed goes', async () => {
  const backend = await open()
  const blocks = batch()
  await stageBefore(blocks)
  expect(await sweep(backend, [])).toBe(1)
  expect(await pins()).toEqual([0, 0])
  expect(await records()).toEqual([])
  expect(await survive(backend, blocks.deep)).toEqual(all(blocks.deep, false))
})

test('a sweep leaves alone the bundle of a staging whose commit is still to come', async () => {
  const [backend, writer] = [await open(), await open()]
  const { deep, alone, content } = batch()
  const staging = await staged(writer, { deep, alone, content })
  expect(await sweep(backend, deep.slice(1))).toBe(0)
  expect(await pins()).toEqual([1, 0])
  expect(await writer.commit(request(0, { staging }))).toBe('committed')
  await staging.end('committed')
  expect(await survive(backend, alone)).toEqual(all(alone, true))
})

test('a staging that is dropped before any commit named it leaves no pin', async () => {
  const backend = await openKubo({ url: node.url })
  const staging = await staged(backend, batch())
  expect(await pins()).toEqual([1, 0])
  await staging.end('dropped')
  await backend.close()
  expect(await pins()).toEqual([0, 0])
  expect(await records()).toEqual([])
})

test('one that a commit has named stays held when it is dropped: the commit may have taken effect', async () => {
  const backend = await openKubo({ url: node.url })
  const staging = await staged(backend, batch())
  await backend.commit(request(0))
  expect(await backend.commit(request(0, { staging }))).toBe('conflict')
  await staging.end('dropped')
  await backend.close()
  expect(await pins()).toEqual([1, 0])
  expect(await sweep(await later(2), [])).toBe(1)
  expect(await pins()).toEqual([0, 0])
})

test('the bundle of a dead writer goes an hour later, except what a commit needs of it', async () => {
  let now = Date.now()
  const clock = (): number => now
  const blocks = batch()
  const dead = await openKubo({ url: node.url, now: clock })
  await staged(dead, blocks)
  await dead.close()
  const backend = await open({ now: clock })
  now += HOUR - 60_000
  expect(await sweep(backend, [])).toBe(0)
  now += 2 * 60_000
  const needed = blocks.deep.slice(0, 1)
  expect(await sweep(backend, needed)).toBe(1)
  expect(await pinsOf(node.url, 'recursive')).toEqual(needed.map(({ cid }) => printCid(cid)))
  expect(await records()).toEqual([])
})

test('all of a dead writer’s bundle stays where a commit needs all of it', async () => {
  let now = Date.now()
  const clock = (): number => now
  const blocks = batch()
  const dead = await openKubo({ url: node.url, now: clock })
  await staged(dead, blocks)
  await dead.close()
  const backend = await open({ now: clock })
  now += 2 * HOUR
  for (let times = 0; times < 2; times++) {
    expect(await sweep(backend, [...blocks.deep, ...blocks.alone])).toBe(0)
    expect(await pins()).toEqual([1, 0])
    expect((await records()).length).toBe(1)
  }
  expect(await survive(backend, blocks.content)).toEqual(all(blocks.content, true))
})

test('a bundle that was committed while a sweep was under way is still spared when its writer is long gone', async () => {
  let now = Date.now()
  const backend = await open({ now: () => now })
  const blocks = batch()
  const sweeping = await backend.sweep({ waitMs: 0 })
  await stageBefore(blocks)
  await sweeping.free()
  await sweeping.end()
  expect(await pins()).toEqual([1, 0])
  now += 2 * HOUR
  expect(await sweep(backend, [...blocks.deep, ...blocks.alone])).toBe(0)
  expect(await pins()).toEqual([1, 0])
})

test('a sweep that dies while it breaks up a bundle leaves the bundle, and the next one ends it', async () => {
  const { deep, alone, content } = batch()
  await stageBefore({ deep, alone, content })
  const proxy = await proxyWith((call) => (call.startsWith('pin/add') ? 'lose' : 'pass'))
  const dying = await openKubo({ url: proxy.url, retryMs: 100, now: () => Date.now() - 2 * HOUR })
  const marks = [...deep.slice(1), ...alone.slice(1)]
  const failure: unknown = await sweep(dying, marks).catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 'backend_unavailable' })
  await dying.close().catch(() => {})
  expect((await records()).length).toBe(1)
  const backend = await open()
  expect(await sweep(backend, marks)).toBe(1)
  const there = await survive(backend, [...deep, ...alone])
  expect(there.filter((one) => !one).length).toBe(2)
})
