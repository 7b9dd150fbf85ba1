/** Verifying and repairing on a real node whose files were damaged behind its back. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { CarFile } from '../../src/car/file.ts'
import { printCid, type CidBytes } from '../../src/model/cid.ts'
import { repairDataset, type RepairSource } from '../../src/verify/repair.ts'
import { blocksOf } from '../helpers/damage.ts'
import { tempDir } from '../helpers/engine.ts'
import { corruptOnNode, loseOnNode } from '../helpers/kubo-damage.ts'
import { pinsOf } from '../helpers/kubo-blocks.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { exportTo } from './export.ts'
import { filled, tipOf, type Filled } from './helpers.ts'

let node: KuboNode

beforeAll(async () => {
  node = await startKuboNode()
}, 60_000)
afterAll(() => node.dispose())

async function filledNode(): Promise<Filled> {
  await askNode(node.url, 'files/rm', { arg: '/cairn', force: 'true' })
  return filled(await openKubo({ url: node.url }))
}

async function healedFrom(store: Filled, source: RepairSource): Promise<Record<string, string>> {
  const { backend, ledgerDir } = store
  const report = await repairDataset(backend, 'main', { sources: [source], ledgerDir })
  expect(report).toMatchObject({ status: 'repaired', verdict: 'sound', problems: [], notes: [] })
  expect((await store.verify()).verdict).toBe('sound')
  return Object.fromEntries(report.blocks.map(({ cid, state }) => [cid, state]))
}

/** The node tells of what it lacks by an answer that ends too early. */
const exported = async (cid: CidBytes): Promise<number> =>
  (await askNode(node.url, 'dag/export', { arg: printCid(cid), offline: 'true' })).length

test('missing is told from corrupt, and both come back from a CAR; pins stay', async () => {
  const store = await filledNode()
  const car = join(await tempDir(), 'all.car')
  await exportTo(car, store.dataset)
  const { leaves, header, chain } = await blocksOf(store.backend)
  const [leaf = header, another = header] = leaves
  const [link = header] = chain
  const tip = await tipOf(store, 'e00100')
  const whole = await exported(header)
  const pins = (await pinsOf(node.url, 'recursive')).sort()
  await corruptOnNode(node.url, leaf)
  await corruptOnNode(node.url, tip)
  await corruptOnNode(node.url, header)
  await loseOnNode(node.url, another)
  await loseOnNode(node.url, link)
  const found = await store.verify()
  expect(found.verdict).toBe('damaged')
  expect(await exported(header)).toBeLessThan(whole)
  const opened = await CarFile.open(car)
  try {
    const states = await healedFrom(store, { name: car, getBlocks: opened.getBlocks.bind(opened) })
    expect(states).toEqual({
      [printCid(leaf)]: 'corrupt',
      [printCid(tip)]: 'corrupt',
      [printCid(header)]: 'corrupt',
      [printCid(another)]: 'missing',
      [printCid(link)]: 'missing',
    })
  } finally {
    await opened.close()
  }
  expect((await pinsOf(node.url, 'recursive')).sort()).toEqual(pins)
  expect(await exported(header)).toBe(whole)
  expect(JSON.parse(await askNode(node.url, 'dag/get', { arg: printCid(tip) }))).toMatchObject({
    i: 33,
  })
  // The node can walk its pins again, so it can collect garbage, and takes nothing that is needed.
  await askNode(node.url, 'repo/gc')
  expect((await store.verify()).verdict).toBe('sound')
  await store.cairn.close()
}, 60_000)

test('a node is repaired from another store, also where it hashes what it reads', async () => {
  const store = await filledNode()
  const copy = openMemory()
  const { leaves } = await blocksOf(store.backend)
  const tip = await tipOf(store, 'e00100')
  const [leaf = tip] = leaves
  const blocks = await store.backend.getBlocks([leaf, tip])
  await copy.heal([leaf, tip].map((cid, i) => ({ cid, bytes: blocks[i] ?? new Uint8Array() })))
  await askNode(node.url, 'config', [
    ['arg', 'Datastore.HashOnRead'],
    ['arg', 'true'],
    ['bool', 'true'],
  ])
  await node.restart()
  await corruptOnNode(node.url, leaf)
  await corruptOnNode(node.url, tip)
  // The content of one of the leaf's entries is met through the log.
  expect((await store.verify()).counts).toMatchObject({ corrupt: 2, missing: 0, unknown: 0 })
  const states = await healedFrom(store, { name: 'copy', getBlocks: copy.getBlocks.bind(copy) })
  expect(states).toEqual({ [printCid(leaf)]: 'corrupt', [printCid(tip)]: 'corrupt' })
  await store.cairn.close()
}, 60_000)
