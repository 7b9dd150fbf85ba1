import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isCairnError, type CairnError } from '../../src/errors.ts'
import { printCid, rawCidOf } from '../../src/model/cid.ts'
import {
  canonicalJson,
  commitRecord,
  decodeCommit,
  encodeCommit,
  type Commit,
} from '../../src/model/commit.ts'
import { cidOfText } from '../helpers/library.ts'

const commit: Commit = {
  number: 7,
  prev: rawCidOf(Buffer.from('commit 6')),
  ts: 1_700_000_000_123,
  writer: 'w1',
  reason: 'append',
  dataset: 'main',
  identity: 'bidentity',
  origins: ['borigin'],
  generation: { number: 2, tag: '0011223344556677' },
  settings: { content: 'linked', chunkSize: 10_000, chainLimit: 10_000, deletedMs: 2_592_000_000 },
  snapshot: cidOfText('snapshot'),
  snapshotSeq: 3,
  snapshotTs: 1_699_999_999_000,
  snapshotCount: 90,
  head: cidOfText('head'),
  base: cidOfText('base'),
  recentCount: 5,
  chainFirst: 100,
  next: 105,
  nextOrdinal: 40,
  nextSeq: 4,
  floor: 20,
  oldest: 3,
  kept: cidOfText('kept'),
  keptCount: 4,
  totalCount: 93,
  exclusive: null,
}

const uint = fc.maxSafeNat()
const cid = fc.string().map(cidOfText)
const arbitraryCommit: fc.Arbitrary<Commit> = fc
  .record({
    number: fc.integer({ min: 1, max: 1e9 }),
    prev: fc.string().map((text) => rawCidOf(Buffer.from(text))),
    ts: fc.nat({ max: 8_640_000_000_000_000 }),
    writer: fc.string(),
    reason: fc.string({ unit: 'grapheme' }),
    dataset: fc.stringMatching(/^[a-z0-9_-]{1,64}$/),
    identity: fc.string(),
    origins: fc.array(fc.string()),
    generation: fc.record({ number: uint, tag: fc.string() }),
    settings: fc.record({
      content: fc.constantFrom('linked' as const, 'external' as const),
      chunkSize: fc.integer({ min: 64, max: 10_000 }),
      chainLimit: fc.integer({ min: 1, max: 1e7 }),
      deletedMs: uint,
    }),
    snapshot: cid,
    snapshotSeq: uint,
    snapshotTs: fc.nat({ max: 8_640_000_000_000_000 }),
    snapshotCount: uint,
    head: fc.option(cid),
    base: fc.option(cid),
    recentCount: fc.integer({ min: 1, max: 1e6 }),
    chainFirst: fc.integer({ min: 0, max: 1e12 }),
    next: fc.integer({ min: 2e12, max: 3e12 }),
    nextOrdinal: uint,
    nextSeq: uint,
    floor: uint,
    oldest: uint,
    kept: cid,
    keptCount: uint,
    totalCount: uint,
    exclusive: fc.option(fc.record({ owner: fc.string(), reason: fc.string(), until: uint })),
  })
  .map((one) => ({
    ...one,
    recentCount: one.head === null ? 0 : one.recentCount,
    floor: Math.min(one.floor, one.chainFirst),
    oldest: Math.min(one.oldest, one.number),
  }))

function refusal(bytes: Uint8Array): CairnError | undefined {
  try {
    decodeCommit(bytes)
    return undefined
  } catch (error) {
    if (isCairnError(error)) return error
    throw error
  }
}

const recordOf = (one: Commit): Record<string, unknown> =>
  JSON.parse(Buffer.from(encodeCommit(one).bytes).toString()) as Record<string, unknown>
const bytesOf = (record: unknown): Buffer => Buffer.from(canonicalJson(record))

test('any commit comes back as it was, under the CID of its bytes as a raw block', () => {
  fc.assert(
    fc.property(arbitraryCommit, (one) => {
      const encoded = encodeCommit(one)
      expect(encoded.cid).toEqual(rawCidOf(encoded.bytes))
      const decoded = decodeCommit(encoded.bytes)
      expect(decoded.commit).toEqual(one)
      expect(decoded.cid).toEqual(encoded.cid)
    }),
  )
})

test('a commit is canonical JSON: sorted keys, no white space, one encoding for one value', () => {
  const { bytes } = encodeCommit(commit)
  const text = Buffer.from(bytes).toString()
  const value: unknown = JSON.parse(text)
  expect(text).toBe(JSON.stringify(value))
  const keys = Object.keys(value as object)
  expect(keys).toEqual(keys.toSorted())
  const reversed = Object.fromEntries(Object.entries(commit).reverse()) as unknown as Commit
  expect(Buffer.from(encodeCommit(reversed).bytes).toString()).toBe(text)
})

test('canonical JSON is the JSON of the same value, whatever the order its keys came in', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value)
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
      expect(canonicalJson(JSON.parse(text))).toBe(text)
    }),
  )
})

