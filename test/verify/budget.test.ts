import { expect, test } from 'vitest'
import type { VerifyReport } from '../../src/verify/report.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { verifyDataset, type VerifyOptions } from '../../src/verify/verify.ts'
import { filled, type Filled } from './helpers.ts'

/** Every read of a leaf, and what hangs on it, takes the clock of the run a second on. */
function slow(store: Filled): (mode: VerifyOptions['mode']) => Promise<VerifyReport> {
  const backend = wrapBackend(store.backend, {
    getBlocks: (cids, options) => {
      store.clock.now += 1000
      return store.backend.getBlocks(cids, options)
    },
  })
  const options = { ledgerDir: store.ledgerDir, now: () => store.clock.now }
  return (mode) => verifyDataset(backend, 'main', { ...options, mode })
}

test('runs with a budget come round: all parts are proved, each at its time', async () => {
  const store = await filled()
  const run = slow(store)
  let before = (await store.verify({ kind: 'quick' })).coverage.never
  expect(before).toBeGreaterThan(20)
  let rounds = 0
  for (; before > 0; rounds++) {
    const began = store.clock.now
    const { coverage, verdict, proved } = await run({ kind: 'budget', ms: 40_000 })
    expect(verdict).toBe('sound')
    expect(coverage.never).toBeLessThan(before)
    expect(proved).toBeGreaterThan(0)
    if (coverage.never > 0) expect(coverage.allWithinMs).toBeNull()
    // The part under way when the time is over is finished.
    expect(store.clock.now - began).toBeLessThan(60_000)
    before = coverage.never
  }
  expect(rounds).toBeGreaterThan(2)
  const first = await run({ kind: 'budget', ms: 40_000 })
  const second = await run({ kind: 'budget', ms: 40_000 })
  // The oldest proofs go first, so the oldest that is left gets younger than it would by waiting.
  expect(second.coverage.allWithinMs).toBeLessThan((first.coverage.allWithinMs ?? 0) + 40_000)
  const all = await run({ kind: 'full' })
  expect(all.coverage.never).toBe(0)
})

test('a budget that is over at once still proves one part', async () => {
  const store = await filled()
  const run = slow(store)
  let never = Infinity
  for (let i = 0; i < 3; i++) {
    const { coverage } = await run({ kind: 'budget', ms: 0 })
    if (never < Infinity) expect(coverage.never).toBe(never - 1)
    never = coverage.never
  }
})

test('parts that several snapshots share are proved once, and new ones before old ones', async () => {
  const store = await filled()
  await store.verify()
  store.clock.now += 100_000
  await store.dataset.put('e00003', { fresh: true })
  await store.dataset.build()
  const report = await store.verify({ kind: 'budget', ms: 1_000_000 })
  expect(report.coverage.never).toBe(0)
  const quick = await store.verify({ kind: 'quick' })
  expect(quick.coverage).toMatchObject({ never: 0, parts: report.coverage.parts })
})
