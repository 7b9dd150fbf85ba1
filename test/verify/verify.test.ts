import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { cborBlock, printCid } from '../../src/model/cid.ts'
import { CairnError } from '../../src/errors.ts'
import { decodeChainBlock, encodeChainBlock } from '../../src/model/chain-block.ts'
import { encodeKeptPage } from '../../src/model/kept.ts'
import { branchOf, decodeNode, encodeNode, writeChild } from '../../src/model/node.ts'
import { decodeSnapshot, encodeSnapshot } from '../../src/model/snapshot.ts'
import { verifyDataset } from '../../src/verify/verify.ts'
import { blocksOf } from '../helpers/damage.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import {
  expectRefused,
  forgeBytes,
  forgeCommit,
  newestCommit,
  refusal,
  tempDir,
} from '../helpers/engine.ts'
import { filled, rootOfSnapshot, tipOf } from './helpers.ts'

test('a sound dataset is sound in every mode, and nothing is written to its store', async () => {
  const store = await filled()
  const commit = await newestCommit(store.backend)
  const written = (): Promise<never> => Promise.reject(new Error('it writes'))
  const silent = wrapBackend(store.backend, { stage: written, commit: written, heal: written })
  for (const mode of [
    { kind: 'quick' },
    { kind: 'full' },
    { kind: 'sample', fraction: 0.3 },
    { kind: 'budget', ms: 1000 },
  ] as const) {
    const options = { mode, ledgerDir: store.ledgerDir, now: () => store.clock.now }
    const report = await verifyDataset(silent, 'main', options)
    expect(report).toMatchObject({
      verdict: 'sound',
      mode: mode.kind,
      commit: commit.number,
      snapshots: 4,
      counts: { missing: 0, corrupt: 0, malformed: 0, unknown: 0 },
      problems: [],
      whole: true,
      notes: [],
    })
  }
  expect(await store.backend.leases()).toEqual([])
})

test('a full run reads every block of the store that something kept reaches', async () => {
  const store = await filled()
  const asked = new Set<string>()
  const counting = wrapBackend(store.backend, {
    getBlocks: (cids, options) => {
      for (const cid of cids) asked.add(printCid(cid))
      return store.backend.getBlocks(cids, options)
    },
  })
  const mode = { kind: 'full' } as const
  const report = await verifyDataset(counting, 'main', { mode, ledgerDir: store.ledgerDir })
  expect(report.blocks).toBe(asked.size)
  const { details } = await store.backend.status()
  // What is not reached: the kept lists of the commits before.
  expect(asked.size).toBe(Number(details['blocks']) - 3)
})

test('what is missing is told from what is corrupt, with the kind of block', async () => {
  const store = await filled()
  const { header, leaves, chain, kept } = await blocksOf(store.backend)
  const tip = await tipOf(store, 'e00003')
  const other = await tipOf(store, 'e00100')
  const cases = [
    { cid: header, kind: 'snapshot' },
    { cid: leaves[1], kind: 'leaf' },
    { cid: chain.at(-1), kind: 'chain' },
    { cid: kept, kind: 'kept list' },
    { cid: tip, kind: 'content' },
    { cid: other, kind: 'content' },
  ]
  for (const { cid = tip, kind } of cases) {
    const text = printCid(cid)
    store.backend.lose(cid)
    const missing = await store.verify()
    expect(missing, kind).toMatchObject({
      verdict: 'incomplete',
      counts: { missing: 1, corrupt: 0 },
    })
    expect(missing.problems).toMatchObject([{ cid: text, kind, state: 'missing' }])
    store.backend.mend()
    store.backend.flip(cid)
    const corrupt = await store.verify()
    expect(corrupt, kind).toMatchObject({ verdict: 'damaged', counts: { missing: 0, corrupt: 1 } })
    expect(corrupt.problems).toMatchObject([{ cid: text, kind, state: 'corrupt' }])
    store.backend.mend()
    expect((await store.verify()).verdict).toBe('sound')
  }
})

