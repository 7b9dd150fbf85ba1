/** Promise 7: nothing fails silently and nothing fails open. */
import * as dagCbor from '@ipld/dag-cbor'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { CairnError, type ErrorCode } from '../../src/errors.ts'
import { cborBlock, printCid, type CidBytes } from '../../src/model/cid.ts'
import { canonicalJson, commitRecord, type Commit } from '../../src/model/commit.ts'
import { decodeSnapshot, encodeSnapshot, type SnapshotHeader } from '../../src/model/snapshot.ts'
import type { Backend } from '../../src/store/backend.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import {
  blocksOf,
  damagedBackend,
  type DamagedBackend,
  type DatasetBlocks,
} from '../helpers/damage.ts'
import {
  collect,
  expectRefused,
  forgeBytes,
  forgeCommit,
  newestCommit,
  openTest,
  refusal,
  START,
} from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'

const A = tipOf('a')
const ids = Array.from({ length: 3000 }, (_, i) => `e${String(i).padStart(4, '0')}`)

async function prepare(): Promise<{
  backend: DamagedBackend
  memory: Backend
  blocks: DatasetBlocks
}> {
  const memory = openMemory()
  const { dataset } = await openTest({ backend: memory, init: { chunkSize: 64 } })
  await dataset.appendBatch(ids.map((pi) => ({ pi, tip: A })))
  await dataset.build()
  for (let i = 0; i < 3; i++) await dataset.append({ pi: `x-chain-${i}`, tip: A })
  return { memory, backend: damagedBackend(memory), blocks: await blocksOf(memory) }
}

const open = (backend: Backend): ReturnType<typeof openTest> =>
  openTest({ backend, clock: { now: START + 10 } })

/** Each of these alone must meet the damage: none may answer as if there were nothing. */
const uses: [string, (backend: Backend) => Promise<unknown>][] = [
  ['a stream', async (backend) => collect((await open(backend)).dataset.entries())],
  [
    'a stream from the end',
    async (backend) => collect((await open(backend)).dataset.entries({ order: 'desc' })),
  ],
  [
    'a build of everything',
    async (backend) => {
      const { dataset } = await open(backend)
      await dataset.appendBatch(
        ids.filter((_, i) => i % 5 === 4).map((pi) => ({ pi, tip: tipOf('b') })),
      )
      return dataset.build()
    },
  ],
  [
    'a build that deletes everything',
    async (backend) => {
      const { dataset } = await open(backend)
      await dataset.appendBatch(ids.map((pi) => ({ pi, tip: null })))
      return dataset.build()
    },
  ],
  [
    'an append to every entity',
    async (backend) =>
      (await open(backend)).dataset.appendBatch(ids.map((pi) => ({ pi, ver: 1, tip: A }))),
  ],
  [
    'pages at all offsets',
    async (backend) => {
      const { dataset } = await open(backend)
      for (let offset = 0; offset < 3003; offset += 40) await dataset.list({ offset, limit: 40 })
    },
  ],
  [
    'a diff to the beginning',
    async (backend) => collect((await open(backend)).dataset.diff('seq:0', 'seq:1')),
  ],
]

test.each([
  ['the first leaf', ({ leaves }: DatasetBlocks) => leaves[0]],
  ['a leaf in the middle', ({ leaves }: DatasetBlocks) => leaves[leaves.length >> 1]],
  ['the last leaf', ({ leaves }: DatasetBlocks) => leaves.at(-1)],
  ['a branch below the root', ({ branches }: DatasetBlocks) => branches[1]],
  ['the root', ({ root }: DatasetBlocks) => root],
  ['the header', ({ header }: DatasetBlocks) => header],
])(
  '%s that is missing is named, whatever is asked for, and no commit is made',
  async (_, choose) => {
    const { backend, memory, blocks } = await prepare()
    const cid = choose(blocks)
    backend.lose(cid)
    const before = await memory.newest('main', -1)
    for (const [name, use] of uses) {
      const error = await expectRefused(use(backend), 'block_missing')
      expect(error.details['cid'], name).toBe(printCid(cid ?? new Uint8Array()))
    }
    expect(await memory.newest('main', -1)).toEqual(before)
  },
)

test('a missing chain block is named, whichever it is, and no commit is made', async () => {
  const { backend, memory, blocks } = await prepare()
  const before = await memory.newest('main', -1)
  expect(blocks.chain).toHaveLength(3)
  for (const cid of blocks.chain) {
    backend.lose(cid)
    const error = await expectRefused(open(backend), 'block_missing')
    expect(error.message).toContain(`the chain block ${printCid(cid)}`)
    await expectRefused(new Cairn(backend).open(), 'block_missing')
    backend.mend()
  }
  expect(await memory.newest('main', -1)).toEqual(before)
})

