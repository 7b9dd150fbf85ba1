/** Leases, and stagings as leases: what keeps them alive, and what becomes of them. */
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { openKubo, type KuboOptions } from '../../src/backend/kubo/index.ts'
import { printCid, rawCidOf } from '../../src/model/cid.ts'
import type { Backend, HeldBlock } from '../../src/store/backend.ts'
import { leaf, linking, pinsOf, request } from '../helpers/kubo-blocks.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { startNodeProxy, type Fate, type NodeProxy } from '../helpers/node-proxy.ts'

const MINUTE = 60_000

let node: KuboNode
let now = Date.now()
const cleanups: (() => Promise<void>)[] = []

beforeAll(async () => {
  node = await startKuboNode({ offline: true })
}, 60_000)
afterAll(() => node.dispose())
afterEach(async () => {
  vi.useRealTimers()
  for (const clean of cleanups.splice(0).reverse()) await clean()
  await askNode(node.url, 'files/rm', { arg: '/cairn', force: 'true' })
})

async function open(url = node.url, more: Partial<KuboOptions> = {}): Promise<Backend> {
  const backend = await openKubo({ url, now: () => now, ...more })
  cleanups.push(() => backend.close())
  return backend
}

async function openCounting(): Promise<[Backend, NodeProxy]> {
  const proxy = await startNodeProxy(node.url, () => 'pass')
  cleanups.push(() => proxy.close())
  return [await open(proxy.url), proxy]
}

/** Lets time go by for clocks and for renewals, which then have come to the node. */
async function pass(minutes: number): Promise<void> {
  for (let step = 0; step < minutes; step += 10) {
    now += 10 * MINUTE
    await vi.advanceTimersByTimeAsync(10 * MINUTE)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
const withFakeIntervals = (): unknown =>
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })

async function sweepAll(backend: Backend, blocks: readonly HeldBlock[]): Promise<number> {
  const sweep = await backend.sweep({ waitMs: 0 })
  await sweep.offer(blocks.map(({ cid }) => ({ cid, hold: 'deep' })))
  const { blocks: count } = await sweep.free()
  await sweep.end()
  return count
}

test('a lease is seen until it is released, and void an hour after its owner died', async () => {
  const [backend, other] = [await open(), await open()]
  await backend.lease('snapshot 7')
  const second = await backend.lease('snapshot 8')
  expect((await other.leases()).sort()).toEqual(['snapshot 7', 'snapshot 8'])
  await second.release()
  expect(await other.leases()).toEqual(['snapshot 7'])
  now += 59 * MINUTE
  expect(await other.leases()).toEqual(['snapshot 7'])
  now += 2 * MINUTE
  expect(await other.leases()).toEqual([])
})

test('a lease is renewed as long as its owner lives, and gone when it closes', async () => {
  withFakeIntervals()
  const [backend, other] = [await open(), await open()]
  await backend.lease('a reader')
  await pass(180)
  expect(await other.leases()).toEqual(['a reader'])
  await backend.close()
  expect(await other.leases()).toEqual([])
})

test('a lease that is renewed between its listing and its reading is still found, in one file', async () => {
  withFakeIntervals()
  const owner = await open()
  const taken = await owner.lease('a reader')
  let renewals = 0
  const proxy = await startNodeProxy(node.url, async (call): Promise<Fate> => {
    if (call.startsWith('files/read /cairn/leases/') && renewals++ < 2) await pass(10)
    return 'pass'
  })
  cleanups.push(() => proxy.close())
  const other = await open(proxy.url)
  expect(await other.leases()).toEqual(['a reader'])
  expect(renewals).toBe(3)
  const files = JSON.parse(await askNode(node.url, 'files/ls', { arg: '/cairn/leases' })) as {
    Entries: { Name: string }[]
  }
  expect(files.Entries.map(({ Name }) => Name.slice(-2))).toEqual(['.2'])
  await taken.release()
  expect(await other.leases()).toEqual([])
})

test('a lease that cannot be read counts for an hour, and is told of afterwards', async () => {
  const told: unknown[] = []
  const backend = await open(node.url, { onBackgroundError: (error) => told.push(error) })
  const name = `${new Date(now).toISOString().replace(/[-:]/g, '')}-0123456789ab`
  await backend.lease('fine')
  const oops = printCid(Uint8Array.from([1, 0x55, 0, 4, 0x6f, 0x6f, 0x70, 0x73]))
  await askNode(node.url, 'files/cp', [
    ['arg', `/ipfs/${oops}`],
    ['arg', `/cairn/leases/${name}`],
  ])
  await expect(backend.leases()).rejects.toMatchObject({ code: 'busy' })
  now += 61 * MINUTE
  expect(await backend.leases()).toEqual([])
  expect(told).toMatchObject([{ code: 'busy' }])
})

