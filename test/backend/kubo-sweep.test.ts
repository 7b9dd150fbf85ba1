/** Letting go of pins while others go on writing: nothing that is needed, and all that is not. */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { printCid, type Block } from '../../src/model/cid.ts'
import type { Backend, HeldBlock, HeldCid } from '../../src/store/backend.ts'
import { leaf, linking, request } from '../helpers/kubo-blocks.ts'
import { askNode } from '../helpers/kubo-node.ts'
import type { Fate } from '../helpers/node-proxy.ts'
import {
  marksOf,
  namesIn,
  nodeOfTests,
  pinned,
  heldBefore,
  holdEach,
  sweep as sweepAll,
} from '../helpers/kubo-holds.ts'

const node = nodeOfTests()
const { open, openThrough } = node

const holdBefore = (blocks: readonly HeldBlock[]): Promise<void> => heldBefore(node.url, blocks)

const held = (...blocks: readonly HeldBlock[]): HeldCid[] => marksOf(blocks)

const isPinned = (blocks: readonly Block[]): Promise<boolean[]> => pinned(node.url, blocks)

const listed = async (path: string): Promise<number> => (await namesIn(node.url, path)).length

const sweep = (
  backend: Backend,
  { marks = [], offers = [] }: { marks?: readonly HeldBlock[]; offers?: readonly HeldBlock[] } = {},
): Promise<number> => sweepAll(backend, marksOf(marks), marksOf(offers))

test('a sweep lets go of what has no mark, and a collection then removes that and only that', async () => {
  const backend = await open()
  const [ours, gone] = [leaf(), leaf()]
  const keptDeep = linking('deep', ours)
  const keptAlone = linking('self', leaf())
  const goneDeep = linking('deep', gone)
  const goneAlone = linking('self', leaf())
  const unoffered = linking('deep')
  const blocks = [keptDeep, keptAlone, goneDeep, goneAlone, unoffered]
  const content = [ours, gone]
  expect(await backend.commit(request(0, { blocks, content }))).toBe('committed')
  const one = await backend.sweep({ waitMs: 0 })
  expect(one.frees).toBe('holds')
  expect(await one.mark(held(keptDeep, keptAlone, keptDeep))).toEqual([true, true, false])
  await one.offer(held(keptDeep, goneDeep, goneAlone, linking('deep')))
  let done = 0
  expect(await one.free({ onProgress: (count) => (done = count) })).toEqual({
    blocks: 2,
    bytes: undefined,
  })
  await one.end()
  expect(done).toBe(2)
  expect(await isPinned(blocks)).toEqual([true, true, false, false, true])
  const { before = 0, after = Infinity } = await backend.compact()
  expect(after).toBeLessThan(before)
  const has = await backend.hasBlocks([...blocks, ...content].map(({ cid }) => cid))
  expect(has).toEqual([true, true, false, false, true, true, false])
  expect(await listed('/cairn/sweeps')).toBe(0)
  expect(await listed('/cairn/condemned')).toBe(0)
})

test('a pin that the node’s owner gave a name is not dropped', async () => {
  const backend = await open()
  const [deep, alone, plain] = [linking('deep'), linking('self'), linking('deep')]
  await holdBefore([deep, alone, plain])
  await askNode(node.url, 'pin/add', { arg: printCid(deep.cid), name: 'mine' })
  await askNode(node.url, 'pin/add', { arg: printCid(alone.cid), name: 'too', recursive: 'false' })
  expect(await sweep(backend, { offers: [deep, alone, plain] })).toBe(1)
  expect(await isPinned([deep, alone, plain])).toEqual([true, true, false])
})

test('more pins than fit a request go, though some of them are gone before their turn', async () => {
  const others = Array.from({ length: 5 }, () => linking('deep'))
  const removeOthers = async (): Promise<void> => {
    for (const { cid } of others) await askNode(node.url, 'pin/rm', { arg: printCid(cid) })
  }
  let removed: Promise<void> | undefined
  const [backend] = await openThrough(async (call) => {
    // Several requests of a sweep are under way at once: none passes before the others are gone.
    if (call.startsWith('pin/rm')) await (removed ??= removeOthers())
    return 'pass' as const
  })
  const many = Array.from({ length: 300 }, (_, i) => linking(i % 3 === 0 ? 'self' : 'deep'))
  await holdBefore([...many, ...others])
  expect(await sweep(backend, { offers: [...many, ...others] })).toBeGreaterThanOrEqual(300)
  expect((await isPinned([...many, ...others])).some(Boolean)).toBe(false)
})

test('one sweep at a time: another is busy, and has its turn afterwards', async () => {
  const [one, two] = [await open(), await open()]
  const first = await one.sweep({ waitMs: 0 })
  await expect(two.sweep({ waitMs: 150 })).rejects.toMatchObject({ code: 'busy' })
  const waiting = two.sweep({ waitMs: 5_000 })
  await sleep(100)
  await first.end()
  const second = await waiting
  await expect(first.free()).rejects.toMatchObject({ code: 'closed' })
  await second.end()
  const tries = await Promise.allSettled(
    Array.from({ length: 6 }, () => one.sweep({ waitMs: 2_000 })),
  )
  const won = tries.filter((each) => each.status === 'fulfilled')
  expect(won.length).toBeLessThanOrEqual(1)
  for (const { value } of won) await value.end()
})

// --- Writers and a sweep ----------------------------------------------------------------------------