test('a missing block of the older log is damage, not the end of the history', async () => {
  const { backend, memory } = await prepare()
  const folded = (await newestCommit(memory)).base
  const { dataset } = await open(backend)
  expect(await collect(dataset.history('e0001'))).toHaveLength(1)
  backend.lose(folded ?? undefined)
  await expectRefused(collect(dataset.history('e0001')), 'block_missing')
})

test('what is missing below the floor is the end of the history', async () => {
  const { backend, memory } = await prepare()
  const { base, chainFirst } = await newestCommit(memory)
  await forgeCommit(memory, { floor: chainFirst })
  backend.lose(base ?? undefined)
  const { dataset } = await open(backend)
  expect(await collect(dataset.history('e0001'))).toEqual([])
  expect(await collect(dataset.history('x-chain-0'))).toHaveLength(1)
})

test('a list of snapshots of which an older page is missing is not taken for a short one', async () => {
  const memory = openMemory()
  const { dataset } = await openTest({ backend: memory })
  for (let i = 0; i < 255; i++) await dataset.build({ force: true })
  const older = (await newestCommit(memory)).kept
  for (let i = 0; i < 5; i++) await dataset.build({ force: true })
  const backend = damagedBackend(memory)
  backend.lose(older)
  const damaged = await open(backend)
  await expectRefused(collect(damaged.dataset.snapshots()), 'block_missing')
  await expectRefused(damaged.dataset.list({ at: { snapshot: 'seq:1' } }), 'block_missing')
  await expectRefused(damaged.dataset.list({ at: { snapshot: 'no-such-tag' } }), 'block_missing')
  expect((await damaged.dataset.list({ at: { snapshot: 'seq:258' } })).totalCount).toBe(0)
})

const wrongCommits: [string, (commit: Commit) => Partial<Commit>][] = [
  [
    'more recent entries than the chain',
    ({ recentCount }) => ({ recentCount: recentCount + 1, next: 4000 }),
  ],
  ['fewer recent entries than the chain', ({ recentCount }) => ({ recentCount: recentCount - 1 })],
  ['an empty chain where there is one', () => ({ recentCount: 0, head: null })],
  ['another first position', ({ chainFirst }) => ({ chainFirst: chainFirst - 1 })],
  ['another number of entities', () => ({ totalCount: 0 })],
  ['more entities than there can be', ({ totalCount }) => ({ totalCount: totalCount + 4 })],
  ['another number of entities in the snapshot', () => ({ snapshotCount: 0 })],
  ['another snapshot number', () => ({ snapshotSeq: 7 })],
  ['another snapshot time', () => ({ snapshotTs: START - 1 })],
  ['another chunk size', ({ settings }) => ({ settings: { ...settings, chunkSize: 65 } })],
  ['another content mode', ({ settings }) => ({ settings: { ...settings, content: 'linked' } })],
]

test.each(wrongCommits)(
  'a commit that tells of %s is damage, and nothing is built on it',
  async (_, changes) => {
    const { memory } = await prepare()
    const running = await open(memory)
    await running.dataset.list()
    await forgeCommit(memory, changes(await newestCommit(memory)))
    const before = await memory.newest('main', -1)
    for (const call of [
      () => running.dataset.list(),
      () => running.dataset.append({ pi: 'new', tip: A }),
      () => running.dataset.build(),
      () => open(memory),
      () => new Cairn(memory).open(),
    ]) {
      await expectRefused(call(), 'pointer_damaged')
    }
    expect(await memory.newest('main', -1)).toEqual(before)
  },
)

test('a count that is off by one entity is found where entities are counted', async () => {
  const { memory } = await prepare()
  const { totalCount } = await newestCommit(memory)
  await forgeCommit(memory, { totalCount: totalCount - 1 })
  const { dataset } = await open(memory)
  await expectRefused(dataset.list({ offset: 10 }), 'pointer_damaged')
})

const wrongHeaders: [string, (header: SnapshotHeader) => Partial<SnapshotHeader>][] = [
  ['more entries than the tree', ({ entries }) => ({ entries: entries + 1 })],
  ['fewer entries than the tree', () => ({ entries: 0, live: 0 })],
  ['other live entries', ({ live }) => ({ live: live - 1 })],
  ['other positions', () => ({ upto: 1_000_000 })],
]

test.each(wrongHeaders)(
  'a header that tells of %s is damage, and nothing is built on it',
  async (_, changes) => {
    const { memory } = await prepare()
    const forged = await forgeHeader(memory, changes)
    await forgeCommit(memory, { snapshot: forged.cid, snapshotCount: forged.header.live }, [forged])
    const before = await memory.newest('main', -1)
    for (const call of [() => open(memory), () => new Cairn(memory).open()]) {
      expect(['invalid_block', 'pointer_damaged']).toContain((await refusal(call())).code)
    }
    expect(await memory.newest('main', -1)).toEqual(before)
  },
)

