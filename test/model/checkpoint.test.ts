/** Checkpoints and chain lists that no writer made: each is refused with its code. */
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { parseDatasetName, settingsOf } from '../../src/engine/genesis.ts'
import { isCairnError, type ErrorCode } from '../../src/errors.ts'
import { decodeChainList, decodeCheckpoint } from '../../src/model/checkpoint.ts'
import {
  badTips,
  checkpoint,
  link,
  listValue,
  refusal,
  withoutChain,
  type Value,
} from '../helpers/checkpoint-values.ts'
import { tipOf } from '../helpers/entries.ts'
import { cidOfText, libraryBytes } from '../helpers/library.ts'

const WRONG: Readonly<Record<string, readonly unknown[]>> = {
  text: [null, true, 7, ['main'], {}, Buffer.from('main')],
  number: [null, true, '7', 1.5, -1, 2 ** 53, 2n ** 60n, [], {}, Buffer.from('7')],
  texts: [null, 'text', {}, [7], [null], [['text']], Buffer.from('text')],
  map: [null, true, 7, 'text', [], [{}], Buffer.from('map')],
  // Foreign CIDs, CIDs as the wrong kind, and what is none.
  link: [
    true,
    7,
    'text',
    [],
    {},
    [link()],
    cidOfText('link'),
    link().toString(),
    CID.decode(tipOf('raw')),
    CID.decode(tipOf('v0').slice(2)),
  ],
  weak: [
    true,
    7,
    'text',
    [],
    {},
    link(),
    link().toString(),
    [cidOfText('weak')],
    tipOf('raw'),
    tipOf('v0').slice(2),
    ...badTips(),
  ],
}

/** Refuses, as malformed, every value of the wrong kind in each field, and a field too few or too many. */
function refusesOddFields(
  kinds: Readonly<Record<string, string>>,
  value: Value,
  decode: (bytes: Uint8Array) => unknown,
  within: (value: Value) => unknown = (same) => same,
): void {
  const code = (fields: Value): ErrorCode | undefined =>
    refusal(decode, libraryBytes(within(fields)))
  expect(code(value)).toBeUndefined()
  expect(Object.keys(kinds).toSorted()).toEqual(
    Object.keys(value)
      .filter((field) => field !== 'schema')
      .toSorted(),
  )
  for (const [field, kind] of Object.entries(kinds)) {
    for (const wrong of WRONG[kind] ?? []) {
      const found = code({ ...value, [field]: wrong })
      expect([field, wrong, found]).toEqual([field, wrong, 'invalid_block'])
    }
    const { [field]: right, ...others } = value
    expect([field, code(others)]).toEqual([field, 'invalid_block'])
    expect(code({ ...others, [field.toUpperCase()]: right })).toBe('invalid_block')
  }
  for (const more of [{ more: 1 }, { '': null }, { more: link() }])
    expect(code({ ...value, ...more })).toBe('invalid_block')
}

test('a checkpoint with any field of a wrong kind, missing or unknown is refused', () => {
  const kinds = {
    dataset: 'text',
    identity: 'text',
    origins: 'texts',
    content: 'text',
    generation: 'map',
    settings: 'map',
    snapshot: 'link',
    recent_chain: 'link',
    since: 'weak',
    base: 'weak',
    recent_count: 'number',
    chain_first: 'number',
    next: 'number',
    next_ordinal: 'number',
    next_seq: 'number',
    total_count: 'number',
  }
  refusesOddFields(kinds, checkpoint, decodeCheckpoint)
  refusesOddFields(
    { number: 'number', tag: 'text' },
    checkpoint['generation'] as Value,
    decodeCheckpoint,
    (generation) => ({ ...checkpoint, generation }),
  )
  refusesOddFields(
    { content: 'text', chunk_size: 'number', chain_limit: 'number', deleted_ms: 'number' },
    checkpoint['settings'] as Value,
    decodeCheckpoint,
    (settings) => ({ ...checkpoint, settings }),
  )
  // Null stands for no chain and no base, but a snapshot there must be.
  expect(refusal(decodeCheckpoint, libraryBytes({ ...checkpoint, snapshot: null }))).toBe(
    'invalid_block',
  )
})

test('a checkpoint that no dataset can have is refused', () => {
  const most = 2 ** 52
  const fine: Value[] = [
    { since: null },
    { base: null },
    { origins: [] },
    { next: 1e6 },
    { generation: { number: most, tag: '' }, next: most, next_ordinal: most, next_seq: most },
    { identity: 'x'.repeat(512), origins: Array.from({ length: 1000 }, (_, n) => `b${n}`) },
    { content: 'index' },
    { content: 'tips' },
  ]
  for (const fields of fine)
    expect(refusal(decodeCheckpoint, libraryBytes({ ...checkpoint, ...fields }))).toBeUndefined()
  const wrongs: Value[] = [
    { recent_chain: null },
    { recent_count: 0 },
    { recent_chain: null, next: 300, total_count: 0 },
    { next: 319 },
    { chain_first: 301 },
    { chain_first: Number.MAX_SAFE_INTEGER },
    { recent_count: Number.MAX_SAFE_INTEGER, chain_first: Number.MAX_SAFE_INTEGER },
    // What goes on from such numbers would soon write one that cannot be read.
    { next: most + 1 },
    { next_ordinal: most + 1 },
    { next_seq: Number.MAX_SAFE_INTEGER },
    { generation: { number: Number.MAX_SAFE_INTEGER, tag: '' } },
    { generation: { number: 0, tag: '' } },
    { dataset: '' },
    { identity: '' },
    { identity: 'x'.repeat(513) },
    { identity: 'é'.repeat(257) },
    { origins: [''] },
    { origins: ['b', 'x'.repeat(513)] },
    { content: 'all' },
    { content: 'linked' },
  ]
  for (const wrong of wrongs) {
    const code = refusal(decodeCheckpoint, libraryBytes({ ...checkpoint, ...wrong }))
    expect([wrong, code]).toEqual([wrong, 'invalid_block'])
  }
  const chainless = { ...withoutChain, next: 299 }
  expect(refusal(decodeCheckpoint, libraryBytes(chainless))).toBe('invalid_block')
})

