/** Verifying a dataset that was pruned, rolled back or restored, or that changes meanwhile. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cidKey, printCid, type CidBytes } from '../../src/model/cid.ts'
import { repairDataset } from '../../src/verify/repair.ts'
import { verifyDataset } from '../../src/verify/verify.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { newestCommit } from '../helpers/engine.ts'
import { filled, tipOf, type Filled } from './helpers.ts'

const FULL = { kind: 'full' } as const

/** Every block that a full run asks for. */
async function neededBlocks(store: Filled): Promise<CidBytes[]> {
  const asked = new Map<string, CidBytes>()
  const recording = wrapBackend(store.backend, {
    getBlocks: (cids, options) => {
      for (const cid of cids) asked.set(cidKey(cid), cid)
      return store.backend.getBlocks(cids, options)
    },
  })
  await verifyDataset(recording, 'main', { mode: FULL, ledgerDir: store.ledgerDir })
  return [...asked.values()]
}

async function pruned(store: Filled): Promise<void> {
  await store.dataset.prune({ policy: { last: 1 } })
}

test('what a prune has freed is not missed, and what it has left is', async () => {
  const store = await filled()
  await store.verify()
  await pruned(store)
  const report = await store.verify()
  expect(report).toMatchObject({ verdict: 'sound', whole: true, snapshots: 1 })
  store.backend.lose(await tipOf(store, 'e00100'))
  expect((await store.verify()).verdict).toBe('incomplete')
})

test('a prune that comes between the look at the pointer and the lease is no damage', async () => {
  const store = await filled()
  store.clock.now += 1000
  let first = true
  const racing = wrapBackend(store.backend, {
    lease: async (note, options) => {
      if (first) {
        first = false
        await pruned(store)
      }
      return store.backend.lease(note, options)
    },
  })
  const before = await newestCommit(store.backend)
  const report = await verifyDataset(racing, 'main', { mode: FULL, ledgerDir: store.ledgerDir })
  expect(report).toMatchObject({ verdict: 'sound', snapshots: 1, problems: [] })
  expect(report.commit).toBeGreaterThan(before.number)
})

test('a lease keeps a prune from what is being verified', async () => {
  const store = await filled()
  let pruning: Promise<void> | undefined
  const { verdict, snapshots } = await store.verify(FULL, {
    onProgress: () => {
      pruning ??= pruned(store)
    },
  })
  expect({ verdict, snapshots }).toEqual({ verdict: 'sound', snapshots: 4 })
  await pruning
  expect((await store.verify()).verdict).toBe('sound')
})

test('a dataset that was rolled back is sound, with and without its chain', async () => {
  const store = await filled()
  await store.dataset.rollback({ snapshot: 'seq:1' })
  expect((await store.verify()).verdict).toBe('sound')
  await store.dataset.put('after', { n: 1 })
  expect((await store.verify()).verdict).toBe('sound')
  await store.dataset.build()
  await store.dataset.put('later', { n: 1 })
  await store.dataset.rollback({ snapshot: 'seq:2' }, { keepChain: true })
  expect((await store.verify({ kind: 'quick' })).verdict).toBe('sound')
  const report = await store.verify()
  expect(report).toMatchObject({ verdict: 'sound', whole: true })
})

test('appends and builds while a run goes on leave its verdict as it is', async () => {
  const store = await filled()
  const { dataset } = store
  let going = true
  const writing = (async () => {
    for (let i = 0; going; i++) {
      await dataset.put(`w${i}`, { i })
      if (i % 5 === 4) await dataset.build()
    }
  })()
  for (const kind of ['full', 'quick', 'full'] as const)
    expect((await store.verify({ kind })).verdict).toBe('sound')
  going = false
  await writing
})

test('whatever is lost or damaged is found, and a repair from a whole copy brings all of it back', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(), fc.boolean()), { minLength: 1, maxLength: 40 }),
      async (picks) => {
        const store = await filled()
        const needed = await neededBlocks(store)
        const hit = new Set<string>()
        for (const [pick, lose] of picks) {
          const cid = needed[pick % needed.length]
          if (cid === undefined || hit.has(printCid(cid))) continue
          hit.add(printCid(cid))
          if (lose) store.backend.lose(cid)
          else store.backend.flip(cid)
        }
        const found = await store.verify()
        expect(found.verdict).not.toBe('sound')
        for (const { cid } of found.problems) expect(hit.has(cid ?? '')).toBe(true)
        const copy = { name: 'copy', getBlocks: store.inner.getBlocks.bind(store.inner) }
        const { backend, ledgerDir } = store
        const report = await repairDataset(backend, 'main', { sources: [copy], ledgerDir })
        expect(report).toMatchObject({ verdict: 'sound', healed: hit.size })
        expect((await store.verify()).verdict).toBe('sound')
      },
    ),
    { numRuns: 12 },
  )
})