test('a header that counts other chunks than its tree has is damage', async () => {
  const memory = openMemory()
  const { dataset } = await openTest({ backend: memory, init: { chunkSize: 64 } })
  for (const count of [10, 300]) {
    await dataset.appendBatch(ids.slice(0, count).map((pi) => ({ pi, tip: A })))
    await dataset.build()
    const forged = await forgeHeader(memory, ({ chunkCount }) => ({ chunkCount: chunkCount + 1 }))
    const sound = await newestCommit(memory)
    await forgeCommit(memory, { snapshot: forged.cid }, [forged])
    await expectRefused(open(memory), 'invalid_block')
    await forgeCommit(memory, { snapshot: sound.snapshot })
    expect((await (await open(memory)).dataset.list()).totalCount).toBe(count)
  }
})

test('the snapshot of another dataset is refused, and nothing is committed on it', async () => {
  const { memory } = await prepare()
  const other = await openTest({ backend: memory, name: 'other', init: { chunkSize: 64 } })
  const { snapshot, seq, ts, live } = await other.dataset.build({ force: true })
  const changes = { snapshot, snapshotSeq: seq, snapshotTs: ts, snapshotCount: live }
  await forgeCommit(memory, {
    ...changes,
    head: null,
    recentCount: 0,
    totalCount: 0,
    chainFirst: 3003,
  })
  const before = await memory.newest('main', -1)
  const error = await expectRefused(open(memory), 'invalid_block')
  expect(error.message).toContain(printCid(snapshot))
  expect(await memory.newest('main', -1)).toEqual(before)
})

test('the chain of another dataset is refused, and nothing is committed on it', async () => {
  const { memory } = await prepare()
  const other = await openTest({ backend: memory, name: 'other', init: { chunkSize: 64 } })
  for (let i = 0; i < 3; i++) await other.dataset.append({ pi: `o${i}`, tip: A })
  const { head } = await newestCommit(memory, 'other')
  await forgeCommit(memory, { head, base: null })
  await expectRefused(open(memory), 'invalid_block')
})

const garbage: [string, string, ErrorCode][] = [
  ['nothing', '', 'pointer_damaged'],
  ['zeros', '\u0000'.repeat(200), 'pointer_damaged'],
  ['half a record', '{"schema":"cairn/com', 'pointer_damaged'],
  ['an empty record', '{}', 'pointer_damaged'],
  [
    "another program's record",
    '{"schema":"arke/index-pointer@v1","total_count":0}',
    'format_unsupported',
  ],
]

test.each(garbage)('a commit of %s is never taken for an empty dataset', async (_, text, code) => {
  const { memory } = await prepare()
  const running = await open(memory)
  await forgeBytes(memory, Buffer.from(text))
  const before = await memory.newest('main', -1)
  for (const call of [
    () => running.dataset.list(),
    () => running.dataset.append({ pi: 'new', tip: A }),
    () => running.dataset.build(),
    () => running.dataset.rollback({ snapshot: 'seq:0' }),
    () => open(memory),
    () => new Cairn(memory).init('main'),
    () => new Cairn(memory).open(),
  ]) {
    await expectRefused(call(), code)
  }
  expect(await memory.newest('main', -1)).toEqual(before)
})

test('a commit that stands under the number or name of another is refused', async () => {
  for (const wrong of [{ number: 99 }, { dataset: 'other' }]) {
    const { memory } = await prepare()
    const commit = await newestCommit(memory)
    const record = commitRecord({ ...commit, number: commit.number + 1, ...wrong })
    await forgeBytes(memory, Buffer.from(canonicalJson(record)))
    await expectRefused(open(memory), 'pointer_damaged')
  }
})

test('a past commit that is damaged is an error of that commit alone', async () => {
  const { memory } = await prepare()
  const backend = wrapBackend(memory, {
    getCommit: async (dataset, number, options) =>
      number === 2 ? Buffer.from('{}') : memory.getCommit(dataset, number, options),
  })
  const { dataset } = await open(backend)
  const error = await expectRefused(dataset.list({ at: { commit: 2 } }), 'pointer_damaged')
  expect(error.message).toContain('Commit 2 of "main"')
  await expectRefused(dataset.rollback({ commit: 2 }), 'pointer_damaged')
  expect((await dataset.list({ at: { commit: 3 } })).totalCount).toBe(3001)
  expect((await dataset.list()).totalCount).toBe(3003)
})

