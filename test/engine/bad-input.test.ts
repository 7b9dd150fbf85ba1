/** Hostile or broken input: a code, a sentence, a hint, and no commit changed. */
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { InitOptions } from '../../src/engine/genesis.ts'
import type { ListOptions } from '../../src/engine/list.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { cborBlock } from '../../src/model/cid.ts'
import { canonicalJson, commitRecord } from '../../src/model/commit.ts'
import { decodeSnapshot, encodeSnapshot } from '../../src/model/snapshot.ts'
import type { Backend } from '../../src/store/backend.ts'
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

async function expectUnchanged(
  { backend, dataset }: { backend: Backend; dataset: Dataset },
  call: () => Promise<unknown>,
  code: ErrorCode,
): Promise<void> {
  const before = await backend.newest('main', -1)
  await expectRefused(call(), code)
  expect(await backend.newest('main', -1)).toEqual(before)
  // And nothing is left hanging.
  expect((await dataset.append({ pi: 'sound', ver: 1, tip: A })).ver).toBe(1)
}

const bad = <T>(value: unknown): T => value as T

test.each([
  ['empty', ''],
  ['of 513 bytes', 'x'.repeat(513)],
  ['of 514 bytes in 257 letters', 'é'.repeat(257)],
  ['not valid Unicode', 'a\ud800'],
  ['a number', bad<string>(7)],
  ['null', bad<string>(null)],
  ['not there', bad<string>(undefined)],
])('an id that is %s is refused wherever it stands', async (_, pi) => {
  const opened = await openTest()
  const { dataset } = opened
  const calls = [
    () => dataset.append({ pi, tip: A }),
    () =>
      dataset.appendBatch([
        { pi: 'fine', tip: A },
        { pi, tip: A },
      ]),
    () => dataset.put(pi, 1),
    () => dataset.get(pi),
    () => collect(dataset.history(pi)),
  ]
  for (const call of calls) await expectUnchanged(opened, call, 'invalid_entry')
  expect(await dataset.get('fine')).toBeUndefined()
})

test('ids of 1 and of 512 bytes are taken', async () => {
  const { dataset } = await openTest()
  for (const pi of ['x', '\u0000', 'é'.repeat(256), 'y'.repeat(512)]) {
    await dataset.append({ pi, tip: A })
    expect((await dataset.get(pi))?.pi).toBe(pi)
  }
  await dataset.build()
  expect((await dataset.list()).items).toHaveLength(4)
})

test.each([
  0,
  -1,
  1.5,
  NaN,
  Infinity,
  2 ** 53,
  bad<number>('1'),
  bad<number>(null),
  bad<number>(1n),
])('version %s is refused', async (ver) => {
  const opened = await openTest()
  await expectUnchanged(
    opened,
    () => opened.dataset.append({ pi: 'x', tip: A, ver }),
    'invalid_entry',
  )
  if (ver !== 0) {
    const expectVer = (): Promise<unknown> =>
      opened.dataset.append({ pi: 'x', tip: A, expectVer: ver })
    await expectUnchanged(opened, expectVer, 'invalid_entry')
  }
})

test.each([-1, 1.5, NaN, 2 ** 53, bad<number>('1'), bad<number>(new Date())])(
  'time %s is refused',
  async (time) => {
    const opened = await openTest()
    for (const field of ['ts', 'exp']) {
      const append = (): Promise<unknown> =>
        opened.dataset.append({ pi: 'x', tip: A, [field]: time })
      await expectUnchanged(opened, append, 'invalid_entry')
    }
  },
)

test.each([
  ['an empty text', ''],
  ['no CID', 'hello'],
  ['a CID cut short', 'bafyreigdmqpykrgxyaxtlafqpqhzrb7qy2rh75n'],
  ['a CID with a changed letter', 'bafyreigdmqpykrgxyaxtlafqpqhzrb7qy2rh75nldvfd4tucqmqqme5yj1'],
  ['a sha2-512 CID', Uint8Array.from([1, 0x55, 0x13, 64, ...new Uint8Array(64)])],
  ['no bytes', new Uint8Array()],
  ['bytes of another kind', Uint8Array.from({ length: 36 }, (_, i) => i)],
  ['a CID with a byte too many', Uint8Array.from([...A, 0])],
  ['a CID of version 2', Uint8Array.from([2, ...A.subarray(1)])],
  ['nothing', bad<string>(undefined)],
  ['a number', bad<string>(5)],
  ['an object', bad<string>({ '/': 'bafy' })],
])('a tip that is %s is refused', async (_, tip) => {
  const opened = await openTest()
  await expectUnchanged(opened, () => opened.dataset.append({ pi: 'x', tip }), 'invalid_entry')
  await expectUnchanged(opened, () => opened.dataset.content(tip), 'invalid_entry')
  const expecting = (): Promise<unknown> =>
    opened.dataset.append({ pi: 'x', tip: A, expectTip: tip })
  if (tip !== undefined) await expectUnchanged(opened, expecting, 'invalid_entry')
})