test('every block that a full run needs is missed when it is missing', async () => {
  const store = await filled()
  const asked: Uint8Array[] = []
  const recording = wrapBackend(store.backend, {
    getBlocks: (cids, options) => {
      asked.push(...cids)
      return store.backend.getBlocks(cids, options)
    },
  })
  const mode = { kind: 'full' } as const
  await verifyDataset(recording, 'main', { mode, ledgerDir: store.ledgerDir })
  const needed = [...new Map(asked.map((cid) => [printCid(cid), cid]))]
  for (const [text, cid] of needed.filter((_, i) => i % 23 === 0)) {
    store.backend.lose(cid)
    const { problems } = await store.verify()
    expect(problems.map((one) => one.cid)).toEqual([text])
    store.backend.mend()
  }
})

test('of a lost branch all else is still proved', async () => {
  const store = await filled()
  const root = await rootOfSnapshot(store, 2)
  store.backend.lose(root)
  store.backend.lose(await tipOf(store, 'e00100'))
  const report = await store.verify()
  expect(report.whole).toBe(false)
  expect(report.problems.map(({ kind }) => kind).sort()).toEqual(['branch', 'content'])
})

test('quick misses no lost tip of the current state, and does not read content', async () => {
  const store = await filled()
  const tip = await tipOf(store, 'e00100')
  const late = await tipOf(store, 'zz')
  store.backend.flip(tip)
  expect((await store.verify({ kind: 'quick' })).verdict).toBe('sound')
  store.backend.mend()
  store.backend.lose(tip)
  store.backend.lose(late)
  const report = await store.verify({ kind: 'quick' })
  expect(report.verdict).toBe('incomplete')
  expect(new Set(report.problems.map(({ cid }) => cid))).toEqual(
    new Set([printCid(tip), printCid(late)]),
  )
})

test('a tree that its entries do not make is malformed, in quick and in full runs', async () => {
  const store = await filled()
  const { header, leaves } = await blocksOf(store.backend)
  const commit = await newestCommit(store.backend)
  const [bytes] = await store.backend.getBlocks([header])
  const decoded = decodeSnapshot(bytes ?? new Uint8Array())
  // Another chunk size than the one by which the tree was cut.
  const forged = encodeSnapshot({ ...decoded, chunkSize: 640 })
  await forgeCommit(
    store.backend,
    { snapshot: forged.cid, settings: { ...commit.settings, chunkSize: 640 } },
    [forged],
  )
  expect(leaves.length).toBeGreaterThan(2)
  for (const kind of ['quick', 'full'] as const) {
    const report = await store.verify({ kind })
    expect(report.verdict).toBe('damaged')
    const malformed = report.problems.filter(({ state }) => state === 'malformed')
    expect(malformed.map(({ message }) => message).join()).toMatch(/not the one its entries make/)
  }
})

test('a pointer that contradicts what it names is damage', async () => {
  const store = await filled()
  const commit = await newestCommit(store.backend)
  await forgeCommit(store.backend, { snapshotCount: commit.snapshotCount + 1 })
  const wrong = await store.verify({ kind: 'quick' })
  expect(wrong).toMatchObject({
    verdict: 'damaged',
    problems: [{ cid: null, code: 'pointer_damaged' }],
  })
  await forgeCommit(store.backend, { ...commit, number: commit.number + 2, recentCount: 1 })
  const counts = await store.verify({ kind: 'quick' })
  expect(counts.problems.map(({ message }) => message).join()).toMatch(/counts 1 recent entries/)
  await forgeBytes(store.backend, Buffer.from('{"number":1}'))
  const garbage = await store.verify()
  expect(garbage).toMatchObject({
    verdict: 'damaged',
    commit: null,
    problems: [{ cid: null, state: 'corrupt', code: 'pointer_damaged' }],
  })
})

test('what could not be looked at is unknown, and no damage', async () => {
  const store = await filled()
  const tip = printCid(await tipOf(store, 'e00100'))
  const slow = wrapBackend(store.backend, {
    getBlocks: (cids, options) =>
      cids.some((cid) => printCid(cid) === tip)
        ? Promise.reject(new CairnError('backend_timeout', 'The node took too long.'))
        : store.backend.getBlocks(cids, options),
  })
  const options = { mode: { kind: 'full' }, ledgerDir: store.ledgerDir } as const
  const report = await verifyDataset(slow, 'main', options)
  expect(report.verdict).toBe('unknown')
  expect(report.counts).toMatchObject({ missing: 0, corrupt: 0, malformed: 0 })
  expect(report.counts.unknown).toBeGreaterThan(0)
  expect(report.coverage.never).toBe(report.counts.unknown)
  const dead = wrapBackend(store.backend, {
    getBlocks: () => Promise.reject(new CairnError('backend_unavailable', 'No answer.')),
  })
  const silent = await verifyDataset(dead, 'main', options)
  expect(silent).toMatchObject({ verdict: 'unknown', whole: false })
  expect(silent.counts.unknown).toBe(3)
  expect(silent.notes.join()).toMatch(/stopped to answer/)
})

