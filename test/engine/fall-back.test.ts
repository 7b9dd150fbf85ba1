/** Falling back from a damaged state to the newest one that is whole, and what a prune makes of it. */
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { CarFile } from '../../src/car/file.ts'
import { linksOf } from '../../src/content/links.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { FellBack } from '../../src/engine/fall-back.ts'
import { CairnError } from '../../src/errors.ts'
import { cidKey, printCid, type CidBytes } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { repairDataset } from '../../src/verify/repair.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { blocksOf, type DatasetBlocks } from '../helpers/damage.ts'
import {
  collect,
  expectRefused,
  forgeBytes,
  forgeCommit,
  newestCommit,
  tempDir,
  type Clock,
} from '../helpers/engine.ts'
import { exportTo } from '../verify/export.ts'
import { filled, rootOfSnapshot, tipOf, type Filled } from '../verify/helpers.ts'

const STORES: readonly (readonly [string, () => Promise<Backend>])[] = [
  ['memory', () => Promise.resolve(openMemory())],
  ['lmdb', async () => openLmdb({ dir: join(await tempDir(), 'store'), create: true })],
]

/**
 * Its commits: 0 is empty; 1, 3 and 5 add 150 entities each, 2, 4 and 6 fold them into snapshots 1, 2 and 3;
 * 7 changes `e00001`, 8 adds `zz`.
 */
async function store(inner: Backend = openMemory()): Promise<Filled> {
  const opened = await filled(inner)
  onTestFinished(() => opened.cairn.close())
  expect((await newestCommit(opened.backend)).number).toBe(8)
  return opened
}

/** As another process: with nothing in memory. */
const another = ({ backend, clock }: { backend: Backend; clock: Clock }): Cairn =>
  new Cairn(backend, { now: () => clock.now })

async function fellBack(opened: Filled): Promise<FellBack> {
  const report = await another(opened).fallBack()
  if (report.status !== 'fell_back') throw new Error(`it is ${report.status}`)
  return report
}

async function stateOf(dataset: Dataset): Promise<Record<string, unknown>> {
  const state: Record<string, unknown> = {}
  for await (const { pi, tip } of dataset.entries()) {
    if (tip === null) continue
    const content = await dataset.content(tip)
    state[pi] = content.kind === 'value' ? content.value : content.kind
  }
  return state
}

const stateAt = async (dataset: Dataset, commit: number): Promise<string[]> =>
  (await collect(dataset.entries({ at: { commit } }))).map(
    ({ pi, tip }) => `${pi} ${tip === null ? '' : printCid(tip)}`,
  )

type Choose = (blocks: DatasetBlocks, opened: Filled) => CidBytes | Promise<CidBytes> | undefined

/** The first leaf that only the newest snapshot has. */
const KINDS: readonly {
  readonly what: string
  readonly choose: Choose
  readonly to: number
  readonly found?: string
}[] = [
  { what: 'the chain head', choose: ({ chain }) => chain[1], to: 7, found: 'chain' },
  { what: 'a chain block under it', choose: ({ chain }) => chain[0], to: 6, found: 'chain' },
  { what: 'the header', choose: ({ header }) => header, to: 5, found: 'snapshot' },
  { what: 'a branch', choose: ({ branches }) => branches[0], to: 5, found: 'branch' },
  { what: 'a leaf', choose: ({ leaves }) => leaves[0], to: 5, found: 'leaf' },
  {
    what: 'content of the chain',
    choose: (_, opened) => tipOf(opened, 'zz'),
    to: 7,
    found: 'content',
  },
  // What commit 5 put is still in its chain.
  {
    what: 'content of the tree',
    choose: (_, opened) => tipOf(opened, 'e00002'),
    to: 4,
    found: 'content',
  },
  {
    what: 'content of older trees',
    choose: (_, opened) => tipOf(opened, 'e00100'),
    to: 2,
    found: 'content',
  },
  { what: 'the kept list', choose: ({ kept }) => kept, to: 8, found: 'kept list' },
]

