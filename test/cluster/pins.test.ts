/**
 * Replicated pins on a real IPFS Cluster: three peers, three Kubo nodes in a swarm of their own, the store on
 * the first. What is pinned can be restored from each node alone; nodes die and come back; nothing that is
 * released, and nothing that dies, takes anything from the store.
 */
import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { Cairn } from '../../src/cairn.ts'
import { CarFile } from '../../src/car/file.ts'
import { openCluster, type Cluster, type Factor } from '../../src/cluster/client.ts'
import {
  pinStatus,
  releasePins,
  syncPins,
  type PinPlace,
  type Synced,
} from '../../src/cluster/sync.ts'
import { isWanted, type PinView } from '../../src/cluster/view.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { printCid } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { verdictError } from '../../src/verify/report.ts'
import { verifyDataset } from '../../src/verify/verify.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { dagExport } from '../helpers/cars.ts'
import { startCluster, type ClusterPeer, type TestCluster } from '../helpers/cluster.ts'
import { collect, tempDir } from '../helpers/engine.ts'
import { askNode } from '../helpers/kubo-node.ts'

const WAIT_MS = 60_000
const BOTH_OR_MORE: Factor = { min: 2, max: 3 }

let there: TestCluster
let store: ClusterPeer
let others: readonly ClusterPeer[]
let backend: Backend
let cairn: Cairn
let dataset: Dataset
let cluster: Cluster

beforeAll(async () => {
  there = await startCluster(3)
  const [first, ...rest] = there.peers
  store = first as ClusterPeer
  others = rest
  cluster = clusterBy(store)
  backend = await openKubo({ url: store.node.url, token: undefined })
  cairn = new Cairn(backend, {})
  dataset = (await cairn.init('main', { content: 'linked' })).dataset
  await upTo(3)
})

afterAll(async () => {
  await cairn.close()
  await there.dispose()
})

const clusterBy = ({ url }: ClusterPeer): Cluster =>
  openCluster({ url, token: there.token, deadlineMs: 20_000 })

const place = (factor: Factor): PinPlace => ({ dataset, backend, cluster, factor })
const sync = (factor = BOTH_OR_MORE, waitMs = WAIT_MS): Promise<Synced> =>
  syncPins(place(factor), { waitMs })
const views = (): Promise<PinView[]> => pinStatus(place(BOTH_OR_MORE), {})
const nodesWith = ({ peers }: PinView): string[] =>
  peers.filter(({ status }) => status === 'pinned').map(({ name }) => name)

/** When the cluster sees so many peers, and has heard from each what it needs to put pins there. */
async function upTo(count: number): Promise<void> {
  await vi.waitFor(
    async () => {
      expect(await cluster.peers()).toHaveLength(count)
      expect(
        (await there.ctl(store, 'health', 'metrics', 'freespace')).match(/freespace/g),
      ).toHaveLength(count)
    },
    { timeout: WAIT_MS, interval: 250 },
  )
}

async function write(from: number, count: number): Promise<void> {
  const puts = Array.from({ length: count }, (_, i) => ({
    pi: `e-${String(from + i).padStart(3, '0')}`,
    value: { n: from + i, text: `content of ${from + i}` },
  }))
  await dataset.putBatch(puts)
}

/** The ids and contents of a dataset that was restored from what this node alone has under a root. */
async function restoredFrom({ node }: ClusterPeer, root: PinView): Promise<unknown[]> {
  const path = await dagExport(node.url, printCid(root.cid))
  const car = await CarFile.open(path)
  const restored = new Cairn(openMemory(), {})
  try {
    await restored.restoreCar([car])
    return await contentsOf(await restored.dataset('main'))
  } finally {
    await restored.close()
    await car.close()
    await rm(path)
  }
}

async function contentsOf(of: Dataset): Promise<unknown[]> {
  const entries = await collect(of.entries())
  return Promise.all(
    entries.map(async ({ pi, tip }) => {
      const content = tip === null ? undefined : await of.content(tip)
      return [pi, content?.kind === 'value' ? content.value : undefined]
    }),
  )
}

const expected = (count: number): unknown[] =>
  Array.from({ length: count }, (_, n) => [
    `e-${String(n).padStart(3, '0')}`,
    { n, text: `content of ${n}` },
  ])