test('a store without the dataset is refused; an aborted run keeps what it has proved', async () => {
  const mode = { kind: 'full' } as const
  const options = { mode, ledgerDir: await tempDir() }
  await expectRefused(verifyDataset(openMemory(), 'main', options), 'dataset_not_found')
  const store = await filled()
  const abort = new AbortController()
  const stopped = store.verify(mode, {
    signal: abort.signal,
    onProgress: ({ step, done }) => step === 'verify' && done === 5 && abort.abort(),
  })
  expect((await refusal(stopped)).code).toBe('aborted')
  expect(await store.backend.leases()).toEqual([])
  const { coverage } = await store.verify({ kind: 'quick' })
  expect(coverage.never).toBeGreaterThan(0)
  expect(coverage.parts - coverage.never).toBeGreaterThanOrEqual(5 + 5)
})

test('bytes that are those of their CID, but no content, are malformed', async () => {
  const store = await filled()
  const bad = cborBlock(Uint8Array.of(0xff, 0xff))
  await store.backend.heal([bad])
  const { chain } = await blocksOf(store.backend)
  const [bytes] = await store.backend.getBlocks([chain.at(-1) ?? bad.cid])
  const last = decodeChainBlock(bytes ?? bad.bytes)
  const entries = last.entries.map((entry) => ({ ...entry, tip: bad.cid }))
  const forged = cborBlock(encodeChainBlock({ ...last, entries }, 'linked'))
  await forgeCommit(store.backend, { head: forged.cid }, [forged])
  const report = await store.verify()
  expect(report.verdict).toBe('damaged')
  expect(report.problems).toMatchObject([
    { cid: printCid(bad.cid), kind: 'content', state: 'malformed', code: 'invalid_content' },
  ])
})

test('a ledger that cannot be written is an error, and hides no damage', async () => {
  const store = await filled()
  const file = join(store.ledgerDir, 'taken')
  const ledgerDir = join(file, 'ledger')
  const inTheWay = { onProgress: () => writeFileSync(file, '') }
  await expect(store.verify({ kind: 'full' }, { ...inTheWay, ledgerDir })).rejects.toThrow(
    /ENOTDIR/,
  )
  rmSync(file)
  store.backend.lose(await tipOf(store, 'e00100'))
  const report = await store.verify({ kind: 'full' }, { ...inTheWay, ledgerDir })
  expect(report.verdict).toBe('incomplete')
  expect(report.notes.join()).toMatch(/the ledger could not be written: ENOTDIR/)
})

test('a leaf that two parents describe differently is malformed', async () => {
  const store = await filled()
  const { header, root } = await blocksOf(store.backend)
  const commit = await newestCommit(store.backend)
  const [bytes, rootBytes] = await store.backend.getBlocks([header, root])
  const decoded = decodeSnapshot(bytes ?? new Uint8Array())
  const [first] = branchOf(decodeNode(rootBytes ?? new Uint8Array())).children
  if (first === undefined) throw new Error('an empty branch')
  const lying = { ...first, live: first.live - 1 }
  const record = new Uint8Array(1000)
  const end = writeChild(record, 0, lying)
  const branch = cborBlock(encodeNode(1, 1, record.subarray(0, end)))
  const forged = encodeSnapshot({
    ...decoded,
    root: branch.cid,
    entries: lying.count,
    live: lying.live,
    chunkCount: 1,
  })
  const { seq, ts, reason, tags } = decoded
  const page = encodeKeptPage({
    older: commit.kept,
    snapshots: [{ seq, ts, reason, tags, cid: forged.cid, entries: lying.count, live: lying.live }],
  })
  const kept = { kept: page.cid, keptCount: commit.keptCount + 1 }
  await forgeCommit(store.backend, kept, [branch, forged, page])
  const report = await store.verify()
  expect(report.verdict).toBe('damaged')
  expect(report.problems.length).toBeGreaterThan(1)
  for (const problem of report.problems)
    expect(problem).toMatchObject({ cid: printCid(first.cid), kind: 'leaf', state: 'malformed' })
})