for (const [name, open] of STORES) {
  test.each(KINDS)(`${name}: $what is damaged`, async ({ choose, to, found }) => {
    for (const harm of ['lose', 'flip'] as const) {
      const opened = await store(await open())
      const { backend, dataset } = opened
      const before = await newestCommit(backend)
      const expected = await stateAt(dataset, to)
      const cid = await choose(await blocksOf(backend), opened)
      backend[harm](cid)
      const report = await fellBack(opened)
      const code =
        harm === 'flip'
          ? 'block_mismatch'
          : found === 'content'
            ? 'content_missing'
            : 'block_missing'
      expect(report).toMatchObject({ from: 8, to, commit: 9, generation: 2, unlisted: 0 })
      expect(report.damage[0]).toMatchObject({
        commit: 8,
        what: found,
        code,
        cid: cid && printCid(cid),
      })
      const past = await backend.getCommit('main', to)
      expect(report.lost).toEqual({
        from: (JSON.parse(Buffer.from(past ?? []).toString()) as { next: number }).next,
        to: before.next,
      })
      const after = await newestCommit(backend)
      expect(after).toMatchObject({ number: 9, next: before.next, nextSeq: 4, exclusive: null })
      expect(after.reason).toContain(`fell back from commit 8 to ${to}: ${found}`)
      // It is whole now, and whoever opens it finds what was there then, content included.
      expect(await another(opened).fallBack()).toEqual({ status: 'good', commit: 9 })
      const fresh = await another(opened).dataset()
      expect(await stateAt(fresh, 9)).toEqual(expected)
      expect(Object.keys(await stateOf(fresh))).toHaveLength(expected.length)
      const appended = await fresh.put('after', { it: 1 })
      expect(appended.position).toBe(before.next)
      await fresh.build()
      expect((await fresh.snapshot()).seq).toBe(4)
      expect(await another(opened).fallBack()).toMatchObject({ status: 'good' })
    }
  })
}

test('what is whole is left alone', async () => {
  const opened = await store()
  const before = await newestCommit(opened.backend)
  const steps: number[] = []
  const report = await another(opened).fallBack('main', {
    onProgress: ({ step, done }) => {
      expect(step).toBe('prove')
      steps.push(done)
    },
  })
  expect(report).toEqual({ status: 'good', commit: 8 })
  expect(await newestCommit(opened.backend)).toEqual(before)
  expect(steps.at(-1)).toBeGreaterThan(0)
})

test('a store that does not answer, an abort and a damaged pointer are no reason to fall back', async () => {
  const opened = await store()
  const { root } = await blocksOf(opened.backend)
  const silent = wrapBackend(opened.backend, {
    getBlocks: (cids, options) =>
      cids.some((cid) => cidKey(cid) === cidKey(root))
        ? Promise.reject(new CairnError('backend_unavailable', 'Gone.', { hint: 'Wait.' }))
        : opened.backend.getBlocks(cids, options),
  })
  const { clock } = opened
  await expectRefused(another({ backend: silent, clock }).fallBack(), 'backend_unavailable')
  const signal = AbortSignal.abort()
  const aborted = await another(opened)
    .fallBack('main', { signal })
    .catch((error: unknown) => error)
  expect(aborted).toMatchObject({ code: 'aborted' })
  await expectRefused(another(opened).fallBack('other'), 'dataset_not_found')
  expect((await newestCommit(opened.backend)).number).toBe(8)
  await forgeBytes(opened.backend, Buffer.from('{"schema":"x'))
  await expectRefused(another(opened).fallBack(), 'pointer_damaged')
})

test('every kept state is damaged: nothing is changed', async () => {
  const opened = await store()
  const { backend } = opened
  const before = await newestCommit(backend)
  for await (const { cid } of opened.dataset.snapshots()) backend.lose(cid)
  const error = await expectRefused(another(opened).fallBack(), 'damage_found')
  expect(error.hint).toContain('CAR')
  expect(await newestCommit(backend)).toEqual(before)
})

