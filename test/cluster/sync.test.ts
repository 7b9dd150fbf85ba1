/** What is asked of a cluster, and when it is let go of: against a model of a cluster whose nodes do as they are told. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import type { PeerState, SharedPin } from '../../src/cluster/answers.ts'
import type { Cluster, Factor, PinRequest } from '../../src/cluster/client.ts'
import {
  pinStatus,
  releasePins,
  syncPins,
  type PinPlace,
  type Synced,
} from '../../src/cluster/sync.ts'
import { isWanted } from '../../src/cluster/view.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { CairnError } from '../../src/errors.ts'
import { cidKey, printCid, rawCidOf, type CidBytes } from '../../src/model/cid.ts'
import { tipOf } from '../helpers/entries.ts'
import { collect, openTest } from '../helpers/engine.ts'

const FACTOR: Factor = { min: 2, max: 3 }

/** A cluster of three; each node does with a pin what `fates` says: `pinned` unless told otherwise. */
interface Model extends Cluster {
  readonly shared: Map<string, SharedPin>
  readonly fates: Map<string, string>
  /** Every change, in order: `pin NAME`, `recover CID`, `unpin NAME`. */
  readonly calls: string[]
  /** Comes before each call: may wait, look, or refuse it. */
  before: (call: 'look' | 'pin' | 'recover' | 'unpin', cid?: CidBytes) => unknown
}

function modelCluster(): Model {
  const shared = new Map<string, SharedPin>()
  const fates = new Map<string, string>()
  const calls: string[] = []
  const peers = (cid: CidBytes): PeerState[] =>
    ['one', 'two', 'three'].map((name) => {
      const status = shared.has(cidKey(cid)) ? (fates.get(name) ?? 'pinned') : 'unpinned'
      return { peer: name, name, status, error: '' }
    })
  const model: Model = {
    shared,
    fates,
    calls,
    before: () => undefined,
    address: 'http://cluster',
    peers: () => Promise.resolve([]),
    async *pins() {
      yield* shared.values()
    },
    async states(cids) {
      await model.before('look')
      return new Map(cids.map((cid) => [cidKey(cid), { cid, peers: peers(cid) }]))
    },
    async pin({ cid, name, metadata, min, max }: PinRequest) {
      await model.before('pin', cid)
      calls.push(`pin ${name}`)
      shared.set(cidKey(cid), { cid, name, metadata, min, max })
    },
    async recover(cid) {
      await model.before('recover', cid)
      calls.push(`recover ${printCid(cid)}`)
      for (const [name, status] of fates) if (status.endsWith('_error')) fates.delete(name)
    },
    async unpin(cid) {
      await model.before('unpin', cid)
      calls.push(`unpin ${shared.get(cidKey(cid))?.name ?? ''}`)
      return shared.delete(cidKey(cid))
    },
  }
  return model
}

interface Made {
  readonly model: Model
  readonly backend: PinPlace['backend']
  readonly dataset: Dataset
  readonly sync: (waitMs?: number) => Promise<Synced>
  readonly write: (count: number) => Promise<void>
}

/** The store is in memory and says that it is a node. */
async function setUp(): Promise<Made> {
  const memory = openMemory()
  const backend: PinPlace['backend'] = {
    kind: 'kubo',
    location: 'kubo:http://node',
    hasBlocks: (...args) => memory.hasBlocks(...args),
    heal: (...args) => memory.heal(...args),
  }
  const { dataset } = await openTest({ backend: memory })
  const model = modelCluster()
  let written = 0
  return {
    model,
    backend,
    dataset,
    sync: (waitMs = 0) =>
      syncPins({ dataset, backend, cluster: model, factor: FACTOR }, { waitMs }),
    write: async (count) => {
      for (let i = 0; i < count; i++, written++)
        await dataset.append({ pi: `e-${written}`, ver: 1, tip: tipOf(String(written)) })
    },
  }
}

const names = ({ shared }: Model): string[] => [...shared.values()].map(({ name }) => name).sort()

