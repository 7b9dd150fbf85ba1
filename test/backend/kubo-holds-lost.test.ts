/** Holds after a loss: of MFS with the records of bundles in it, or of what a CAR should bring. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { openRecovery } from '../../src/backend/kubo/recover.ts'
import { Cairn } from '../../src/cairn.ts'
import { printCid, type CidBytes } from '../../src/model/cid.ts'
import { leaf, pinsOf } from '../helpers/kubo-blocks.ts'
import { corruptOnNode } from '../helpers/kubo-damage.ts'
import { askNode } from '../helpers/kubo-node.ts'
import { carInMemory } from '../helpers/memory-car.ts'
import {
  bundleOf,
  loseAllHolds,
  manyDeep,
  marksOf,
  nodeOfTests,
  pinCounts,
  survivors,
  sweep,
} from '../helpers/kubo-holds.ts'
import type { Fate } from '../helpers/node-proxy.ts'

const node = nodeOfTests()
const { open, later, proxyWith } = node

const lineEnd = {
  dataset: 'main',
  number: 0,
  prev: null,
  identity: 'x',
  ts: 0,
  oldest: 0,
  snapshotSeq: 0,
  totalCount: 0,
}

test('a node that lost its MFS is known by its bundles alone', async () => {
  const backend = await open()
  const before = (await backend.status()).notes
  const { deep, content } = manyDeep()
  await bundleOf(node.url, deep, content)
  await askNode(node.url, 'files/rm', { arg: '/cairn', force: 'true' })
  expect((await backend.status()).notes.length).toBe(before.length + 1)
})

for (const [what, count] of [
  ['a leaf', 5],
  ['a branch', 200],
] as const)
  for (const content of ['linked', 'external'] as const)
    test(`${what} that a CAR lacks and the node has, held by nobody, is held after a restore (${content})`, async () => {
      const writer = await openKubo({ url: node.url })
      const cairn = new Cairn(writer)
      await cairn.init('main', { content, chunkSize: 64 })
      const dataset = await cairn.dataset()
      const names = Array.from({ length: count }, (_, i) => `entity-${i}`)
      if (content === 'linked')
        await dataset.putBatch(names.map((pi) => ({ pi, value: { pi, text: pi.repeat(9) } })))
      else await dataset.appendBatch(names.map((pi) => ({ pi, tip: leaf().cid })))
      await dataset.build()
      const { car } = await carInMemory(dataset)
      const { root } = await cairn.restoreCar([car], { dryRun: true })
      // What it does in the background would bring back what is removed now.
      await writer.close()
      await loseAllHolds(node.url)
      const isThere = (cid: CidBytes): boolean => printCid(cid) !== printCid(root) && car.has(cid)
      const cut = {
        ...car,
        has: isThere,
        read: (cid: CidBytes) => (isThere(cid) ? car.read(cid) : undefined),
      }
      const backend = await open()
      const again = new Cairn(backend)
      expect((await again.restoreCar([cut])).status).toBe('restored')
      await backend.compact()
      const found: string[] = []
      for await (const { pi } of (await again.dataset()).entries()) found.push(pi)
      expect(found.length).toBe(count)
    })

test('bundles whose records went with MFS are found by a recovery, kept while needed and let go of', async () => {
  const backend = await open()
  const { deep, content } = manyDeep()
  const bundle = await bundleOf(node.url, deep, content)
  await askNode(node.url, 'files/rm', { arg: '/cairn', force: 'true' })
  const recovery = openRecovery({ url: node.url })
  const newest = { ...lineEnd, cid: leaf().cid }
  await recovery.publish({ newest, commits: [], lost: 0 })
  recovery.close()
  expect(await sweep(backend, [])).toBe(0)
  const after = await later(2)
  for (let times = 0; times < 2; times++) {
    await sweep(after, marksOf(deep))
    expect(await pinsOf(node.url, 'recursive')).toEqual([printCid(bundle)])
  }
  await sweep(after, [], marksOf(deep))
  expect(await pinCounts(node.url)).toEqual([0, 0])
  expect(await survivors(after, [...deep, ...content])).toBe(0)
})

/** What a writer does in the background, mirroring and tidying up, would bring back what is removed meanwhile. */
async function atRest(number: number): Promise<void> {
  for (;;) {
    const pointer = await printedAt('files/read', '/cairn/datasets/main/index-pointer')
    const intents = await printedAt('files/ls', '/cairn/intents')
    const { number: mirrored } = JSON.parse(pointer) as { number?: number }
    const { Entries: left } = JSON.parse(intents) as { Entries?: unknown[] | null }
    if (mirrored === number && (left ?? []).length === 0) return
    await sleep(20)
  }
}

const printedAt = (command: string, arg: string): Promise<string> =>
  askNode(node.url, command, { arg }).catch(() => '{}')

test('a writer that lived through the loss goes on while a recovery puts the commits back', async () => {
  const cairn = new Cairn(await open())
  await cairn.init('main', { content: 'external' })
  const dataset = await cairn.dataset()
  for (let i = 0; i < 5; i++) await dataset.append({ pi: `before-${i}`, tip: leaf().cid })
  await atRest(5)
  await askNode(node.url, 'files/rm', { arg: '/cairn', force: 'true' })
  await expect(dataset.append({ pi: 'lost', tip: leaf().cid })).rejects.toMatchObject({
    code: 'store_changed',
  })
  let put = 0
  const proxy = await proxyWith(async (call): Promise<Fate> => {
    if (call.startsWith('files/cp') && ++put > 1)
      await dataset.append({ pi: `beside-${put}`, tip: leaf().cid })
    return 'pass'
  })
  const recovery = openRecovery({ url: proxy.url })
  const lines = recovery.lines(await recovery.search())
  expect(lines.length).toBe(1)
  for (const line of lines) await recovery.publish(line)
  recovery.close()
  await dataset.append({ pi: 'after', tip: leaf().cid })
  const again = await new Cairn(await open()).dataset()
  const found: string[] = []
  for await (const { pi } of again.entries()) found.push(pi)
  const before = Array.from({ length: 5 }, (_, i) => `before-${i}`)
  const beside = Array.from({ length: put - 1 }, (_, i) => `beside-${i + 2}`)
  expect(found.sort()).toEqual([...before, ...beside, 'after'].sort())
})

test('a restore puts whole blocks in the place of those that the disk of the node has damaged', async () => {
  const cairn = new Cairn(await open())
  await cairn.init('main', { content: 'linked', chunkSize: 64 })
  const dataset = await cairn.dataset()
  const names = Array.from({ length: 600 }, (_, i) => `entity-${i}`)
  await dataset.putBatch(names.map((pi) => ({ pi, value: { pi, text: pi.repeat(9) } })))
  await dataset.build()
  const { car } = await carInMemory(dataset)
  const { root } = await cairn.restoreCar([car], { dryRun: true })
  await corruptOnNode(node.url, root)
  await cairn.restoreCar([car], { as: 'copy' })
  const again = await new Cairn(await open()).dataset('copy')
  let found = 0
  for await (const _ of again.entries()) found++
  expect(found).toBe(names.length)
})