test('a second damage leads further back, and both are kept', async () => {
  const opened = await store()
  const { backend } = opened
  const { header, leaves } = await blocksOf(backend)
  backend.lose(leaves[0])
  expect(await fellBack(opened)).toMatchObject({ from: 8, to: 5 })
  const [leaf] = (await blocksOf(backend)).leaves
  expect(leaves.map(cidKey)).not.toContain(leaf === undefined ? '' : cidKey(leaf))
  backend.lose(leaf)
  const report = await fellBack(opened)
  expect(report).toMatchObject({ from: 9, to: 3, commit: 10, generation: 3 })
  const dataset = await another(opened).dataset()
  const tags = (await collect(dataset.snapshots())).map(({ seq, tags: some }) => [seq, some])
  expect(tags).toEqual([
    [3, ['damaged@8', 'damaged@9']],
    [2, ['fell-back@6-8', 'damaged@9']],
    [1, ['fell-back@4-9']],
    [0, []],
  ])
  const prune = await dataset.prune({ policy: { last: 1 } })
  expect(prune.status).toBe('pruned')
  expect(await missing(opened.inner, [header, ...leaves.slice(1)])).toEqual([])
})

test('many damaged chain blocks in a row are passed over by halving', async () => {
  const opened = await store()
  const { backend, dataset } = opened
  for (let i = 0; i < 200; i++) await dataset.put(`many${i}`, { i })
  const { chain } = await blocksOf(backend)
  for (const cid of chain.slice(20)) backend.lose(cid)
  let read = 0
  const counting = wrapBackend(backend, {
    getCommit: (name, number, options) => {
      read += 1
      return backend.getCommit(name, number, options)
    },
  })
  const report = await another({ ...opened, backend: counting }).fallBack()
  expect(report).toMatchObject({ from: 208, to: 26 })
  expect(read).toBeLessThan(60)
})

test('content that was met on the way to damage is not taken for proved', async () => {
  const opened = await store()
  const { backend, dataset } = opened
  const bytes = new Uint8Array(1_500_000).map((_, i) => (i * i) >> 8)
  const { tip } = await dataset.put('big', bytes)
  await dataset.build()
  // The same file again: its root was met before, when the walk ended at the missing part.
  await dataset.append({ pi: 'a-again', tip })
  const [root] = await backend.getBlocks([tip])
  backend.lose(linksOf(tip, root ?? new Uint8Array()).at(-1))
  expect(await fellBack(opened)).toMatchObject({ from: 11, to: 8 })
})

async function missing(backend: Backend, cids: readonly CidBytes[]): Promise<string[]> {
  const there = await backend.hasBlocks(cids)
  return cids.filter((_, i) => there[i] !== true).map(printCid)
}

const everyTenth = Array.from({ length: 45 }, (_, i) => `e${String(i * 10).padStart(5, '0')}`)

/** All blocks that commit 8 of `store` needs. */
async function allOf(opened: Filled): Promise<CidBytes[]> {
  const { header, branches, leaves, chain } = await blocksOf(opened.backend)
  const tips = (await collect(opened.dataset.entries())).flatMap(({ tip }) => tip ?? [])
  return [header, ...branches, ...leaves, ...chain, ...tips]
}