test('a commit has the fields of arke/index-pointer@v1, as those who know only that expect them', () => {
  expect(commitRecord(commit)).toMatchObject({
    latest_snapshot_cid: printCid(commit.snapshot),
    snapshot_seq: 3,
    snapshot_count: 90,
    snapshot_ts: '2023-11-14T22:13:19.000Z',
    recent_chain_head: printCid(cidOfText('head')),
    recent_count: 5,
    total_count: 93,
    last_updated: '2023-11-14T22:13:20.123Z',
  })
  const empty = { ...commit, head: null, recentCount: 0, chainFirst: 105 }
  expect(commitRecord(empty)).toMatchObject({ recent_chain_head: null, recent_count: 0 })
})

test('the first commit has no predecessor, and every other has one', () => {
  const first = { ...commit, number: 0, oldest: 0, prev: null }
  expect(decodeCommit(encodeCommit(first).bytes).commit).toEqual(first)
  expect(() => encodeCommit({ ...commit, prev: null })).toThrow('predecessor')
})

test('a commit whose numbers contradict each other is neither written nor read', () => {
  const wrongs: Partial<Commit>[] = [
    { head: null },
    { recentCount: 0 },
    { next: 104 },
    { floor: 101 },
    { ts: 8_640_000_000_000_001 },
    { ts: -1 },
    { snapshotTs: 9e15 },
    { snapshotTs: NaN },
    { settings: { ...commit.settings, chunkSize: 63 } },
    { settings: { ...commit.settings, chunkSize: 10_001 } },
    { settings: { ...commit.settings, chainLimit: 0 } },
  ]
  for (const wrong of wrongs) {
    expect(() => encodeCommit({ ...commit, ...wrong })).toThrow(
      expect.objectContaining({ code: 'pointer_damaged' }),
    )
  }
  const record = recordOf(commit)
  for (const wrong of [{ recent_count: 0 }, { next: 1 }, { floor: 1000 }, { ts: 9e15 }]) {
    expect(refusal(bytesOf({ ...record, ...wrong }))?.code).toBe('pointer_damaged')
  }
})

test('a commit of another schema is another format; without any it is damaged', () => {
  const record = recordOf(commit)
  for (const schema of ['cairn/commit@v2', 'arke/index-pointer@v1', 'x'.repeat(10_000), '']) {
    const error = refusal(bytesOf({ ...record, schema, more: 1 }))
    expect(error?.code).toBe('format_unsupported')
    expect(error?.message.length).toBeLessThan(200)
  }
  for (const schema of [null, 7, {}, [], { toString: 1 }, [{ toString: 1 }]]) {
    expect(refusal(bytesOf({ ...record, schema }))?.code).toBe('pointer_damaged')
  }
})

test('a damaged commit is refused as damaged, never as anything else and never taken', () => {
  const record = recordOf(commit)
  for (const field of Object.keys(record).filter((name) => name !== 'schema')) {
    const { [field]: right, ...others } = record
    expect(refusal(bytesOf(others))?.code).toBe('pointer_damaged')
    for (const wrong of [
      true,
      -1,
      0.5,
      2 ** 53,
      [],
      { a: 1 },
      [{ toString: 1 }],
      'bafy',
      '\u0000',
    ]) {
      const error = refusal(bytesOf({ ...others, [field]: wrong }))
      // Any text does for a text, and a text is the right kind of reason.
      if (error === undefined) expect(typeof right).toBe(typeof wrong)
      else expect(error.code).toBe('pointer_damaged')
    }
  }
  for (const more of [{ more: 1 }, { last_updated: '2023-11-14T22:13:20.124Z' }, { '': null }]) {
    expect(refusal(bytesOf({ ...record, ...more }))?.code).toBe('pointer_damaged')
  }
})

test('a commit with any byte changed, cut, extended or written in another form is refused', () => {
  const bytes = Buffer.from(encodeCommit(commit).bytes)
  for (let at = 0; at < bytes.length; at++) {
    expect(refusal(bytes.subarray(0, at))?.code).toBe('pointer_damaged')
    for (const bit of [0x01, 0x04, 0x20, 0x80]) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ bit
      expect(['pointer_damaged', 'format_unsupported']).toContain(refusal(changed)?.code)
    }
  }
  const text = bytes.toString()
  const forms = [
    `${text}\n`,
    ` ${text}`,
    `\u{feff}${text}`,
    JSON.stringify(recordOf(commit), null, 1),
    text.replace('"next":105', '"next":1.05e2'),
    text.replace('"next":105', '"next":105,"next":105'),
    text.replace('main', '\\u006dain'),
    text.replace('main', '\ufffd'),
    `[${text}]`,
    'null',
    '7',
    '"text"',
    '[]',
    '{}',
    '',
    '['.repeat(1_000_000),
  ]
  for (const form of forms.filter((one) => one !== text)) {
    expect(refusal(Buffer.from(form))?.code).toBe('pointer_damaged')
  }
  // Bytes that are not UTF-8 read as U+FFFD, which must not pass for it.
  const notUtf8 = Buffer.from(text.replace('main', '#'))
  notUtf8[notUtf8.indexOf('#')] = 0xff
  expect(refusal(notUtf8)?.code).toBe('pointer_damaged')
})
