/** What comes from outside as an id, a version, a time or a CID. */
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { isCairnError, type CairnError } from '../../src/errors.ts'
import { cidMatches, cidParts, parseCid, printCid, rawCidOf } from '../../src/model/cid.ts'
import { idOfKey, keyOf, parseId, prefixEnd } from '../../src/model/entity-id.ts'
import {
  isExpired,
  parseTime,
  parseVersion,
  validateEntry,
  type Entry,
} from '../../src/model/entry.ts'
import { arbitraryEntry, arbitraryId, entry, tipOf } from '../helpers/entries.ts'
import { byId } from '../helpers/naive-tree.ts'

function refused(act: () => unknown): CairnError {
  try {
    act()
  } catch (error) {
    if (isCairnError(error, 'invalid_entry')) return error
    throw error
  }
  throw new Error('it was taken')
}

test('an id is 1 to 512 bytes of UTF-8, whatever they say', () => {
  for (const pi of [
    'a',
    'x'.repeat(512),
    'é'.repeat(256),
    '\u{1f600}'.repeat(128),
    '\u0000',
    '__proto__',
    ' ',
  ]) {
    expect(idOfKey(parseId(pi))).toBe(pi)
  }
  const wrongs = [
    '',
    'x'.repeat(513),
    'é'.repeat(257),
    '\u{1f600}'.repeat(129),
    '\ud800',
    'a\udc00',
    '\ude00\ud83d',
  ]
  for (const wrong of [...wrongs, null, undefined, 7, {}, [], ['a'], Buffer.from('a')]) {
    const error = refused(() => parseId(wrong))
    expect(error.hint).toContain('512')
  }
})

test('keys sort as the UTF-8 bytes of their ids do, and lead back to them', () => {
  const ids = fc.uniqueArray(fc.oneof(arbitraryId, fc.string({ unit: 'binary', minLength: 1 })), {
    maxLength: 30,
  })
  fc.assert(
    fc.property(ids, (some) => {
      const whole = some.filter((pi) => pi.isWellFormed())
      expect(whole.map((pi) => idOfKey(keyOf(pi)))).toEqual(whole)
      for (const pi of whole) expect(keyOf(pi)).toHaveLength(Buffer.byteLength(pi))
      const byKeys = whole.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
      expect(byKeys).toEqual(
        whole
          .map((pi) => ({ pi }))
          .sort(byId)
          .map(({ pi }) => pi),
      )
    }),
  )
})

test('the end of a prefix is the first key behind all that begin with it', () => {
  const key = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((n) => String.fromCharCode(n)),
    maxLength: 6,
  })
  fc.assert(
    fc.property(key, key, (prefix, other) => {
      const end = prefixEnd(prefix)
      const inside = other >= prefix && (end === undefined || other < end)
      expect(inside).toBe(other.startsWith(prefix))
      expect(end === undefined || prefix + other < end).toBe(true)
    }),
    { numRuns: 1000 },
  )
  expect(prefixEnd('a\u00ff\u00ff')).toBe('b')
  expect([prefixEnd(''), prefixEnd('\u00ff')]).toEqual([undefined, undefined])
})

test('a version is a positive safe integer', () => {
  expect([1, 2 ** 53 - 1].map(parseVersion)).toEqual([1, 2 ** 53 - 1])
  for (const wrong of [0, -1, 1.5, 2 ** 53, NaN, Infinity, '1', null, undefined, 1n, [1], {}]) {
    expect(refused(() => parseVersion(wrong)).message).toContain('version')
  }
})

test('a time is a whole number of milliseconds, not negative', () => {
  expect([0, 1, 2 ** 53 - 1].map((ms) => parseTime(ms, 'ts'))).toEqual([0, 1, 2 ** 53 - 1])
  for (const wrong of [-1, 0.5, 2 ** 53, NaN, Infinity, '2026', null, undefined, 1n, new Date()]) {
    expect(refused(() => parseTime(wrong, 'ts')).message).toContain('ts')
  }
})