for (const [name, open] of STORES) {
  test.each([
    { what: 'a leaf', choose: ({ leaves }: DatasetBlocks) => leaves[1] },
    { what: 'the chain head', choose: ({ chain }: DatasetBlocks) => chain[1] },
    { what: 'a chain block under it', choose: ({ chain }: DatasetBlocks) => chain[0] },
  ])(
    `${name}: $what: a prune keeps what is left; repaired, the state is there again`,
    async ({ choose }) => {
      const opened = await store(await open())
      const { backend, inner, clock, ledgerDir } = opened
      const whole = await stateOf(opened.dataset)
      const car = join(await tempDir(), 'all.car')
      await exportTo(car, opened.dataset)
      const cid = choose(await blocksOf(backend)) ?? new Uint8Array()
      const old = await opened.dataset.snapshot('seq:1')
      const needed = await allOf(opened)
      backend.lose(cid)
      await fellBack(opened)
      const dataset = await another(opened).dataset()
      for (let i = 0; i < 3; i++) {
        // In every leaf something changes: none comes out as one of the damaged tree.
        await dataset.putBatch(everyTenth.map((pi) => ({ pi, value: { later: i } })))
        clock.now += 1000
        await dataset.build()
        const report = await dataset.prune({ policy: { last: 1 } })
        expect(report.freed.blocks).toBeGreaterThan(0)
      }
      expect(await missing(inner, [old.cid])).toHaveLength(1)
      // Nothing leads to the lost block any more, nor to what is under it alone.
      const gone = await missing(inner, needed)
      expect(gone.length).toBeLessThan(70)
      expect(gone).toContain(printCid(cid))
      // Unrepaired, it does not become current again.
      const refused = await expectRefused(dataset.rollback({ commit: 8 }), 'block_missing')
      expect(refused.message).toContain('Commit 8 is still damaged')
      expect((await opened.verify()).verdict).toBe('incomplete')
      const opening = await CarFile.open(car)
      try {
        const source = { name: car, getBlocks: opening.getBlocks.bind(opening) }
        const repaired = await repairDataset(backend, 'main', { sources: [source], ledgerDir })
        expect(repaired).toMatchObject({ verdict: 'sound' })
      } finally {
        await opening.close()
      }
      const now = await newestCommit(backend)
      await dataset.rollback({ commit: 8 })
      expect(await stateOf(dataset)).toEqual(whole)
      expect((await newestCommit(backend)).next).toBe(now.next)
      const tags = (await collect(dataset.snapshots())).flatMap(({ tags: some }) => some)
      expect(tags).toEqual([])
      expect(await dataset.prune({ policy: { last: 1 } })).toMatchObject({ status: 'pruned' })
      expect(await stateOf(await another(opened).dataset())).toEqual(whole)
      expect((await opened.verify()).verdict).toBe('sound')
    },
  )
}

test.each(STORES)(
  '%s: a leaf that is made again is put in the place of a damaged one',
  async (_, open) => {
    const opened = await store(await open())
    const { backend } = opened
    const { leaves } = await blocksOf(backend)
    for (const leaf of leaves.slice(0, 3)) backend.flip(leaf)
    expect(await fellBack(opened)).toMatchObject({ to: 5 })
    const dataset = await another(opened).dataset()
    expect((await dataset.build()).root).toEqual(await rootOfSnapshot(opened, 3))
    expect(await another(opened).fallBack()).toMatchObject({ status: 'good' })
  },
)

test.each([
  { what: 'a leaf', choose: ({ leaves }: DatasetBlocks) => leaves[0], forgotten: 1 },
  { what: 'the chain', choose: ({ chain }: DatasetBlocks) => chain[0], forgotten: 0 },
])('$what: a prune lets go of what was damaged when told to', async ({ choose, forgotten }) => {
  const opened = await store()
  const { backend, inner } = opened
  const all = await blocksOf(backend)
  backend.lose(choose(all))
  await fellBack(opened)
  const dataset = await another(opened).dataset()
  const before = await stateOf(dataset)
  const policy = { last: 10 }
  const planned = await dataset.prune({ policy, releaseDamaged: true, dryRun: true })
  expect(planned).toMatchObject({ status: 'planned', forgotten })
  expect(await dataset.prune({ policy })).toMatchObject({ forgotten: 0 })
  expect(await dataset.prune({ policy, releaseDamaged: true })).toMatchObject({
    status: 'pruned',
    forgotten,
  })
  expect(await missing(inner, all.chain)).toHaveLength(2)
  expect(await missing(inner, [all.header])).toHaveLength(forgotten)
  expect(await stateOf(dataset)).toEqual(before)
  const tags = (await collect(dataset.snapshots())).flatMap(({ tags: some }) => some)
  expect(tags).toEqual([])
  expect(await dataset.prune({ policy })).toMatchObject({ status: 'already_pruned' })
  await expectRefused(dataset.rollback({ commit: 8 }), 'not_found')
  expect((await opened.verify()).verdict).toBe('sound')
})