test('kept snapshots and the recent chain are pinned on all nodes, and restored from each alone', async () => {
  await write(0, 30)
  await dataset.build()
  await write(30, 5)
  await dataset.build()
  await write(35, 3)
  const synced = await sync()
  expect(synced).toMatchObject({ asked: 4, released: 0, heldBack: 0 })
  expect(synced.views.map(({ name }) => name)).toEqual([
    'cairn/main/2+3',
    'cairn/main/2',
    'cairn/main/1',
    'cairn/main/0',
  ])
  // More than enough nodes have it by and by: as many as there are.
  await vi.waitFor(async () => expect((await views()).map(({ on }) => on)).toEqual([3, 3, 3, 3]), {
    timeout: WAIT_MS,
  })
  for (const peer of there.peers) {
    const [recent, second, first] = await views()
    expect(await restoredFrom(peer, recent as PinView)).toEqual(expected(38))
    expect(await restoredFrom(peer, second as PinView)).toEqual(expected(35))
    expect(await restoredFrom(peer, first as PinView)).toEqual(expected(30))
  }
  expect(await there.ctl(store, 'pin', 'ls')).toContain('cairn/main/2+3')
})

test('what is pinned is not asked for again', async () => {
  expect(await sync()).toMatchObject({ asked: 0, released: 0, heldBack: 0 })
})

test('what is new is pinned before what it replaces is released; others’ pins stay', async () => {
  const others = await Promise.all(
    ['a', 'b'].map(async (text) => {
      const form = new FormData()
      form.append('data', new Blob([`somebody else's ${text}`]))
      const url = `${store.node.url}/api/v0/block/put`
      const { Key } = (await (await fetch(url, { method: 'POST', body: form })).json()) as {
        Key: string
      }
      return Key
    }),
  )
  await there.ctl(store, 'pin', 'add', '--name', 'cairn/main/1', others[0] as string)
  const foreign = 'cairn-identity=another,cairn-dataset=main,cairn-seq=1'
  await there.ctl(store, 'pin', 'add', '--metadata', foreign, others[1] as string)
  await write(38, 2)
  const synced = await sync()
  expect(synced).toMatchObject({ asked: 1, released: 1, heldBack: 0 })
  const left = await views()
  expect(left.filter(isWanted).map(({ name, on }) => [name, on >= 2])).toEqual([
    ['cairn/main/2+5', true],
    ['cairn/main/2', true],
    ['cairn/main/1', true],
    ['cairn/main/0', true],
  ])
  expect(left).toHaveLength(4)
  const listed = await there.ctl(store, 'pin', 'ls')
  for (const cid of others) expect(listed).toContain(cid)
  expect(listed).not.toContain('cairn/main/2+3')
})

test('a node dies: status says so, the factor comes back elsewhere; it returns and nothing is lost', async () => {
  const exactly: Factor = { min: 2, max: 2 }
  await sync(exactly)
  await vi.waitFor(
    async () => {
      expect((await views()).map(({ on }) => on)).toEqual([2, 2, 2, 2])
    },
    { timeout: WAIT_MS },
  )
  const before = await views()
  const victim = others.find(({ name }) => before.some((view) => nodesWith(view).includes(name)))
  if (victim === undefined) throw new Error('Nothing is pinned but on the node of the store.')
  await victim.kill()
  const hit = before.filter((view) => nodesWith(view).includes(victim.name)).map(({ name }) => name)
  const dead = await views()
  expect(dead.filter(({ on }) => on < 2).map(({ name }) => name)).toEqual(hit)
  const states = dead.flatMap(({ peers }) => peers.filter(({ name }) => name === victim.name))
  expect(
    states.filter(({ status, error }) => status === 'cluster_error' && error !== ''),
  ).toHaveLength(hit.length)

  // With so few peers a pin that needs three cannot be put anywhere, and nothing says that it is.
  await upTo(2)
  await expect(sync({ min: 3, max: 3 }, 0)).rejects.toMatchObject({ code: 'not_replicated' })

  expect((await sync(exactly)).asked).toBe(hit.length)
  const moved = await views()
  expect(moved.map(({ on }) => on)).toEqual([2, 2, 2, 2])
  expect(moved.flatMap(nodesWith)).not.toContain(victim.name)

  await victim.start()
  await upTo(3)
  await sync(BOTH_OR_MORE)
  const [recent] = await views()
  expect(await contentsOf(dataset)).toEqual(expected(40))
  for (const { name, node } of there.peers)
    if (nodesWith(recent as PinView).includes(name))
      expect(await restoredFrom({ node } as ClusterPeer, recent as PinView)).toEqual(expected(40))
})

test('without the node of the store, all that is kept is restored from the others', async () => {
  await sync({ min: 3, max: 3 })
  const kept = await views()
  await store.kill()
  const [survivor] = others as [ClusterPeer]
  for (const [at, count] of [
    [0, 40],
    [1, 35],
    [2, 30],
  ] as const)
    expect(await restoredFrom(survivor, kept[at] as PinView)).toEqual(expected(count))
  await store.start()
  await upTo(3)
  expect(await contentsOf(dataset)).toEqual(expected(40))
})

