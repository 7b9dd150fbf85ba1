/** Our base32 beside that of multiformats, which is right. */
import fc from 'fast-check'
import { base32 } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { parseUsualBase32, printBase32 } from '../../src/model/base32.ts'
import { parseCid, printCid } from '../../src/model/cid.ts'

const CHARS = 'abcdefghijklmnopqrstuvwxyz234567ABZ0189=-ÿ\u0161'

/** What a CID's text becomes, as bytes or as a failure, whoever reads it. */
function outcome(read: () => Uint8Array): string {
  try {
    return Buffer.from(read()).toString('hex')
  } catch {
    return 'refused'
  }
}

test('up to 40 bytes are printed as multiformats prints them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 44 }), (bytes) => {
      expect(printBase32(bytes)).toBe(bytes.length > 40 ? undefined : base32.encode(bytes))
    }),
  )
})

test('the usual CIDs are read back as they were printed', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.nat({ max: 127 }),
      (digest, codec) => {
        const cid = Uint8Array.of(1, codec, 0x12, 32, ...digest)
        const text = CID.decode(cid).toString()
        expect(parseUsualBase32(text)).toEqual(cid)
        expect(printCid(parseCid(text))).toBe(text)
      },
    ),
  )
})

test('a text with other letters in it is read as multiformats reads it, or refused as it refuses it', () => {
  const usual = CID.decode(Uint8Array.of(1, 0x71, 0x12, 32, ...Buffer.alloc(32, 7))).toString()
  const letters = fc.array(
    fc.tuple(fc.nat({ max: usual.length - 1 }), fc.constantFrom(...CHARS.split(''))),
    {
      minLength: 1,
      maxLength: 3,
    },
  )
  fc.assert(
    fc.property(letters, (changes) => {
      const chars = usual.split('')
      for (const [at, char] of changes) chars[at] = char
      const text = chars.join('')
      const fast = parseUsualBase32(text)
      if (fast !== undefined) expect(Buffer.from(fast)).toEqual(Buffer.from(base32.decode(text)))
      const theirs = outcome(() => CID.parse(text).bytes)
      const ours = outcome(() => parseCid(text))
      // Cairn takes fewer kinds of hashes than there are.
      expect([theirs, 'refused']).toContain(ours)
      if (fast !== undefined && theirs !== 'refused')
        expect(Buffer.from(fast).toString('hex')).toBe(theirs)
    }),
    { numRuns: 500 },
  )
})

test('bits beyond the last byte are refused: two texts would be one CID', () => {
  const usual = CID.decode(Uint8Array.of(1, 0x55, 0x12, 32, ...Buffer.alloc(32))).toString()
  expect(usual.endsWith('a')).toBe(true)
  expect(parseUsualBase32(`${usual.slice(0, -1)}b`)).toBeUndefined()
  expect(outcome(() => parseCid(`${usual.slice(0, -1)}b`))).toBe('refused')
})