test('a store that was emptied or swapped under a running process is not written to', async () => {
  const { memory } = await prepare()
  const { number } = await newestCommit(memory)
  let current: Backend = memory
  const swappable = wrapBackend(memory, {
    newest: (dataset, than, options) => current.newest(dataset, than, options),
    getCommit: (dataset, number, options) => current.getCommit(dataset, number, options),
    commit: (request, options) => current.commit(request, options),
    getBlocks: (cids, options) => current.getBlocks(cids, options),
  })
  const running = await open(swappable)
  const others = { emptied: openMemory(), fresh: openMemory(), 'with another past': openMemory() }
  await openTest({ backend: others.fresh, init: { chunkSize: 64 } })
  const longer = await openTest({ backend: others['with another past'], init: { chunkSize: 64 } })
  for (let i = 0; i < number + 3; i++) await longer.dataset.append({ pi: `l${i}`, tip: A })
  for (const [name, other] of Object.entries(others)) {
    current = other
    const before = await other.newest('main', -1)
    expect((await refusal(running.dataset.list())).code, name).toBe('store_changed')
    expect((await refusal(running.dataset.build())).code, name).toBe('store_changed')
    // An append looks at the tree first, which is not there either.
    const append = await refusal(running.dataset.append({ pi: 'new', tip: A }))
    expect(['store_changed', 'block_missing'], name).toContain(append.code)
    expect(await other.newest('main', -1)).toEqual(before)
  }
  current = memory
  expect(await running.dataset.append({ pi: 'new', tip: A })).toMatchObject({ ver: 1 })
})

test('a copy of the store that went another way is noticed at its next commit', async () => {
  const { memory } = await prepare()
  const copy = openMemory()
  const { number } = await newestCommit(memory)
  const staging = await copy.stage('main', 'copy')
  const { leaves, branches, chain, header, kept } = await blocksOf(memory)
  const { base } = await newestCommit(memory)
  const cids: CidBytes[] = [
    ...leaves,
    ...branches,
    ...chain,
    header,
    kept,
    ...(base === null ? [] : [base]),
  ]
  const blocks = await memory.getBlocks(cids)
  await staging.put(
    cids.map((cid, i) => ({ cid, bytes: blocks[i] ?? new Uint8Array(), hold: 'self' })),
  )
  await staging.flush()
  for (let n = 0; n <= number; n++) {
    const bytes = (await memory.getCommit('main', n)) ?? new Uint8Array()
    expect(await copy.commit({ dataset: 'main', number: n, bytes, blocks: [] })).toBe('committed')
  }
  let current: Backend = memory
  const running = await open(
    wrapBackend(memory, {
      newest: (dataset, than, options) => current.newest(dataset, than, options),
      getBlocks: (cids2, options) => current.getBlocks(cids2, options),
      commit: (request, options) => current.commit(request, options),
    }),
  )
  await running.dataset.append({ pi: 'here', tip: A })
  const elsewhere = await open(copy)
  await elsewhere.dataset.append({ pi: 'there', tip: A })
  await elsewhere.dataset.append({ pi: 'there', tip: A })
  current = copy
  await expectRefused(running.dataset.list(), 'store_changed')
})

test('a store that cannot be reached is not an empty one', async () => {
  const { memory } = await prepare()
  const down = async (): Promise<never> => {
    throw new CairnError('backend_unavailable', 'The node does not answer.', { hint: 'Start it.' })
  }
  const backend = wrapBackend(memory, { newest: down })
  for (const call of [() => new Cairn(backend).open(), () => new Cairn(backend).dataset('main')]) {
    await expectRefused(call(), 'backend_unavailable')
  }
})

test('a tree whose parts do not fit together is refused where they meet', async () => {
  const { memory, blocks } = await prepare()
  const [bytes] = await memory.getBlocks([blocks.root])
  const root = dagCbor.decode<{
    children: [string, number, number, number, number | null, unknown][]
  }>(bytes ?? new Uint8Array())
  const [first, second] = root.children
  if (first === undefined || second === undefined) throw new Error('a tree of one branch')
  // The second child's place, with the first child's block in it.
  second[5] = first[5]
  const forgedRoot = cborBlock(dagCbor.encode(root))
  const forged = await forgeHeader(memory, () => ({ root: forgedRoot.cid }))
  await forgeCommit(memory, { snapshot: forged.cid }, [forged, forgedRoot])
  const { dataset } = await open(memory)
  const before = await memory.newest('main', -1)
  await expectRefused(collect(dataset.entries()), 'invalid_block')
  await expectRefused(dataset.append({ pi: second[0], tip: A }), 'invalid_block')
  expect(await memory.newest('main', -1)).toEqual(before)
})

async function forgeHeader(
  backend: Backend,
  changes: (header: SnapshotHeader) => Partial<SnapshotHeader>,
): Promise<{ cid: CidBytes; bytes: Uint8Array; header: SnapshotHeader }> {
  const { snapshot } = await newestCommit(backend)
  const [bytes] = await backend.getBlocks([snapshot])
  const sound = decodeSnapshot(bytes ?? new Uint8Array())
  const header = { ...sound, ...changes(sound) }
  return { ...encodeSnapshot(header), header }
}