test('a second call asks for nothing, and an append for one pin, which takes the place of another', async () => {
  const { model, sync, write } = await setUp()
  await write(3)
  expect(await sync()).toMatchObject({ asked: 2, released: 0 })
  expect(await sync()).toMatchObject({ asked: 0, released: 0 })
  await write(1)
  expect(await sync()).toMatchObject({ asked: 1, released: 1 })
  expect(names(model)).toEqual(['cairn/main/0', 'cairn/main/0+4'])
  expect(model.calls).toEqual([
    'pin cairn/main/0+3',
    'pin cairn/main/0',
    'pin cairn/main/0+4',
    'unpin cairn/main/0+3',
  ])
})

test('nothing is released while something that is needed is on too few nodes', async () => {
  const { model, sync, write } = await setUp()
  await write(3)
  await sync()
  await write(1)
  model.fates.set('one', 'pinning').set('two', 'pin_queued')
  const short = await sync()
  expect(short).toMatchObject({ asked: 1, released: 0, heldBack: 1 })
  expect(names(model)).toContain('cairn/main/0+3')
  // On its way: asking again would only burden the cluster.
  expect(await sync()).toMatchObject({ asked: 0, released: 0, heldBack: 1 })
  model.fates.delete('one')
  expect(await sync()).toMatchObject({ asked: 0, released: 1, heldBack: 0 })
})

test('with a time to wait it follows the states until enough nodes have it, or the time is over', async () => {
  const { model, sync, write } = await setUp()
  await write(1)
  model.fates.set('one', 'pinning').set('two', 'pinning')
  const late = await sync(600)
  expect(late.views.map(({ on }) => on)).toEqual([1, 1])
  const waiting = sync(30_000)
  setTimeout(() => model.fates.delete('two'), 700)
  expect((await waiting).views.map(({ on }) => on)).toEqual([2, 2])
})

test('a cluster that goes away while it is waited for is asked again, and is an error in the end', async () => {
  const { model, sync, write } = await setUp()
  await write(1)
  model.fates.set('one', 'pinning').set('two', 'pinning')
  let asked = 0
  model.before = (call) => {
    if (call !== 'look') return
    asked += 1
    if (asked > 1) throw new CairnError('backend_unavailable', 'Gone.')
  }
  await expect(sync(1_200)).rejects.toMatchObject({ code: 'backend_unavailable' })
  expect(asked).toBeGreaterThan(2)
})

test('a cluster with too few peers is waited for, and without a time to wait an error at once', async () => {
  const { model, sync, write } = await setUp()
  await write(1)
  let refusals = 0
  model.before = (call) => {
    if (call === 'look' && refusals > 0) model.before = () => undefined
    if (call !== 'pin') return
    refusals += 1
    throw new CairnError('not_replicated', 'Too few.')
  }
  await expect(sync()).rejects.toMatchObject({ code: 'not_replicated' })
  refusals = 0
  expect((await sync(60_000)).views.map(({ on }) => on)).toEqual([3, 3])
  expect(names(model)).toEqual(['cairn/main/0', 'cairn/main/0+1'])
})

test('what will not change by waiting ends it at once', async () => {
  const { model, sync, write } = await setUp()
  await write(1)
  let looks = 0
  model.before = () => {
    looks += 1
    throw new CairnError('access_denied', 'No.')
  }
  await expect(sync(60_000)).rejects.toMatchObject({ code: 'access_denied' })
  expect(looks).toBe(1)
})

test('peers that are gone are replaced, and those that failed told to try again', async () => {
  const { model, sync, write } = await setUp()
  await write(1)
  await sync()
  model.calls.length = 0
  model.fates.set('one', 'cluster_error').set('two', 'cluster_error')
  expect(await sync()).toMatchObject({ asked: 2 })
  expect(model.calls).toEqual(['pin cairn/main/0+1', 'pin cairn/main/0'])
  model.calls.length = 0
  model.fates.clear()
  model.fates.set('three', 'pin_error')
  // Enough nodes have it, and yet the third may try again.
  expect(await sync()).toMatchObject({ asked: 2 })
  expect(model.calls.map((call) => call.split(' ')[0])).toEqual(['recover', 'recover'])
})