test('what retention forgets is released by the next sync, or by release though a node is down', async () => {
  await dataset.build()
  await sync()
  await dataset.prune({ policy: { last: 2 } })
  const synced = await sync()
  expect(synced).toMatchObject({ released: 2, heldBack: 0 })
  expect((await views()).map(({ name }) => name)).toEqual(['cairn/main/3', 'cairn/main/2'])
  await write(40, 1)
  await sync({ min: 3, max: 3 })
  await (others[0] as ClusterPeer).kill()
  await dataset.build()
  await dataset.prune({ policy: { last: 1 } })
  await upTo(2)
  await expect(sync({ min: 3, max: 3 }, 0)).rejects.toMatchObject({ code: 'not_replicated' })
  expect((await views()).filter((view) => !isWanted(view))).toHaveLength(3)
  expect(await releasePins(place(BOTH_OR_MORE), { all: false })).toBe(3)
  await (others[0] as ClusterPeer).start()
  await upTo(3)
  await sync()
  expect((await views()).map(({ name }) => name)).toEqual(['cairn/main/4'])
})

test('the command line says on which nodes what is, and fails where that is too few', async () => {
  const box = await Sandbox.make()
  onTestFinished(() => box.remove())
  const env = {
    CAIRN_STORE: `kubo:${store.node.url}`,
    CAIRN_CLUSTER_URL: store.url,
    CAIRN_CLUSTER_TOKEN: there.token,
  }
  await write(41, 2)
  const synced = await box.json(['pins', 'sync', '--wait', '1m'], { env })
  expect(synced).toMatchObject({ status: 'pinned', dataset: 'main', needed: 2, asked: 1, min: 2 })
  expect(await box.json(['pins', 'sync'], { env })).toMatchObject({ status: 'pinned', asked: 0 })
  const all = { ...env, CAIRN_PIN_MIN: '3' }
  await box.ok(['pins', 'sync', '--wait', '1m'], { env: all })
  expect(await box.ok(['pins', 'status'], { env: all })).toMatch(
    /^ok +cairn\/main\/4\+2 {2}on 3 of 3: peer-1 pinned, peer-2 pinned, peer-3 pinned$/m,
  )
  await (others[1] as ClusterPeer).kill()
  const dead = await box.run(['pins', 'status'], { env: all })
  expect(dead.code).toBe(18)
  expect(dead.stdout).toMatch(/^short +cairn\/main\/4 {2}on 2 of 3: .*peer-3 cluster_error$/m)
  await upTo(2)
  const short = await box.fails(['pins', 'sync', '--wait', '1s'], { env: all })
  expect(short).toMatchObject({ exit: 17, code: 'not_replicated' })
  await (others[1] as ClusterPeer).start()
  await upTo(3)

  const wrong = { ...env, CAIRN_CLUSTER_TOKEN: 'basic:cairn:open-sesame' }
  const refused = await box.run(['pins', 'sync', '-v'], { env: wrong })
  expect(refused.code).toBe(12)
  expect(refused.stdout + refused.stderr).not.toContain('sesame')
  const away = { ...env, CAIRN_CLUSTER_URL: 'http://127.0.0.1:9' }
  expect(await box.fails(['pins', 'status'], { env: away })).toMatchObject({ exit: 17 })
  const none = { CAIRN_STORE: env.CAIRN_STORE }
  expect(await box.fails(['pins', 'sync'], { env: none })).toMatchObject({
    exit: 2,
    code: 'config',
  })
  expect(await box.json(['pins', 'release', '--all'], { env })).toMatchObject({ released: 2 })
  expect(await box.json(['pins', 'release', '--all'], { env })).toMatchObject({
    status: 'already_released',
  })
})

test('letting go of every pin takes nothing from the store, also when the node collects garbage', async () => {
  await sync({ min: 3, max: 3 })
  const [root] = await views()
  expect(await releasePins(place(BOTH_OR_MORE), { all: true })).toBe(2)
  await vi.waitFor(
    async () => {
      const pins = await askNode(store.node.url, 'pin/ls', { type: 'recursive' })
      expect(pins).not.toContain(printCid((root as PinView).cid))
    },
    { timeout: WAIT_MS },
  )
  await askNode(store.node.url, 'repo/gc')
  const report = await verifyDataset(backend, 'main', {
    mode: { kind: 'full' },
    ledgerDir: await tempDir(),
  })
  expect(verdictError(report, '')).toBeUndefined()
  expect(await contentsOf(dataset)).toEqual(expected(43))
})