test('a batch over the limit is refused whole', async () => {
  const opened = await openTest({ init: { chainLimit: 10 } })
  const batch = Array.from({ length: 11 }, (_, i) => ({ pi: `e${i}`, tip: A }))
  await expectUnchanged(opened, () => opened.dataset.appendBatch(batch), 'too_large')
  expect((await opened.dataset.list()).totalCount).toBe(1)
})

test.each([
  [{ limit: 0 }, 'usage'],
  [{ limit: -1 }, 'usage'],
  [{ limit: 1.5 }, 'usage'],
  [{ limit: NaN }, 'usage'],
  [{ limit: 10_001 }, 'usage'],
  [{ limit: bad<number>('7') }, 'usage'],
  [{ offset: -1 }, 'usage'],
  [{ offset: 0.5 }, 'usage'],
  [{ offset: NaN }, 'usage'],
  [{ cursor: '' }, 'invalid_cursor'],
  [{ cursor: 'abc' }, 'invalid_cursor'],
  [{ cursor: '!!!!' }, 'invalid_cursor'],
  [{ cursor: 'A'.repeat(5000) }, 'invalid_cursor'],
  [{ from: '' }, 'invalid_entry'],
  [{ to: 'x'.repeat(513) }, 'invalid_entry'],
  [{ prefix: 'a\ud800' }, 'invalid_entry'],
] as [ListOptions, ErrorCode][])('a page of %j is refused', async (options, code) => {
  const opened = await openTest()
  await expectUnchanged(opened, () => opened.dataset.list(options), code)
})

test('a cursor of another dataset, direction or a changed one is refused', async () => {
  const opened = await openTest()
  const other = await openTest({ backend: opened.backend, name: 'other' })
  for (const { dataset } of [opened, other]) {
    await dataset.appendBatch(['a', 'b', 'c'].map((pi) => ({ pi, tip: A })))
  }
  const cursor = (await other.dataset.list({ limit: 1 })).nextCursor ?? ''
  expect((await other.dataset.list({ cursor })).items).toHaveLength(2)
  const { dataset } = opened
  await expectUnchanged(opened, () => dataset.list({ cursor }), 'invalid_cursor')
  await expectUnchanged(
    opened,
    () => other.dataset.list({ cursor, order: 'asc' }),
    'invalid_cursor',
  )
  await expectUnchanged(opened, () => other.dataset.list({ cursor, offset: 1 }), 'usage')
  for (let i = 0; i < cursor.length; i++) {
    const changed = cursor.slice(0, i) + (cursor[i] === 'A' ? 'B' : 'A') + cursor.slice(i + 1)
    await expectRefused(other.dataset.list({ cursor: changed }), 'invalid_cursor')
  }
})

test.each([
  [{ time: NaN }, 'usage'],
  [{ time: Infinity }, 'usage'],
  [{ time: -1 }, 'not_found'],
  [{ commit: -1 }, 'not_found'],
  [{ commit: 0.5 }, 'not_found'],
  [{ commit: NaN }, 'not_found'],
  [{ snapshot: '' }, 'not_found'],
  [{ snapshot: 'latest~' }, 'not_found'],
  [{ snapshot: 'latest~-1' }, 'not_found'],
  [{}, 'usage'],
] as const)('a moment of %j is refused', async (at, code) => {
  const opened = await openTest()
  await expectUnchanged(opened, () => opened.dataset.list({ at }), code)
})