test('a staging that goes on for hours keeps what it put first', async () => {
  withFakeIntervals()
  const [builder, sweeper] = [await open(), await open()]
  const block = linking('deep')
  const staging = await builder.stage('main', 'a long build')
  await staging.put([block])
  await staging.flush()
  await pass(180)
  expect(await sweepAll(sweeper, [block])).toBe(0)
  expect(await builder.commit(request(0, { staging }))).toBe('committed')
  await staging.end('committed')
  await builder.close()
  const left = await askNode(node.url, 'files/ls', { arg: '/cairn/stagings' })
  expect(JSON.parse(left)).toEqual({ Entries: null })
  expect(await sweepAll(sweeper, [block])).toBe(1)
})

test('a staging whose process slept for an hour commits nothing', async () => {
  const builder = await open()
  const staging = await builder.stage('main', 'a build')
  await staging.put([linking('deep')])
  await staging.flush()
  now += 61 * MINUTE
  await expect(builder.commit(request(0, { staging }))).rejects.toMatchObject({ code: 'conflict' })
  expect(await builder.newest('main', -1)).toBeUndefined()
  await staging.end('dropped')
})

// --- Blocks that a deep block of their batch will link to -------------------------------------------

const imports = (proxy: NodeProxy): number =>
  proxy.seen.filter((call) => call.startsWith('dag/import')).length

test('content that goes under a leaf costs one import with it, and no pin of its own', async () => {
  const [backend, proxy] = await openCounting()
  const before = (await pinsOf(node.url, 'recursive')).length
  const staging = await backend.stage('main', 'a restore')
  const kept: HeldBlock[] = []
  for (let i = 0; i < 3; i++) {
    const content = Array.from({ length: 500 }, (): HeldBlock => ({ ...leaf(), hold: 'under' }))
    const tip = linking('under', ...content)
    const deep = linking('deep', tip)
    // A parent may come before what it links to, as in a CAR.
    await staging.put([tip, ...content, deep])
    kept.push(tip, ...content, deep)
  }
  await staging.flush()
  expect(imports(proxy)).toBe(1)
  expect((await pinsOf(node.url, 'recursive')).length).toBe(before + 1)
  await askNode(node.url, 'repo/gc')
  expect((await backend.hasBlocks(kept.map(({ cid }) => cid))).every(Boolean)).toBe(true)
  await staging.end('committed')
})

test('what must go before the block that links to it is held until the staging ends', async () => {
  const [backend, proxy] = await openCounting()
  const before = (await pinsOf(node.url, 'recursive')).length
  const staging = await backend.stage('main', 'a restore')
  const [early, late] = [leaf(), leaf()]
  await staging.put([{ ...early, hold: 'under' }])
  await staging.flush()
  expect(imports(proxy)).toBe(1)
  await askNode(node.url, 'repo/gc')
  await staging.put([{ ...late, hold: 'under' }, linking('deep', early, late)])
  await staging.flush()
  expect(imports(proxy)).toBe(2)
  await staging.end('committed')
  await backend.close()
  expect((await pinsOf(node.url, 'recursive')).length).toBe(before + 1)
  await askNode(node.url, 'repo/gc')
  expect(await (await open()).hasBlocks([early.cid, late.cid])).toEqual([true, true])
})

test('a batch that is full in the middle of a leaf’s content loses none of it', async () => {
  const [backend, proxy] = await openCounting()
  const big = (): HeldBlock => {
    const bytes = randomBytes(1 << 20)
    return { cid: rawCidOf(bytes), bytes, hold: 'under' }
  }
  const content = Array.from({ length: 22 }, big)
  const staging = await backend.stage('main', 'a restore')
  const first = linking('deep', ...content.slice(0, 2))
  await staging.put([...content.slice(0, 2), first, ...content.slice(2)])
  // It is sent while more is gathered.
  await vi.waitFor(() => expect(imports(proxy)).toBe(2), 10_000)
  await askNode(node.url, 'repo/gc')
  const last = linking('deep', ...content.slice(2))
  await staging.put([last])
  await staging.flush()
  expect(imports(proxy)).toBe(3)
  await staging.end('committed')
  await backend.close()
  await askNode(node.url, 'repo/gc')
  const reader = await open()
  const has = await reader.hasBlocks(content.map(({ cid }) => cid))
  expect(has.every(Boolean)).toBe(true)
})
