/** A replica against its source: after each sync they read the same, whatever was done to the source. */
import { cp } from 'node:fs/promises'
import { expect, onTestFinished, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { CairnError, isCairnError } from '../../src/errors.ts'
import { cidKey } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { countingBackend, wrapBackend } from '../helpers/counting-backend.ts'
import { expectRefused, newestCommit, START, tempDir } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'
import { Random } from '../helpers/random.ts'
import { changeSource, everythingOf, expectSame, expectSound } from '../helpers/replicas.ts'

const clockFrom = (start: number): (() => number) => {
  let now = start
  return () => (now += 10)
}

/** A source with content, and what is done to it. */
async function sourceOf(seed: number, backend: Backend = openMemory()) {
  const random = new Random(seed)
  const now = clockFrom(START)
  const cairn = new Cairn(backend, { now })
  const content = seed % 4 === 0 ? 'external' : 'linked'
  const { dataset } = await cairn.init('main', { chunkSize: 64, content })
  const change = async (times: number): Promise<string[]> => {
    const done: string[] = []
    for (let i = 0; i < times; i++) {
      if (content === 'linked') done.push(await changeSource(dataset, random))
      else {
        const entries = Array.from({ length: 20 }, () => random.int(0, 300))
        const drafts = [...new Set(entries)].map((n) => ({
          pi: `e${n}`,
          tip: tipOf(`${random.next()}`),
        }))
        await dataset.appendBatch(drafts)
        if (random.int(0, 3) === 0) await dataset.build()
      }
    }
    return done
  }
  return { backend, cairn, dataset, random, now, change }
}

/** A source that says which blocks were read of it. */
function watched(cairn: Cairn): { source: ReturnType<Cairn['asSource']>; read: string[] } {
  const inner = cairn.asSource()
  const read: string[] = []
  const getBlocks: typeof inner.getBlocks = (cids, options) => {
    read.push(...cids.map(cidKey))
    return inner.getBlocks(cids, options)
  }
  return { source: { ...inner, location: 'memory:source', getBlocks }, read }
}

const FROM = Number(process.env['SYNC_SEED'] ?? 1)
const SEEDS = Number(process.env['SYNC_SEEDS'] ?? 12)

test('after each sync a replica reads as its source, and no block was read twice', async () => {
  const ledgerDir = await tempDir()
  for (let seed = FROM; seed < FROM + SEEDS; seed++) {
    const { cairn, dataset, random, now, change } = await sourceOf(seed)
    const backend = openMemory()
    const replica = new Cairn(backend, { now })
    const { source, read } = watched(cairn)
    for (let round = 0; round < 6; round++) {
      const done = await change(random.int(0, 6))
      const before = read.length
      try {
        await replica.sync(source)
        await expectSame(dataset, backend, now)
        if (random.int(0, 2) === 0) {
          await (await replica.dataset()).prune({ policy: { last: 1 } })
          await expectSame(dataset, backend, now)
        }
        const fresh = read.slice(before)
        expect(new Set(fresh).size, 'blocks read twice').toBe(fresh.length)
        expect((await replica.sync(source)).status).toBe('already_synced')
      } catch (error) {
        throw new Error(`seed ${seed}, round ${round}, after ${done.join(', ')}`, { cause: error })
      }
    }
    await expectSound(backend, ledgerDir)
  }
}, 60_000)

test('a sync that is cut at any of its effects changes nothing, and the next one goes on', async () => {
  const { cairn, dataset, now, change } = await sourceOf(7)
  await change(8)
  await dataset.build()
  const { source, read } = watched(cairn)
  const backend = openMemory()
  const first = new Cairn(backend, { now })
  await first.sync(source)
  await change(6)
  await dataset.put('a-file', Buffer.alloc(3_000_000, 7))
  await dataset.build()
  const was = await everythingOf(await first.dataset())
  for (let cut = 0; ; cut++) {
    const before = read.length
    const outcome = await new Cairn(cutAfter(backend, cut), { now })
      .sync(source)
      .catch((e: unknown) => e)
    if (!isCairnError(outcome)) {
      expect(outcome).toMatchObject({ status: 'synced' })
      // What came before the cuts was not asked for again.
      expect(new Set(read.slice(before)).size).toBeLessThan(new Set(read).size / 2)
      expect(cut).toBeGreaterThan(4)
      break
    }
    expect(outcome.code).toBe('backend_unavailable')
    expect(await everythingOf(await new Cairn(backend, { now }).dataset())).toEqual(was)
  }
  await expectSame(dataset, backend, now)
  await expectSound(backend, await tempDir())
}, 60_000)

test('a first sync that is cut makes no dataset, until one comes through', async () => {
  const { cairn, dataset, now, change } = await sourceOf(6)
  await change(5)
  const backend = openMemory()
  const { source } = watched(cairn)
  let cut = 0
  for (; (await backend.datasets()).length === 0; cut += 3)
    await new Cairn(cutAfter(backend, cut), { now }).sync(source).catch((error: unknown) => {
      if (!isCairnError(error, 'backend_unavailable')) throw error
    })
  expect(cut).toBeGreaterThan(9)
  await expectSame(dataset, backend, now)
  await expectSound(backend, await tempDir())
})

/** A store whose power goes after so many effects; each batch that was put before is on its disk. */
function cutAfter(inner: Backend, effects: number): Backend {
  let left = effects
  const effect = async (): Promise<void> => {
    if (left-- <= 0) throw new CairnError('backend_unavailable', 'Cut.', { hint: 'On purpose.' })
  }
  return wrapBackend(inner, {
    stage: async (...call) => {
      await effect()
      const staging = await inner.stage(...call)
      return {
        ...staging,
        put: async (blocks, options) => {
          // Block by block, so that a cut may come between any two.
          for (const block of blocks) {
            await effect()
            await staging.put([block], options)
            await staging.flush(options)
          }
        },
        flush: async (options) => {
          await effect()
          await staging.flush(options)
        },
        end: (outcome) => staging.end(outcome),
      }
    },
    commit: async (...call) => {
      await effect()
      return inner.commit(...call)
    },
  })
}

test('of a large dataset with few changes only what changed is read', async () => {
  const now = clockFrom(START)
  const origin = countingBackend(openMemory())
  const cairn = new Cairn(origin, { now })
  const { dataset } = await cairn.init('main', { chunkSize: 64, content: 'external' })
  const pi = (n: number): string => `e${String(n).padStart(6, '0')}`
  const drafts = Array.from({ length: 30_000 }, (_, n) => ({ pi: pi(n), tip: tipOf(`${n}`) }))
  await dataset.bulkLoad(drafts)
  const { source, read } = watched(cairn)
  const replica = new Cairn(openMemory(), { now })
  const { blocks: all } = await replica.sync(source)
  expect(all).toBeGreaterThan(600)
  read.length = 0
  await dataset.appendBatch([{ pi: pi(5), tip: tipOf('new') }])
  // A block of the chain, and nothing of the tree.
  expect(await replica.sync(source)).toMatchObject({ blocks: 1, requests: 1, found: 0 })
  const { blocksWritten } = await dataset.build()
  // The nodes that were written, the header, the page of the kept list.
  expect(await replica.sync(source)).toMatchObject({
    blocks: blocksWritten + 2,
    found: 0,
    snapshots: 1,
  })
  expect(read.length).toBe(1 + blocksWritten + 2)
})

test('what the primary forgets the replica forgets, with the commits that stood on it', async () => {
  const { cairn, dataset, now } = await sourceOf(2)
  const { source } = watched(cairn)
  const backend = openMemory()
  const replica = new Cairn(backend, { now })
  for (let n = 0; n < 4; n++) {
    await dataset.putBatch(Array.from({ length: 300 }, (_, i) => ({ pi: `e${i}`, value: { n } })))
    await dataset.build()
    await replica.sync(source)
  }
  expect(await newestCommit(backend)).toMatchObject({ number: 3, oldest: 0, keptCount: 5 })
  await dataset.prune({ policy: { last: 1 } })
  await replica.sync(source)
  expect(await newestCommit(backend)).toMatchObject({ number: 4, oldest: 4, keptCount: 1 })
  const { freed } = await (await replica.dataset()).prune({ policy: { last: 9 } })
  expect(freed.blocks).toBeGreaterThan(4)
  await expectSame(dataset, backend, now)
  await expectSound(backend, await tempDir())
})

test('a sync that was overtaken by another one does not take the replica back', async () => {
  const { cairn, dataset, now, change } = await sourceOf(2)
  await change(4)
  const { source } = watched(cairn)
  const backend = openMemory()
  await new Cairn(backend, { now }).sync(source)
  await change(2)
  let overtaken = 0
  const slow: typeof source = {
    ...source,
    hold: async (...call) => {
      if (overtaken++ === 0) {
        await dataset.put('newer', { n: 'newer' })
        await new Cairn(backend, { now }).sync(source)
      }
      return source.hold(...call)
    },
  }
  await new Cairn(backend, { now }).sync(slow)
  expect(overtaken).toBe(1)
  await expectSame(dataset, backend, now)
})

test('a prune of the source while it is copied makes the sync begin anew', async () => {
  const { cairn, dataset, now } = await sourceOf(2)
  for (let n = 0; n < 4; n++) {
    await dataset.putBatch(
      Array.from({ length: 200 }, (_, i) => ({ pi: `e${i}`, value: { n, i } })),
    )
    await dataset.build()
  }
  const { source } = watched(cairn)
  let pruned = false
  const between: typeof source = {
    ...source,
    getBlocks: async (cids, options) => {
      const blocks = await source.getBlocks(cids, options)
      if (!pruned && cids.length > 1) {
        pruned = true
        await dataset.put('newer', { n: 'newer' })
        await dataset.build()
        await dataset.prune({ policy: { last: 1 } })
      }
      return blocks
    },
  }
  const backend = openMemory()
  await new Cairn(backend, { now }).sync(between)
  expect(pruned).toBe(true)
  await expectSame(dataset, backend, now)
  await expectSound(backend, await tempDir())
})

test('a replica takes no writes, and says where they go', async () => {
  const { cairn, now, change } = await sourceOf(1)
  await change(4)
  const backend = openMemory()
  const replica = new Cairn(backend, { now })
  await replica.sync(watched(cairn).source)
  const dataset = await replica.dataset()
  const { number } = await newestCommit(backend)
  for (const write of [
    () => dataset.put('a', { n: 1 }),
    () => dataset.append({ pi: 'e1', tip: null }),
    () => dataset.build({ force: true }),
    () => dataset.bulkLoad([{ pi: 'a', value: 1 }]),
    () => dataset.rollback({ commit: number }),
  ])
    await expectRefused(write(), 'replica')
  expect((await newestCommit(backend)).number).toBe(number)
})

test('what is no earlier state of the source is refused, and stays', async () => {
  const { cairn, change } = await sourceOf(1)
  await change(3)
  const { source } = watched(cairn)
  const other = new Cairn(openMemory())
  await (await other.open()).put('mine', 1)
  await expectRefused(other.sync(source), 'conflict')
  expect(await (await other.dataset()).get('mine')).toBeDefined()
  await expectRefused(other.sync(source, 'another'), 'dataset_not_found')
})

/** `build`, or an append of so many entries. */
type Step = 'build' | number

async function take(steps: readonly Step[], backend: Backend, label: string): Promise<void> {
  const dataset = await new Cairn(backend).open()
  for (const [i, step] of steps.entries()) {
    const entries = Array.from({ length: Number(step) || 0 }, (_, n) => ({
      pi: `${label}${i}.${n}`,
      tip: tipOf(label),
    }))
    if (step === 'build') await dataset.build({ force: true })
    else await dataset.appendBatch(entries)
  }
}

test.each<{ lost: Step[]; instead: Step[] }>([
  { lost: [50], instead: [60] },
  { lost: [50], instead: [50, 10] },
  { lost: [50], instead: [10, 50] },
  { lost: [50, 'build'], instead: [60, 'build', 'build'] },
  { lost: ['build', 50], instead: ['build', 60] },
  { lost: ['build', 50], instead: [60, 'build', 'build'] },
  { lost: [50], instead: [60, 'build', 5] },
])(
  'a source that was put back, and then did $instead in the place of $lost, is refused',
  async ({ lost, instead }) => {
    const dir = await tempDir()
    const primary = await openLmdb({ dir: `${dir}/primary`, create: true })
    await new Cairn(primary).init('main', { content: 'external' })
    await take([100, 'build', 30], primary, 'first')
    await primary.close()
    await cp(`${dir}/primary`, `${dir}/copy`, { recursive: true })

    const lives = await openLmdb({ dir: `${dir}/primary` })
    const replica = openMemory()
    await take(lost, lives, 'lost')
    await new Cairn(replica).sync(new Cairn(lives).asSource())
    await lives.close()
    const before = await newestCommit(replica)

    const old = await openLmdb({ dir: `${dir}/copy` })
    onTestFinished(() => old.close())
    await take(instead, old, 'instead')
    await expectRefused(new Cairn(replica).sync(new Cairn(old).asSource()), 'conflict')
    expect(await newestCommit(replica)).toEqual(before)
  },
)

test('a damaged block of the replica is mended from the source, a lie of the source is not taken', async () => {
  const { cairn, dataset, now, change } = await sourceOf(3)
  await change(6)
  await dataset.build({ force: true })
  const { source } = watched(cairn)
  const lying = {
    ...source,
    getBlocks: async (...call: Parameters<typeof source.getBlocks>) =>
      (await source.getBlocks(...call)).map(
        (bytes) => bytes && Uint8Array.from(bytes, (b, i) => (i === 9 ? b ^ 1 : b)),
      ),
  }
  const backend = openMemory()
  await expectRefused(new Cairn(backend, { now }).sync(lying), 'block_mismatch')
  expect(await backend.datasets()).toEqual([])
  const { commit } = await dataset.pointer()
  await backend.heal([{ cid: commit.snapshot, bytes: Buffer.from('rotten') }])
  await new Cairn(backend, { now }).sync(source)
  await expectSame(dataset, backend, now)
  await expectSound(backend, await tempDir())
})

test('between folders on a disk, and after the process that synced has died', async () => {
  const dir = await tempDir()
  const origin = await openLmdb({ dir: `${dir}/a`, create: true })
  const target = await openLmdb({ dir: `${dir}/b`, create: true })
  try {
    const { cairn, dataset, now, change } = await sourceOf(5, origin)
    for (let round = 0; round < 3; round++) {
      await change(5)
      await new Cairn(target, { now }).sync(cairn.asSource())
      await expectSame(dataset, target, now)
    }
    await expectSound(target, dir)
  } finally {
    await origin.close()
    await target.close()
  }
}, 20_000)
