/**
 * Promise 4: what a snapshot links to is exactly what a restore needs. Held against stock tools: a real
 * Kubo node that knows nothing of Cairn imports, pins, counts, exports and collects.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { CarFile } from '../../src/car/file.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { parseCid, printCid } from '../../src/model/cid.ts'
import { dagExport, dagImport, exported } from '../helpers/cars.ts'
import { pinsOf } from '../helpers/kubo-blocks.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'

const ENTITIES = 2300

let node: KuboNode
beforeAll(async () => {
  node = await startKuboNode({ offline: true })
}, 300_000)
afterAll(() => node.dispose())

const idOf = (i: number): string => `entity-${String(i).padStart(5, '0')}`

/** Values, two versions of some, bytes, and a file of several blocks; a snapshot, and a chain over it. */
async function filled(cairn: Cairn, name = 'main'): Promise<Dataset> {
  const { dataset } = await cairn.init(name, { chunkSize: 1000 })
  await dataset.putBatch(
    Array.from({ length: ENTITIES }, (_, i) => ({
      pi: idOf(i),
      value: { name, i, text: 'x'.repeat(i % 90) },
    })),
  )
  await dataset.put('file', Buffer.alloc(3 << 20, name))
  await dataset.build()
  await dataset.putBatch(
    Array.from({ length: 40 }, (_, i) => ({ pi: idOf(i), value: { name, later: i } })),
  )
  await dataset.append({ pi: idOf(7), tip: null })
  return dataset
}

async function contentsOf(dataset: Dataset): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const { pi, ver, tip, ts } of dataset.entries()) {
    if (tip === null) continue
    const content = await dataset.content(tip)
    const value = content.kind === 'value' ? content.value : Buffer.concat(await all(content.bytes))
    found.push([pi, ver, ts, printCid(tip), value])
  }
  return found
}

async function all(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const found = []
  for await (const part of parts) found.push(part)
  return found
}

const dagStat = async (root: string): Promise<{ blocks: number; size: number }> => {
  const answer = JSON.parse(
    await askNode(node.url, 'dag/stat', { arg: root, offline: 'true', progress: 'false' }),
  ) as { DagStats: { NumBlocks: number; Size: number }[] }
  return { blocks: answer.DagStats[0]?.NumBlocks ?? 0, size: answer.DagStats[0]?.Size ?? 0 }
}

const objects = async (): Promise<number> =>
  (JSON.parse(await askNode(node.url, 'repo/stat')) as { NumObjects: number }).NumObjects

test('a stock node imports a full CAR, pins its root, and counts the blocks that Cairn counts', async () => {
  const dataset = await filled(new Cairn(openMemory()))
  await using full = await exported(dataset)
  const root = printCid(full.report.checkpoint)
  const { roots, blocks } = await dagImport(node.url, full.path)
  expect(roots).toEqual([{ cid: root, error: '' }])
  expect(blocks).toBe(full.report.blocks)
  expect(await pinsOf(node.url, 'recursive')).toContain(root)
  expect((await dagStat(root)).blocks).toBe(full.report.blocks)
  // The very same file comes out again: the order is the stock tools' own.
  const again = await readFile(await dagExport(node.url, root))
  expect(createHash('sha256').update(again).digest('hex')).toBe(full.report.sha256)
  await askNode(node.url, 'pin/rm', { arg: root })
})

test('what a stock node exports of a snapshot restores, and can be written to', async () => {
  const source = new Cairn(await openKubo({ url: node.url }))
  const dataset = await filled(source, 'stock')
  await dataset.build()
  const before = await contentsOf(dataset)
  const { pointer } = await dataset.status()
  const snapshot = pointer.latest_snapshot_cid
  const car = await CarFile.open(await dagExport(node.url, snapshot))
  const target = new Cairn(openMemory())
  const report = await target.restoreCar([car], { as: 'back' })
  expect(printCid(report.snapshot)).toBe(snapshot)
  const restored = await target.dataset('back')
  expect(await contentsOf(restored)).toEqual(before)
  await restored.put(idOf(0), { written: 'after' })
  expect((await restored.get(idOf(0)))?.ver).toBe(3)
  await restored.build()
  await source.close()
})

test('a pin on a snapshot keeps all of it, and dropping an old snapshot frees its space', async () => {
  const source = new Cairn(openMemory())
  const dataset = await filled(source)
  const first = await exported(dataset)
  await dataset.build()
  await dataset.putBatch(
    Array.from({ length: 1000 }, (_, i) => ({ pi: idOf(i), value: { third: i } })),
  )
  await dataset.build()
  await using second = await exported(dataset)
  const [old, now] = [first.report.snapshot, second.report.snapshot].map(printCid) as [
    string,
    string,
  ]
  await askNode(node.url, 'repo/gc')
  const least = await objects()
  for (const { path } of [first, second]) await dagImport(node.url, path, { 'pin-roots': 'false' })
  for (const cid of [old, now]) await askNode(node.url, 'pin/add', { arg: cid })
  await askNode(node.url, 'repo/gc')
  const [oldSize, nowSize] = [await dagStat(old), await dagStat(now)]
  expect(oldSize.blocks).toBeGreaterThan(ENTITIES)
  expect(nowSize.blocks).toBeGreaterThan(ENTITIES)
  const both = (await objects()) - least
  expect(both).toBeLessThan(oldSize.blocks + nowSize.blocks)
  await askNode(node.url, 'pin/rm', { arg: old })
  await askNode(node.url, 'repo/gc')
  // All that is left is what the newer snapshot reaches: no history hangs on it.
  expect((await objects()) - least).toBe(nowSize.blocks)
  expect(await dagStat(now)).toEqual(nowSize)
  await askNode(node.url, 'pin/rm', { arg: now })
  await first[Symbol.asyncDispose]()
})

test('on a node, a prune drops its pins and the next collection frees what is gone', async () => {
  const cairn = new Cairn(await openKubo({ url: node.url }))
  const dataset = await filled(cairn, 'pruned')
  await dataset.build()
  const before = await contentsOf(dataset)
  const old = parseCid((await dataset.status()).pointer.latest_snapshot_cid)
  await dataset.putBatch(
    Array.from({ length: ENTITIES }, (_, i) => ({ pi: idOf(i), value: { n: i } })),
  )
  await dataset.build()
  expect(before.length).toBe(ENTITIES)
  await askNode(node.url, 'repo/gc')
  const full = await objects()
  const report = await dataset.prune({ policy: { last: 1 } })
  expect(report.forgotten).toBeGreaterThan(1)
  await askNode(node.url, 'repo/gc')
  expect(full - (await objects())).toBeGreaterThan(ENTITIES)
  await expect(
    askNode(node.url, 'block/stat', { arg: printCid(old), offline: 'true' }),
  ).rejects.toThrow()
  expect((await contentsOf(dataset)).length).toBe(ENTITIES + 1)
  await cairn.close()
})
