/** Promise 5: bytes that come from outside the process are hashed against their CID before they are believed. */
import type { Backend } from '../../src/store/backend.ts'
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import type { InitOptions } from '../../src/engine/genesis.ts'
import { printCid, type CidBytes } from '../../src/model/cid.ts'
import {
  blocksOf,
  damagedBackend,
  flipped,
  type DamagedBackend,
  type DatasetBlocks,
} from '../helpers/damage.ts'
import {
  collect,
  expectRefused,
  newestCommit,
  openTest,
  START,
  type Opened,
} from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'

const A = tipOf('a')
const ids = Array.from({ length: 600 }, (_, i) => `e${String(i).padStart(4, '0')}`)

interface Prepared {
  readonly backend: DamagedBackend
  readonly blocks: DatasetBlocks
  /** Opens the store anew, with nothing in memory. */
  readonly open: () => Promise<Opened>
}

/** A tree of several levels and a chain of several blocks, on a store that can be made to lie. */
async function prepare(init: InitOptions = { chunkSize: 64 }): Promise<Prepared> {
  const memory = openMemory()
  const { dataset } = await openTest({ backend: memory, init })
  await dataset.appendBatch(ids.map((pi) => ({ pi, tip: A })))
  await dataset.build()
  for (let i = 0; i < 4; i++) await dataset.append({ pi: `chain-${i}`, tip: A })
  const backend = damagedBackend(memory)
  return {
    backend,
    blocks: await blocksOf(memory),
    open: () => openTest({ backend, clock: { now: START + 10 } }),
  }
}

/** Opening, reading all, appending everywhere and building: the first that meets the block. */
async function useEverything(open: () => Promise<Opened>): Promise<void> {
  const { dataset } = await open()
  await collect(dataset.entries())
  await collect(dataset.snapshots())
  await dataset.appendBatch(ids.map((pi) => ({ pi, tip: tipOf('b') })))
  await dataset.build()
}

test.each([
  ['the header of the snapshot', ({ header }: DatasetBlocks) => header],
  ['the root of the tree', ({ root }: DatasetBlocks) => root],
  ['the first leaf', ({ leaves }: DatasetBlocks) => leaves[0]],
  ['a leaf in the middle', ({ leaves }: DatasetBlocks) => leaves[leaves.length >> 1]],
  ['the last leaf', ({ leaves }: DatasetBlocks) => leaves.at(-1)],
  ['the newest chain block', ({ chain }: DatasetBlocks) => chain.at(-1)],
  ['the oldest chain block', ({ chain }: DatasetBlocks) => chain[0]],
  ['the list of kept snapshots', ({ kept }: DatasetBlocks) => kept],
])('%s with other bytes is refused by name, and nothing is committed', async (_, choose) => {
  const { backend, blocks, open } = await prepare()
  const cid = choose(blocks)
  expect(cid).toBeDefined()
  const before = await backend.newest('main', -1)
  const [bytes] = await backend.getBlocks([cid ?? new Uint8Array()])
  // Every place of the block: what decodes to something else must not pass either.
  const length = bytes?.length ?? 0
  for (const place of [0, 1, length >> 2, length >> 1, length - 2, length - 1]) {
    backend.flip(cid, place)
    const error = await expectRefused(useEverything(open), 'block_mismatch')
    expect(error.details['cid'], `byte ${place}`).toBe(printCid(cid ?? new Uint8Array()))
    expect(await backend.newest('main', -1)).toEqual(before)
  }
  backend.mend()
  await useEverything(open)
  expect((await newestCommit(backend)).snapshotCount).toBe(604)
})

test('every single block of the tree and the chain is checked', async () => {
  const { backend, blocks, open } = await prepare()
  for (const cid of [...blocks.branches, ...blocks.leaves, ...blocks.chain]) {
    backend.flip(cid)
    await expectRefused(
      open().then(({ dataset }) => collect(dataset.entries())),
      'block_mismatch',
    )
    backend.mend()
  }
  expect(blocks.leaves.length).toBeGreaterThan(8)
})