test('the root is on the node of the store before it is asked for, and is put again where it is lost', async () => {
  const { model, backend, dataset, sync, write } = await setUp()
  await write(1)
  const there: boolean[] = []
  model.before = async (call, cid) => {
    if (call === 'pin' && cid !== undefined) there.push(...(await backend.hasBlocks([cid])))
  }
  await sync()
  expect(there).toEqual([true, true])
  const roots = await dataset.pinRoots(async (found) => found.roots)
  expect(roots.map(({ cid }) => model.shared.has(cidKey(cid)))).toEqual([true, true])
  model.fates.set('one', 'pinning').set('two', 'pinning')
  const cids = roots.map(({ cid }) => cid)
  await dataset.prune({ policy: { last: 1 } })
  expect(await backend.hasBlocks(cids)).toEqual([false, false])
  await sync()
  expect(await backend.hasBlocks(cids)).toEqual([true, true])
})

test('others’ pins are never touched: of another dataset, without a mark, or of a root of ours', async () => {
  const { model, dataset, sync, write } = await setUp()
  await write(1)
  const roots = await dataset.pinRoots(async (found) => found.roots)
  const root = roots[0]?.cid as CidBytes
  const foreign = (cid: CidBytes, metadata: Record<string, string>): void =>
    void model.shared.set(cidKey(cid), { cid, name: 'cairn/main/7', metadata, min: 1, max: 1 })
  foreign(rawCidOf(Buffer.from('a')), {})
  foreign(rawCidOf(Buffer.from('b')), { 'cairn-identity': 'another', 'cairn-dataset': 'main' })
  foreign(root, {})
  expect(await sync()).toMatchObject({ asked: 1, released: 0, heldBack: 0 })
  const place = { dataset, cluster: model }
  expect((await pinStatus(place, {})).map(({ isOurs }) => isOurs)).toEqual([false, true])
  expect(await releasePins(place, { all: true })).toBe(1)
  expect([...model.shared.values()].map(({ name }) => name)).toEqual([
    'cairn/main/7',
    'cairn/main/7',
    'cairn/main/7',
  ])
})

test('one that died half-way is completed by the next', async () => {
  const { model, sync, write } = await setUp()
  await write(2)
  await sync()
  await write(1)
  model.before = (call) => {
    if (call === 'unpin') throw new CairnError('backend_unavailable', 'Gone.')
  }
  await expect(sync()).rejects.toMatchObject({ code: 'backend_unavailable' })
  model.before = () => undefined
  expect(await sync()).toMatchObject({ asked: 0, released: 1 })
  expect(names(model)).toEqual(['cairn/main/0', 'cairn/main/0+3'])
})

test('a changed factor is asked for', async () => {
  const { model, backend, dataset, sync, write } = await setUp()
  await write(1)
  await sync()
  const factor = { min: 2, max: 5 }
  const synced = await syncPins({ dataset, backend, cluster: model, factor }, { waitMs: 0 })
  expect(synced.asked).toBe(2)
  expect([...model.shared.values()].map(({ max }) => max)).toEqual([5, 5])
})

test('what is kept stays while it is synced, though a prune comes', async () => {
  const { model, backend, dataset, sync, write } = await setUp()
  for (let i = 0; i < 3; i++) {
    await write(1)
    await dataset.build()
  }
  const headers = (await collect(dataset.snapshots())).map(({ cid }) => cid)
  let during: boolean[] = []
  model.before = async (call) => {
    if (call !== 'pin' || during.length > 0) return
    await dataset.prune({ policy: { last: 1 } })
    during = await backend.hasBlocks(headers)
  }
  const { views } = await sync()
  expect(during).toEqual([true, true, true, true])
  expect(views.filter(isWanted)).toHaveLength(4)
  expect(await sync()).toMatchObject({ asked: 0, released: 3 })
  await write(1)
  await dataset.build()
  await dataset.prune({ policy: { last: 1 } })
  expect(await backend.hasBlocks(headers)).toEqual([false, false, false, false])
})

test('a store that no node can fetch from is refused', async () => {
  const { model, dataset } = await setUp()
  const cluster = model
  await expect(
    syncPins({ dataset, backend: openMemory(), cluster, factor: FACTOR }, { waitMs: 0 }),
  ).rejects.toMatchObject({ code: 'usage' })
})