test('a checkpoint above the size of a block is refused', () => {
  const origins = (count: number): Buffer =>
    libraryBytes({ ...checkpoint, origins: Array.from({ length: count }, () => 'b'.repeat(510)) })
  expect(refusal(decodeCheckpoint, origins(2000))).toBeUndefined()
  expect(refusal(decodeCheckpoint, origins(2050))).toBe('invalid_block')
})

/** Whether `make` can do it, by the engine's own judgement of what a user asks for. */
function isMade(make: () => unknown): boolean {
  try {
    make()
    return true
  } catch (error) {
    expect(isCairnError(error, 'usage')).toBe(true)
    return false
  }
}

test('a checkpoint has a name and settings that a dataset can be made with, and no others', () => {
  const name = fc.oneof(
    fc.stringMatching(/^[a-z0-9_-]{0,70}$/),
    fc.string({ unit: 'grapheme', maxLength: 3 }),
    fc.constantFrom(
      'main\n',
      '../main',
      'Main',
      'a/b',
      '.',
      '\u0000',
      'a'.repeat(64),
      'a'.repeat(65),
    ),
  )
  const near = (...limits: readonly number[]): fc.Arbitrary<number> =>
    fc.oneof(
      fc.maxSafeNat(),
      fc.constantFrom(0, ...limits.flatMap((limit) => [limit - 1, limit, limit + 1])),
    )
  const asked = fc.record({
    dataset: name,
    content: fc.constantFrom('linked', 'external', 'copied', ''),
    chunkSize: near(1, 64, 10_000),
    chainLimit: near(1, 10_000, 10_000_000),
    deletedMs: fc.maxSafeNat(),
  })
  const takes = (fields: Value): boolean =>
    refusal(decodeCheckpoint, libraryBytes({ ...checkpoint, ...fields })) === undefined
  fc.assert(
    fc.property(asked, ({ dataset, content, chunkSize, chainLimit, deletedMs }) => {
      expect(takes({ dataset })).toBe(isMade(() => parseDatasetName(dataset)))
      for (const options of [
        { content, chunkSize, chainLimit, deletedMs },
        { content: 'linked', chunkSize, chainLimit: 1, deletedMs },
        { content: 'external', chunkSize: 64, chainLimit, deletedMs },
      ]) {
        const settings = {
          content: options.content,
          chunk_size: options.chunkSize,
          chain_limit: options.chainLimit,
          deleted_ms: deletedMs,
        }
        const possible = isMade(() => settingsOf(options as Parameters<typeof settingsOf>[0]))
        expect([settings, takes({ settings })]).toEqual([settings, possible])
      }
    }),
    { numRuns: 500 },
  )
})

test('a chain list with any field of a wrong kind, missing or unknown is refused', () => {
  const kinds = { level: 'number', links: 'list' }
  refusesOddFields(kinds, listValue(0, 3), decodeChainList)
  refusesOddFields(kinds, listValue(1, 3), decodeChainList)
  const [first, second] = listValue(0, 2)['links'] as CID[]
  for (const links of [null, first, 'text', {}, Buffer.from('links'), 7, true, [[first]]]) {
    expect(refusal(decodeChainList, libraryBytes({ ...listValue(0, 1), links }))).toBe(
      'invalid_block',
    )
  }
  for (const odd of [...(WRONG['link'] ?? []), null, second?.bytes]) {
    const links = [first, odd, second]
    expect(refusal(decodeChainList, libraryBytes({ ...listValue(0, 1), links }))).toBe(
      'invalid_block',
    )
  }
})

test('a chain list that is empty, too long or too high, or names a block twice, is refused', () => {
  const code = (value: Value): ErrorCode | undefined =>
    refusal(decodeChainList, libraryBytes(value))
  expect(code(listValue(0, 0))).toBe('invalid_block')
  expect(code(listValue(0, 1))).toBeUndefined()
  expect(code(listValue(0, 10_000))).toBeUndefined()
  expect(code(listValue(0, 10_001))).toBe('invalid_block')
  // One list alone needs no list of lists.
  expect(code(listValue(1, 0))).toBe('invalid_block')
  expect(code(listValue(1, 1))).toBe('invalid_block')
  expect(code(listValue(1, 10_000))).toBeUndefined()
  expect(code(listValue(1, 10_001))).toBe('invalid_block')
  for (const level of [2, 3, 4, 23, 255, Number.MAX_SAFE_INTEGER])
    expect(code(listValue(level, 2))).toBe('invalid_block')
  // A few lists that name each other over and over would be a walk without end.
  for (const level of [0, 1]) {
    const value = listValue(level, 5)
    const links = value['links'] as CID[]
    for (const doubled of [
      [...links, links[0]],
      [links[2], ...links],
      [links[1], links[1]],
    ])
      expect(code({ ...value, links: doubled })).toBe('invalid_block')
  }
})