test('a block that is another sound block of the dataset is refused, too', async () => {
  const { backend, blocks, open } = await prepare()
  const [first, second] = blocks.leaves
  const swap = async (cids: readonly CidBytes[]): Promise<(Uint8Array | undefined)[]> =>
    backend.getBlocks(
      cids.map((cid) =>
        first !== undefined && Buffer.compare(cid, first) === 0 ? (second ?? cid) : cid,
      ),
    )
  const swapped: Backend = { ...backend, getBlocks: swap }
  const { dataset } = await openTest({ backend: swapped })
  await expectRefused(collect(dataset.entries()), 'block_mismatch')
  await open()
})

test('a lookup, a page and an append that meet a changed leaf refuse it, and the other leaves serve', async () => {
  const { backend, blocks, open } = await prepare()
  backend.flip(blocks.leaves[0])
  const { dataset } = await open()
  await expectRefused(dataset.get('e0000'), 'block_mismatch')
  await expectRefused(dataset.list({ order: 'asc', from: 'e' }), 'block_mismatch')
  await expectRefused(dataset.append({ pi: 'e0000', tip: A }), 'block_mismatch')
  expect(await dataset.get('e0599')).toMatchObject({ ver: 1 })
  expect((await dataset.list({ limit: 5 })).items[0]?.pi).toBe('e0599')
})

test('a chain that is read ahead in parallel is checked block by block', async () => {
  const memory = openMemory()
  const writer = await openTest({ backend: memory })
  for (let i = 0; i < 300; i++) await writer.dataset.append({ pi: `e${i}`, tip: A })
  const { chain } = await blocksOf(memory)
  const backend = damagedBackend(memory)
  for (const index of [0, 100, 255, 256, 299]) {
    backend.flip(chain[index])
    await expectRefused(openTest({ backend }), 'block_mismatch')
    backend.mend()
  }
  expect((await (await openTest({ backend })).dataset.list()).totalCount).toBe(300)
})

test('content with other bytes is refused: on reading, and when a tip that needs it is appended', async () => {
  const memory = openMemory()
  const backend = damagedBackend(memory)
  const { dataset } = await openTest({ backend, init: { content: 'linked' } })
  const inner = await dataset.put('inner', { n: 1 })
  const outer = await dataset.put('outer', { inner: CID.decode(inner.tip) })
  const raw = await dataset.put('raw', Buffer.from('some bytes'))
  for (const { tip } of [inner, outer, raw]) {
    backend.flip(tip)
    const error = await expectRefused(
      dataset
        .content(tip)
        .then(async (content) => (content.kind === 'bytes' ? collect(content.bytes) : content)),
      'block_mismatch',
    )
    expect(error.details['cid']).toBe(printCid(tip))
    backend.mend()
  }
  for (const cid of [inner.tip, outer.tip]) {
    backend.flip(cid)
    await expectRefused(dataset.append({ pi: 'new', tip: outer.tip }), 'block_mismatch')
    backend.mend()
  }
  expect(await dataset.append({ pi: 'new', tip: outer.tip })).toMatchObject({ ver: 1 })
  expect(flipped(dagCbor.encode({ n: 1 }))).not.toEqual(dagCbor.encode({ n: 1 }))
})

test('a running process believes a changed block no more than a new one', async () => {
  const { backend, blocks, open } = await prepare()
  const running = await open()
  await running.dataset.get('e0300')
  backend.flip(blocks.leaves.at(-1))
  await expectRefused(running.dataset.get('e0599'), 'block_mismatch')
  const writer = await openTest({ backend, clock: running.clock })
  await writer.dataset.append({ pi: 'e0300-more', tip: A })
  const { head } = await newestCommit(backend)
  backend.flip(head ?? undefined)
  await expectRefused(running.dataset.list(), 'block_mismatch')
  await expectRefused(running.dataset.append({ pi: 'again', tip: A }), 'block_mismatch')
  backend.mend()
  expect((await running.dataset.list({ limit: 1000 })).items).toHaveLength(605)
})