test.each([
  { chunkSize: 63 },
  { chunkSize: 10_001 },
  { chunkSize: 100.5 },
  { chainLimit: 0 },
  { chainLimit: -5 },
  { deletedMs: -1 },
  { deletedMs: NaN },
  { content: bad<'linked'>('both') },
  { tags: [bad<string>(7)] },
  { meta: { at: undefined } },
] as InitOptions[])('a dataset is not made with %j', async (init) => {
  const backend = openMemory()
  const cairn = new Cairn(backend)
  const error = await refusal(cairn.init('main', init))
  expect(error.code).toBe('usage')
  expect(error.hint).toBeDefined()
  expect(await cairn.datasets()).toEqual([])
})

test.each(['', 'Main', 'a b', 'x'.repeat(65), '../x', 'a/b', 'é', 'a.b'])(
  'a dataset is not named "%s"',
  async (name) => {
    const cairn = new Cairn(openMemory())
    await expectRefused(cairn.init(name), 'usage')
    await expectRefused(cairn.open(name), 'usage')
    await expectRefused(cairn.dataset(name), 'usage')
    expect(await cairn.datasets()).toEqual([])
  },
)

test.each([
  { meta: { when: undefined } },
  { meta: bad<Record<string, unknown>>([1]) },
  { meta: { n: NaN } },
  { tags: [bad<string>(5)] },
  { tags: [''] },
  { meta: { link: CID.decode(A) } },
  { meta: { bytes: new Uint8Array(3) } },
  { reason: bad<string>(5) },
])('a build with %j is refused', async (options) => {
  const opened = await openTest()
  await opened.dataset.append({ pi: 'x', tip: A })
  await expectUnchanged(opened, () => opened.dataset.build(options), 'usage')
})

test('metadata that does not fit a header is refused', async () => {
  const opened = await openTest()
  await opened.dataset.append({ pi: 'x', tip: A })
  for (const options of [
    { meta: { text: 'x'.repeat(300_000) } },
    { reason: 'x'.repeat(300_000) },
    { tags: Array.from({ length: 65 }, (_, i) => `t${i}`) },
  ]) {
    await expectUnchanged(opened, () => opened.dataset.build(options), 'too_large')
  }
})

/** A store whose newest commit was written by hand; opening and everything else must say what is wrong. */
async function expectAllRefused(backend: Backend, code: ErrorCode): Promise<void> {
  const before = await backend.newest('main', -1)
  const cairn = new Cairn(backend, { now: () => START + 1 })
  for (const call of [
    () => cairn.dataset('main'),
    () => cairn.open('main'),
    () => cairn.init('main'),
  ]) {
    await expectRefused(call(), code)
  }
  expect(await backend.newest('main', -1)).toEqual(before)
}

test('a pointer that names a missing block is refused by new and by running processes', async () => {
  const gone = cborBlock(dagCbor.encode('gone')).cid
  for (const changes of [{ snapshot: gone }, { head: gone, recentCount: 1 }]) {
    const opened = await openTest()
    await opened.dataset.append({ pi: 'a', tip: A })
    await forgeCommit(opened.backend, changes)
    const before = await opened.backend.newest('main', -1)
    for (const call of [
      () => opened.dataset.get('a'),
      () => opened.dataset.list(),
      () => opened.dataset.append({ pi: 'b', tip: A }),
      () => opened.dataset.build(),
      () => opened.dataset.rollback({ snapshot: 'seq:0' }),
    ]) {
      await expectRefused(call(), 'block_missing')
    }
    expect(await opened.backend.newest('main', -1)).toEqual(before)
    await expectAllRefused(opened.backend, 'block_missing')
  }
})

test('a pointer whose list of snapshots is missing can be read, but nothing is built on it', async () => {
  const opened = await openTest()
  await opened.dataset.append({ pi: 'a', tip: A })
  await forgeCommit(opened.backend, { kept: cborBlock(dagCbor.encode('gone')).cid })
  const before = await opened.backend.newest('main', -1)
  expect((await opened.dataset.list()).totalCount).toBe(1)
  await expectRefused(opened.dataset.build(), 'block_missing')
  await expectRefused(collect(opened.dataset.snapshots()), 'block_missing')
  await expectRefused(opened.dataset.list({ at: { snapshot: 'seq:0' } }), 'block_missing')
  expect(await opened.backend.newest('main', -1)).toEqual(before)
})

