import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { CarFile } from '../../src/car/file.ts'
import { printCid, type CidBytes } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { repairDataset, type RepairReport, type RepairSource } from '../../src/verify/repair.ts'
import { exportTo } from './export.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { CairnError } from '../../src/errors.ts'
import { blocksOf, flipped } from '../helpers/damage.ts'
import { newestCommit, tempDir } from '../helpers/engine.ts'
import { filled, tipOf, type Filled } from './helpers.ts'

const copyOf = (backend: Pick<Backend, 'getBlocks'>, name = 'copy'): RepairSource => ({
  name,
  getBlocks: (cids, options) => backend.getBlocks(cids, options),
})

function repair(
  { backend, ledgerDir, clock }: Filled,
  sources: readonly RepairSource[],
  dryRun = false,
): Promise<RepairReport> {
  const now = (): number => clock.now
  return repairDataset(backend, 'main', { sources, ledgerDir, now, dryRun })
}

test('what a run has listed comes back from another store, and the ledger is clean after it', async () => {
  const store = await filled()
  const { leaves, header, kept } = await blocksOf(store.backend)
  const lost = [await tipOf(store, 'e00100'), kept]
  const wrong = [leaves[0], header]
  for (const cid of lost) store.backend.lose(cid)
  for (const cid of wrong) store.backend.flip(cid)
  expect((await store.verify()).verdict).toBe('damaged')
  const commit = await newestCommit(store.backend)
  const planned = await repair(store, [copyOf(store.inner)], true)
  expect(planned).toMatchObject({ status: 'planned', healed: 3 })
  expect((await store.verify()).verdict).toBe('damaged')
  const report = await repair(store, [copyOf(store.inner)])
  expect(report).toMatchObject({
    status: 'repaired',
    verdict: 'sound',
    healed: 4,
    problems: [],
    notes: [],
  })
  expect(report.blocks.every(({ from }) => from === 'copy')).toBe(true)
  expect((await store.verify()).verdict).toBe('sound')
  expect(await newestCommit(store.backend)).toEqual(commit)
  expect(await store.backend.leases()).toEqual([])
})

test('what hangs on a block that was missing is found, and healed, in the same repair', async () => {
  const store = await filled()
  const { header, leaves, branches, chain } = await blocksOf(store.backend)
  const all = [header, ...branches, ...leaves, ...chain]
  for (const cid of all) store.backend.lose(cid)
  for (const pi of ['e00001', 'e00002', 'e00003', 'zz'])
    store.backend.lose(await lostTip(store, pi))
  const found = await store.verify()
  expect(found.counts.missing).toBeLessThan(all.length)
  const report = await repair(store, [copyOf(store.inner)])
  expect(report).toMatchObject({ verdict: 'sound', healed: all.length + 4 })
  expect((await store.verify()).verdict).toBe('sound')
})

async function lostTip(store: Filled, pi: string): Promise<CidBytes> {
  return tipOf(store, pi)
}

test('copies are asked in their order, hashed, and one that fails leaves the others', async () => {
  const store = await filled()
  const tip = await tipOf(store, 'e00100')
  store.backend.lose(tip)
  await store.verify()
  const lying: RepairSource = {
    name: 'lying',
    getBlocks: async (cids) =>
      (await store.inner.getBlocks(cids)).map((bytes) => bytes && flipped(bytes)),
  }
  const broken: RepairSource = {
    name: 'broken',
    getBlocks: () => Promise.reject(new Error('gone')),
  }
  const nothing = await repair(store, [lying, broken, copyOf(openMemory(), 'empty')])
  expect(nothing).toMatchObject({ verdict: 'incomplete', healed: 0 })
  expect(nothing.notes).toEqual([
    `lying has other bytes for ${printCid(tip)}`,
    'broken could not be read: gone',
  ])
  const sources = [lying, broken, copyOf(store.inner, 'first'), copyOf(store.inner, 'second')]
  const report = await repair(store, sources)
  expect(report.blocks).toEqual([
    { cid: printCid(tip), kind: 'content', state: 'missing', from: 'first' },
  ])
  expect(report.verdict).toBe('sound')
})

test('what is whole again already is not written; with nothing listed nothing is asked for', async () => {
  const store = await filled()
  const asked: RepairSource = { name: 'x', getBlocks: () => Promise.reject(new Error('asked')) }
  expect(await repair(store, [asked])).toMatchObject({ status: 'nothing_listed', notes: [] })
  store.backend.lose(await tipOf(store, 'e00100'))
  await store.verify()
  store.backend.mend()
  const report = await repair(store, [copyOf(openMemory())])
  expect(report).toMatchObject({ verdict: 'sound', healed: 0, blocks: [{ from: 'store' }] })
})

test('a block that the store refuses leaves the others', async () => {
  const store = await filled()
  const [bad, good] = [await tipOf(store, 'e00100'), await tipOf(store, 'e00102')]
  for (const cid of [bad, good]) store.backend.lose(cid)
  await store.verify()
  const picky = wrapBackend(store.backend, {
    heal: async (blocks, options) => {
      if (blocks.some(({ cid }) => printCid(cid) === printCid(bad)))
        throw new CairnError('invalid_block', 'The node refused a block.')
      await store.backend.heal(blocks, options)
    },
  })
  const { ledgerDir } = store
  const report = await repairDataset(picky, 'main', { sources: [copyOf(store.inner)], ledgerDir })
  expect(report).toMatchObject({
    verdict: 'incomplete',
    healed: 1,
    problems: [{ cid: printCid(bad) }],
  })
  expect(report.notes).toEqual([`the store refused ${printCid(bad)}: The node refused a block.`])
})

test('damage that quick has found is healed, and its part proved whole', async () => {
  const store = await filled()
  store.backend.lose(await tipOf(store, 'e00100'))
  expect((await store.verify({ kind: 'quick' })).verdict).toBe('incomplete')
  expect(await repair(store, [copyOf(store.inner)])).toMatchObject({ verdict: 'sound', healed: 1 })
})

test('lmdb: corrupt blocks come back from a CAR', async () => {
  const dir = await tempDir()
  const sound = await filled(await openLmdb({ dir: join(dir, 'a'), create: true }))
  const path = join(dir, 'all.car')
  await exportTo(path, sound.dataset)
  const tip = await tipOf(sound, 'e00100')
  const { leaves, chain } = await blocksOf(sound.backend)
  const [leaf = tip] = leaves
  const [link = tip] = chain
  // Bytes that are not those of their CID, as a damaged file would give them.
  const damaged = [tip, leaf, link].map((cid) => ({ cid, bytes: Uint8Array.of(1, 2, 3) }))
  await sound.inner.heal(damaged)
  expect((await sound.verify()).counts).toMatchObject({ corrupt: 3, missing: 0 })
  const car = await CarFile.open(path)
  try {
    const report = await repair(sound, [{ name: path, getBlocks: car.getBlocks.bind(car) }])
    expect(report).toMatchObject({ verdict: 'sound', healed: 3 })
  } finally {
    await car.close()
  }
  expect((await sound.verify()).verdict).toBe('sound')
  await sound.cairn.close()
  await rm(path)
})