test('any valid entry passes, and an entry with one wrong field does not', () => {
  fc.assert(fc.property(arbitraryEntry, (one) => validateEntry(one)))
  const wrongs = [{ pi: '' }, { ver: 0 }, { ts: -1 }, { ts: NaN }, { exp: -1 }, { exp: 0.5 }]
  const tips = [new Uint8Array(0), tipOf('a').slice(1), new Uint8Array(41).fill(1)].map((tip) => ({
    tip,
  }))
  for (const wrong of [...wrongs, ...tips]) {
    refused(() => validateEntry({ ...entry('a'), ...wrong } satisfies Entry))
  }
})

test('an entry counts until the moment of its expiry, and no longer from then on', () => {
  expect([
    isExpired(null, 5),
    isExpired(6, 5),
    isExpired(5, 5),
    isExpired(4, 5),
    isExpired(0, 0),
  ]).toEqual([false, false, true, true, true])
})

const dagPb = CID.createV0(CID.decode(tipOf('x')).multihash as never)

test('a CID is read from its usual texts, and printed in its own', () => {
  const v1 = CID.decode(tipOf('content'))
  const v0 = dagPb.toString()
  for (const text of [v1.toString(), v0]) expect(printCid(parseCid(text))).toBe(text)
  const identity = CID.decode(Uint8Array.from([1, 0x55, 0, 2, 0x68, 0x69]))
  expect(printCid(parseCid(identity.toString()))).toBe(identity.toString())
})

test('what is no CID, or one with another hash, is refused, and at once', () => {
  const started = performance.now()
  const v1 = CID.decode(tipOf('content')).toString()
  const sha512 = CID.decode(Uint8Array.from([1, 0x55, 0x13, 64, ...new Uint8Array(64)])).toString()
  const blake3 = CID.decode(Uint8Array.from([1, 0x55, 0x1e, 32, ...new Uint8Array(32)])).toString()
  const short = CID.decode(Uint8Array.from([1, 0x55, 0x12, 20, ...new Uint8Array(20)])).toString()
  const long = CID.decode(Uint8Array.from([1, 0x55, 0, 40, ...new Uint8Array(40)])).toString()
  const texts = [
    '',
    'b',
    'bafy',
    'Qm',
    v1.slice(0, -1),
    `${v1}a`,
    `/ipfs/${v1}`,
    ` ${v1}`,
    v1.toUpperCase(),
    '\u0000',
  ]
  for (const wrong of [...texts, 'Q'.repeat(100_000), sha512, blake3, short, long]) {
    const { message } = refused(() => parseCid(wrong))
    expect(message.length).toBeLessThan(300)
  }
  expect(performance.now() - started).toBeLessThan(1000)
})

test('any bytes are a CID that Cairn takes, or refused: and what it takes, the library takes', () => {
  const prefix = fc.constantFrom(
    [1, 0x55, 0x12, 32],
    [1, 0x55, 0],
    [0x12, 32],
    [1, 0xa9, 2, 0x12, 32],
    [1],
    [],
  )
  fc.assert(
    fc.property(prefix, fc.uint8Array({ maxLength: 45 }), (head, tail) => {
      const bytes = Uint8Array.from([...head, ...tail])
      try {
        const { codec, digest } = cidParts(bytes)
        const cid = CID.decode(bytes)
        expect([cid.code, cid.multihash.digest]).toEqual([codec, digest])
        expect(printCid(bytes)).toBe(cid.toString())
      } catch (error) {
        expect(isCairnError(error, 'invalid_entry')).toBe(true)
      }
    }),
    { numRuns: 5000 },
  )
})

test('bytes are held to their CID', () => {
  const bytes = Buffer.from('some content')
  const cid = rawCidOf(bytes)
  expect(cidMatches(cid, bytes)).toBe(true)
  expect(cidMatches(cid.slice(2), bytes)).toBe(true)
  expect(cidMatches(cid, Buffer.from('other content'))).toBe(false)
  expect(cidMatches(cid, Buffer.alloc(0))).toBe(false)
  const identity = Uint8Array.from([1, 0x55, 0, 12, ...bytes])
  expect(cidMatches(identity, bytes)).toBe(true)
  expect(cidMatches(identity, Buffer.from('some contenT'))).toBe(false)
})