test('between two lost blocks of a chain all stays', async () => {
  const opened = await store()
  const { backend, inner, dataset } = opened
  for (let i = 0; i < 20; i++) await dataset.put(`many${i}`, { i })
  const { chain } = await blocksOf(backend)
  for (const at of [5, 9, 15]) backend.lose(chain[at])
  const tip = await tipOf(opened, 'many5')
  expect(await fellBack(opened)).toMatchObject({ to: 11 })
  await (await another(opened).dataset()).prune({ policy: { last: 1 } })
  const lost = [5, 9, 15].map((at) => chain[at] ?? tip)
  expect(await missing(inner, [...chain, tip])).toEqual(lost.map(printCid))
})

test('damage that nobody has fallen back from stops a prune as ever', async () => {
  const opened = await store()
  opened.backend.lose((await blocksOf(opened.backend)).leaves[0])
  await expectRefused(opened.dataset.prune({ policy: { last: 1 } }), 'block_missing')
})

test('who has the dataset open follows, and its changes tell of the new generation', async () => {
  const opened = await store()
  const { backend, dataset } = opened
  const changes = dataset.changes()[Symbol.asyncIterator]()
  const first = changes.next()
  const { chain } = await blocksOf(backend)
  backend.lose(chain[0])
  await fellBack(opened)
  expect(await first).toMatchObject({
    value: { kind: 'generation', next: 452, reason: expect.stringContaining('fell back') },
  })
  expect(await dataset.get('zz')).toBeUndefined()
  const { position } = await dataset.put('zz', { again: 1 })
  expect(position).toBe(452)
  expect(await changes.next()).toMatchObject({ value: { kind: 'entry', position: 452 } })
  await changes.return?.(undefined)
})

test('across a rollback, what is lost is what the newest log has and the older one has not', async () => {
  const undone = await store()
  // Back to before `zz` and forth again: commit 9 lacks it, commit 10 has it.
  await undone.dataset.rollback({ commit: 7 })
  await undone.dataset.rollback({ commit: 8 })
  undone.backend.lose(await tipOf(undone, 'zz'))
  expect(await fellBack(undone)).toMatchObject({ from: 10, to: 9, lost: { from: 451, to: 452 } })
  const left = await store()
  const zz = await tipOf(left, 'zz')
  // What commit 9 left out comes back, but for `zz`, which it did not have; only what was written since is lost.
  await left.dataset.rollback({ commit: 4 })
  left.backend.lose(zz)
  await left.dataset.put('new', { is: 'new' })
  left.backend.lose(await tipOf(left, 'new'))
  left.backend.lose(await rootOfSnapshot(left, 2))
  expect(await fellBack(left)).toMatchObject({ from: 10, to: 7, lost: { from: 452, to: 453 } })
  expect(await (await another(left).dataset()).get('e00005')).toBeDefined()
})

test('several that start at once fall back once', async () => {
  const opened = await store()
  opened.backend.lose((await blocksOf(opened.backend)).chain[1])
  const reports = await Promise.all([1, 2, 3].map(() => another(opened).fallBack()))
  expect(reports.map(({ status }) => status).sort()).toEqual(['fell_back', 'good', 'good'])
  expect((await newestCommit(opened.backend)).number).toBe(9)
})

test('a dataset that is reserved is left to its owner', async () => {
  const opened = await store()
  const { backend, clock } = opened
  backend.lose((await blocksOf(backend)).chain[1])
  const until = clock.now + 60_000
  await forgeCommit(backend, { exclusive: { owner: 'x', reason: 'a bulk load', until } })
  await expectRefused(another(opened).fallBack(), 'busy')
  clock.now += 61_000
  expect(await fellBack(opened)).toMatchObject({ from: 9, to: 7 })
})
