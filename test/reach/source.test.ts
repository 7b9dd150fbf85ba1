/** How much is read of a store at a time. */
import { expect, onTestFinished, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { rawCidOf, type CidBytes } from '../../src/model/cid.ts'
import { localSource, storeSource, type WalkSource } from '../../src/reach/source.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { carInMemory } from '../helpers/memory-car.ts'

const LEAVES = 60
const LEAF_BYTES = 400 << 10
const CONTENTS = 2_000
const VALUE_BYTES = 200

const cidsOf = (what: string, count: number): CidBytes[] =>
  Array.from({ length: count }, (_, i) => rawCidOf(Buffer.from(`${what} ${i}`)))

/** A store of blocks of some size each, and the most bytes that it was asked for at once. */
function storeOf(sizeOf: (cid: CidBytes) => number): {
  source: WalkSource
  readonly most: () => number
  readonly calls: () => number
} {
  let [most, calls] = [0, 0]
  const source = storeSource({
    getBlocks: async (cids) => {
      calls += 1
      const blocks = cids.map((cid) => new Uint8Array(sizeOf(cid)))
      most = Math.max(
        most,
        blocks.reduce((sum, { length }) => sum + length, 0),
      )
      return blocks
    },
  })
  return { source, most: () => most, calls: () => calls }
}

async function readAll(
  source: WalkSource,
  cids: readonly CidBytes[],
  alike?: object,
  each: () => Promise<void> = async () => {},
): Promise<void> {
  const options = { signal: undefined, ...(alike && { alike }) }
  for (let at = 0; at < cids.length;) {
    const blocks = await source.read(cids, at, options)
    for (const _ of blocks) await each()
    at += blocks.length
  }
}

test.each([['of a store'], ['of what no CAR has']])(
  'large nodes are read a few at a time, however many small contents come between: %s',
  async (where) => {
    const leaves = cidsOf('leaf', LEAVES)
    const large = new Set(leaves)
    const {
      source: plain,
      most,
      calls,
    } = storeOf((cid) => (large.has(cid) ? LEAF_BYTES : VALUE_BYTES))
    const source = where === 'of a store' ? plain : localSource([], plain)
    const contents = {}
    await readAll(source, leaves, undefined, async () => {
      await readAll(source, cidsOf('value', CONTENTS), contents)
    })
    // At first nothing is known.
    expect(most()).toBe(16 * LEAF_BYTES)
    // 5 leaves fit into 2 MiB; contents come 512 at a time, but for the first leaf's.
    const ofLeaves = 1 + Math.ceil((LEAVES - 16) / 5)
    expect(calls()).toBeLessThanOrEqual(ofLeaves + LEAVES * Math.ceil(CONTENTS / 512) + 3)
  },
)

test('small blocks of one list come faster and faster', async () => {
  const { source, calls } = storeOf(() => VALUE_BYTES)
  await readAll(source, cidsOf('value', 16 + 64 + 256 + 512 + 512))
  expect(calls()).toBe(5)
})

test('an export reads leaves a few at a time, however small the contents between them are', async () => {
  const inner = openMemory()
  let most = 0
  const backend = wrapBackend(inner, {
    getBlocks: async (cids, options) => {
      const blocks = await inner.getBlocks(cids, options)
      most = Math.max(
        most,
        blocks.reduce((sum, block) => sum + (block?.length ?? 0), 0),
      )
      return blocks
    },
  })
  const cairn = new Cairn(backend)
  onTestFinished(() => cairn.close())
  const { dataset } = await cairn.init('main', { content: 'linked', chunkSize: 256 })
  await dataset.bulkLoad(
    Array.from({ length: 40_000 }, (_, i) => ({
      pi: `entity-${String(i).padStart(30, '0')}`,
      ver: 1,
      value: i,
    })),
  )
  most = 0
  const { report } = await carInMemory(dataset)
  expect(report.counts.content).toBe(40_000)
  // All leaves of a branch would be twice as much.
  expect(most).toBeLessThan(800_000)
})
