import { expect, test, vi } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { Backend } from '../../src/store/backend.ts'

interface Kit {
  readonly backend: Backend
  readonly cairn: Cairn
  readonly dataset: Dataset
}

async function kit(): Promise<Kit> {
  const backend = openMemory()
  let now = Date.UTC(2026, 0, 1)
  const cairn = new Cairn(backend, { now: () => (now += 1000) })
  const { dataset } = await cairn.init('main', { chunkSize: 64 })
  return { backend, cairn, dataset }
}

async function churn({ dataset }: Pick<Kit, 'dataset'>, rounds: number, from = 0): Promise<void> {
  for (let round = from; round < from + rounds; round++) {
    const entries = Array.from({ length: 40 }, (_, i) => ({
      pi: `e${(round * 13 + i * 7) % 300}`,
      value: { round, i, text: 'x'.repeat(50) },
    }))
    await dataset.appendBatch(entries)
    await dataset.build({ tags: round % 10 === 0 ? ['ten'] : [] })
  }
}

const sizeOf = async ({ backend }: Kit): Promise<number> => (await backend.status()).sizeBytes ?? 0

async function stateOf(dataset: Dataset): Promise<unknown[]> {
  const found = []
  for await (const entry of dataset.entries({ deleted: true })) {
    const content = entry.tip === null ? undefined : await dataset.content(entry.tip)
    found.push([entry, content])
  }
  return found
}

test('what is left after many snapshots is what a fresh store would hold', async () => {
  const old = await kit()
  await churn(old, 50)
  const before = await stateOf(old.dataset)
  const report = await old.dataset.prune({ policy: { last: 1 } })
  expect(report.status).toBe('pruned')
  expect(report.kept).toBe(1)
  expect(report.forgotten).toBe(50)
  expect(await stateOf(old.dataset)).toEqual(before)
  // A store into which only the current state was ever written.
  const fresh = await kit()
  for await (const { pi, ver, tip, ts } of old.dataset.entries()) {
    if (tip === null) continue
    const content = await old.dataset.content(tip)
    if (content.kind === 'value') await fresh.dataset.put(pi, content.value, { ver, ts })
  }
  await fresh.dataset.build()
  await fresh.dataset.prune({ policy: { last: 1 } })
  const [left, least] = [await sizeOf(old), await sizeOf(fresh)]
  expect(left).toBeLessThan(least * 1.1)
  expect((await old.dataset.prune({ policy: { last: 1 } })).status).toBe('already_pruned')
  await churn(old, 2, 50)
  await old.dataset.rollback({ snapshot: 'latest~1' })
})

test('snapshots that are kept stay whole, and can be rolled back to', async () => {
  const one = await kit()
  await churn(one, 30)
  const states = new Map<number, unknown[]>()
  for await (const { seq } of one.dataset.snapshots()) {
    const found = []
    for await (const entry of one.dataset.entries({ at: { snapshot: `seq:${seq}` } }))
      found.push(entry)
    states.set(seq, found)
  }
  const { verdicts } = await one.dataset.prune({ policy: { last: 3, tags: ['ten'] } })
  const kept = verdicts.filter(({ keep }) => keep).map(({ item }) => item.snapshot.seq)
  expect(kept).toEqual([30, 29, 28, 21, 11, 1])
  for (const seq of kept) {
    const found = []
    for await (const entry of one.dataset.entries({ at: { snapshot: `seq:${seq}` } })) {
      found.push(entry)
      if (entry.tip !== null) await one.dataset.content(entry.tip)
    }
    expect(found).toEqual(states.get(seq))
  }
  await expect(one.dataset.list({ at: { snapshot: 'seq:20' } })).rejects.toMatchObject({
    code: 'not_found',
  })
  await one.dataset.rollback({ snapshot: 'seq:11' })
  const again = await one.dataset.prune({ policy: { last: 1 } })
  expect(again.verdicts.filter(({ keep }) => keep).map(({ item }) => item.snapshot.seq)).toEqual([
    30, 11,
  ])
  expect((await stateOf(one.dataset)).length).toBeGreaterThan(0)
  for await (const logged of one.dataset.history('e0')) expect(logged.entry.pi).toBe('e0')
})

test('a dry run changes nothing, an empty policy is refused', async () => {
  const one = await kit()
  await churn(one, 5)
  const size = await sizeOf(one)
  const report = await one.dataset.prune({ policy: { last: 2 }, dryRun: true })
  expect(report).toMatchObject({ status: 'planned', kept: 2, forgotten: 4 })
  expect(await sizeOf(one)).toBe(size)
  await expect(one.dataset.prune({ policy: {} })).rejects.toMatchObject({ code: 'usage' })
})

test('a dataset that the store names and cannot open stops a prune before anything is freed', async () => {
  const { backend, cairn, dataset } = await kit()
  await churn({ dataset }, 3)
  const snapshots = async (): Promise<number> => {
    let count = 0
    for await (const _ of dataset.snapshots()) count++
    return count
  }
  const before = await snapshots()
  vi.spyOn(backend, 'datasets').mockResolvedValue(['gone', 'main'])
  const pruning = dataset.prune({ policy: { last: 1 } })
  await expect(pruning).rejects.toMatchObject({ code: 'store_changed' })
  expect(await snapshots()).toBe(before)
  await cairn.close()
})