test('a commit of a newer format is refused with the word to use the version that wrote it', async () => {
  const opened = await openTest()
  const record = {
    ...commitRecord(await newestCommit(opened.backend)),
    number: 1,
    schema: 'cairn/commit@v9',
  }
  await forgeBytes(opened.backend, Buffer.from(canonicalJson(record)))
  await expectRefused(opened.dataset.list(), 'format_unsupported')
  await expectRefused(opened.dataset.append({ pi: 'x', tip: A }), 'format_unsupported')
  await expectAllRefused(opened.backend, 'format_unsupported')
})

test('a snapshot of a newer format is refused with the word to use the version that wrote it', async () => {
  const opened = await openTest()
  const { snapshot } = await newestCommit(opened.backend)
  const [bytes] = await opened.backend.getBlocks([snapshot])
  const header = dagCbor.decode<Record<string, unknown>>(bytes ?? new Uint8Array())
  const newer = cborBlock(dagCbor.encode({ ...header, schema: 'cairn/snapshot@v9' }))
  await forgeCommit(opened.backend, { snapshot: newer.cid }, [newer])
  await expectAllRefused(opened.backend, 'format_unsupported')
})

test.each([
  ['nothing', ''],
  ['no JSON', '{"schema":"cairn/commit@v1"'],
  ['a list', '[]'],
  ['a text', '"hello"'],
  ['zero bytes', '\u0000\u0000\u0000'],
])('a commit that is %s is damage, not a new dataset', async (_, text) => {
  const opened = await openTest()
  await opened.dataset.append({ pi: 'a', tip: A })
  await forgeBytes(opened.backend, Buffer.from(text))
  const error = await expectRefused(opened.dataset.list(), 'pointer_damaged')
  expect(error.message).toContain('Commit 2 of "main"')
  await expectRefused(opened.dataset.append({ pi: 'b', tip: A }), 'pointer_damaged')
  await expectRefused(opened.dataset.build(), 'pointer_damaged')
  await expectAllRefused(opened.backend, 'pointer_damaged')
})

test('a commit that lacks any of its fields, or has it of another type, is damage', async () => {
  const source = await openTest()
  await source.dataset.append({ pi: 'a', tip: A })
  const record = { ...commitRecord(await newestCommit(source.backend)), number: 2 }
  for (const field of Object.keys(record)) {
    if (field === 'last_updated' || field === 'schema') continue
    for (const value of [undefined, {}, -1]) {
      const { backend, dataset } = await openTest()
      await dataset.append({ pi: 'a', tip: A })
      const forged = JSON.parse(canonicalJson({ ...record, [field]: null })) as Record<
        string,
        unknown
      >
      if (value === undefined) delete forged[field]
      else forged[field] = value
      await forgeBytes(backend, Buffer.from(canonicalJson(forged)))
      const error = await expectRefused(dataset.list(), 'pointer_damaged')
      expect(error.message, field).toContain('Commit 2 of "main"')
    }
  }
})

test('a snapshot of another dataset is refused', async () => {
  const opened = await openTest()
  const other = await openTest({ backend: opened.backend, name: 'other' })
  await other.dataset.append({ pi: 'theirs', tip: A })
  const { snapshot } = await other.dataset.build()
  const theirs = await newestCommit(opened.backend, 'other')
  const { snapshotSeq, snapshotTs, snapshotCount, totalCount } = theirs
  await forgeCommit(opened.backend, {
    snapshot,
    snapshotSeq,
    snapshotTs,
    snapshotCount,
    totalCount,
  })
  await expectRefused(opened.dataset.list(), 'invalid_block')
  await expectAllRefused(opened.backend, 'invalid_block')
})

test('a header whose root is no tree is refused', async () => {
  const opened = await openTest()
  const { snapshot } = await newestCommit(opened.backend)
  const [bytes] = await opened.backend.getBlocks([snapshot])
  const header = decodeSnapshot(bytes ?? new Uint8Array())
  const forged = encodeSnapshot({ ...header, root: snapshot })
  await forgeCommit(opened.backend, { snapshot: forged.cid }, [forged])
  const before = await opened.backend.newest('main', -1)
  expect((await refusal(new Cairn(opened.backend).open())).code).toBe('invalid_block')
  expect((await refusal(opened.dataset.append({ pi: 'x', tip: A }))).code).toBe('invalid_block')
  expect(await opened.backend.newest('main', -1)).toEqual(before)
})