test('a writer that comes upon a condemned pin waits, and makes it again', async () => {
  const block = linking('deep')
  let reached = (): void => {}
  let letGo = (): void => {}
  const atPinRm = new Promise<void>((resolve) => (reached = resolve))
  const mayGoOn = new Promise<void>((resolve) => (letGo = resolve))
  const [sweeper] = await openThrough(async (call): Promise<Fate> => {
    if (!call.startsWith('pin/rm')) return 'pass'
    reached()
    await mayGoOn
    return 'pass'
  })
  await holdBefore([block])
  const sweeping = sweep(sweeper, { offers: [block] })
  await atPinRm
  // Its intent comes too late for the sweep to see.
  const late = await open()
  let staged = false
  const staging = holdEach(late, [block]).then(() => (staged = true))
  await sleep(200)
  const early = staged
  letGo()
  expect(await sweeping).toBe(1)
  expect(early).toBe(false)
  await staging
  expect(await isPinned([block])).toEqual([true])
})

test('a pin of a block alone that is about to go does not take one that is deep with it', async () => {
  const block = linking('self')
  await holdBefore([block])
  const writer = await open()
  const [sweeper] = await openThrough(async (call): Promise<Fate> => {
    if (call.startsWith('pin/rm')) await holdEach(writer, [{ ...block, hold: 'deep' }])
    return 'pass'
  })
  await sweep(sweeper, { offers: [block] })
  expect(await isPinned([block])).toEqual([true])
})

test('a sweep spares what a writer has said to rely on before the sweep looked', async () => {
  const block = linking('deep')
  await holdBefore([block])
  let letGo = (): void => {}
  const mayGoOn = new Promise<void>((resolve) => (letGo = resolve))
  const [writer, proxy] = await openThrough(async (call): Promise<Fate> => {
    if (/^files.cp .*cairn.datasets/.test(call)) await mayGoOn
    return 'pass'
  })
  const committing = writer.commit(request(0, { blocks: [block] }))
  while (!proxy.seen.some((call) => call.startsWith('dag/import'))) await sleep(10)
  expect(await sweep(await open(), { offers: [block] })).toBe(0)
  expect(await isPinned([block])).toEqual([true])
  letGo()
  expect(await committing).toBe('committed')
})

test('a writer and a sweep that want the same pin at the same time: it stays, whoever is first', async () => {
  const jitter = async (): Promise<Fate> => {
    if (randomInt(3) === 0) await sleep(randomInt(12))
    return 'pass'
  }
  const [sweeper] = await openThrough(jitter)
  const [writer] = await openThrough(jitter)
  let freed = 0
  const ROUNDS = 25
  for (let round = 0; round < ROUNDS; round++) {
    const [shared, alone, unneeded] = [linking('deep'), linking('self'), linking('deep')]
    await holdBefore([shared, alone, unneeded])
    const [count] = await Promise.all([
      sweep(sweeper, { offers: [shared, alone, unneeded] }),
      sleep(randomInt(60)).then(() => holdEach(writer, [shared, alone])),
    ])
    freed += count
    expect(await isPinned([shared, alone, unneeded]), `round ${round}`).toEqual([true, true, false])
  }
  // Both orders came.
  expect(freed).toBeGreaterThan(ROUNDS)
  expect(freed).toBeLessThan(ROUNDS * 3)
}, 30_000)

test('what was committed after the marks were made is not let go of', async () => {
  const blocks = [linking('deep'), linking('self')]
  await holdBefore(blocks)
  const sweeper = await open()
  const one = await sweeper.sweep({ waitMs: 0 })
  const again = await open()
  await holdEach(again, blocks)
  expect(await again.commit(request(0, { blocks: [linking('deep')] }))).toBe('committed')
  await again.close()
  await one.offer(held(...blocks))
  expect((await one.free()).blocks).toBe(0)
  await one.end()
  expect(await isPinned(blocks)).toEqual([true, true])
})

test('commits during a sweep leave few files, and none once it has ended', async () => {
  const writer = await open()
  const one = await writer.sweep({ waitMs: 0 })
  for (let number = 0; number < 60; number++) {
    await writer.commit(request(number, { blocks: [linking('deep')] }))
  }
  await sleep(500)
  expect(await listed('/cairn/intents')).toBeLessThan(45)
  await one.end()
  await writer.commit(request(60, { blocks: [linking('deep')] }))
  await writer.close()
  expect(await listed('/cairn/intents')).toBe(0)
})

test('a commit whose pins are new asks the node nothing more because of sweeps', async () => {
  const [backend, proxy] = await openThrough(() => 'pass')
  await backend.commit(request(0, { blocks: [linking('deep')] }))
  await sleep(400)
  proxy.seen.length = 0
  await backend.commit(request(1, { blocks: [linking('deep')] }))
  const asked = proxy.seen.map((call) => call.split(' ')[0] ?? '').toSorted()
  const commit = [
    'dag/import',
    'files/cp',
    'files/cp',
    'files/flush',
    'files/flush',
    'files/read',
    'files/read',
    'files/stat',
    'pin/ls',
  ]
  // The background looks whether a sweep is under way, once for all commits of a fifth of a second.
  expect(asked.filter((call) => call !== 'files/ls' && call !== 'files/rm')).toEqual(commit)
})

test('whole directories of old commits are forgotten, never the two newest', async () => {
  const backend = await open()
  for (let number = 0; number < 515; number++) await backend.commit(request(number))
  await backend.forget('main', 255)
  expect(await backend.oldest('main')).toBe(0)
  await backend.forget('main', 400)
  expect(await backend.oldest('main')).toBe(256)
  await backend.forget('main', 10_000)
  expect(await backend.oldest('main')).toBe(256)
  expect((await backend.newest('main', -1))?.number).toBe(514)
  await backend.forget('nothing', 10_000)
})
