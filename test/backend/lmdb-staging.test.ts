/** How large the transactions of a staging are: large alone, small where others commit meanwhile. */
import { expect, test } from 'vitest'
import type { Environment } from '../../src/backend/lmdb/environment.ts'
import { LmdbStaging } from '../../src/backend/lmdb/staging.ts'
import { rawCidOf } from '../../src/model/cid.ts'
import type { HeldBlock } from '../../src/store/backend.ts'

const MIB = 2 ** 20
const BLOCK = MIB / 8

const blocks = (count: number): HeldBlock[] =>
  Array.from({ length: count }, (_, i) => {
    const bytes = Buffer.alloc(BLOCK, i)
    return { cid: rawCidOf(bytes), bytes, hold: 'self' }
  })

/** The bytes of each transaction that 12 MiB take, with `meanwhile` happening during each. */
async function transactionsOf(
  meanwhile: (counts: { waitingCommits: number; askedCommits: number }) => void,
): Promise<number[]> {
  const counts = { waitingCommits: 0, askedCommits: 7 }
  const lease = { id: 'a', written: Promise.resolve(), release: () => Promise.resolve() }
  const sizes: number[] = []
  const staging = new LmdbStaging(
    counts as unknown as Environment,
    lease,
    () => {},
    async (batch) => {
      sizes.push(batch.reduce((sum, { bytes }) => sum + bytes.length, 0))
      meanwhile(counts)
      await new Promise((resolve) => setImmediate(resolve))
    },
  )
  await staging.put(blocks(96))
  await staging.flush()
  await staging.end()
  return sizes
}

test('with nobody else, some MiB go into one transaction', async () => {
  const sizes = await transactionsOf(() => {})
  expect(sizes.length).toBeLessThanOrEqual(3)
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(12 * MIB)
})

test('while a commit waits, and while one came since the last transaction, a quarter of a MiB at most', async () => {
  const waiting = await transactionsOf((counts) => (counts.waitingCommits = 1))
  // Each is over before the next transaction begins: whoever appends needs a moment for the next one.
  const between = await transactionsOf((counts) => (counts.askedCommits += 1))
  for (const sizes of [waiting, between]) {
    expect(Math.max(...sizes.slice(1))).toBeLessThanOrEqual(MIB / 4)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(12 * MIB)
  }
})

test('some small transactions without a commit, and it takes itself to be alone again', async () => {
  let transactions = 0
  const sizes = await transactionsOf((counts) => {
    if (transactions++ === 0) counts.askedCommits += 1
  })
  expect(sizes[1]).toBeLessThanOrEqual(MIB / 4)
  expect(Math.max(...sizes.slice(1))).toBeGreaterThan(MIB)
})
