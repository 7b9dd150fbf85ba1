/** Texts that begin with U+FEFF, which the library's decoder leaves out. Invariant: what was written is read. */
import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dagCborValue } from '../../src/model/dag-cbor.ts'
import { collect, expectRefused, openTest } from '../helpers/engine.ts'
import { liveStore } from '../helpers/live.ts'

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom('\ufeff', 'a', '\u00e9', '\ud83d\ude00'), maxLength: 40 }),
)
const value = fc.letrec<{ any: unknown }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3 },
    text,
    fc.integer(),
    fc.uint8Array({ maxLength: 8 }),
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(text, tie('any'), { maxKeys: 4, noNullPrototype: true }),
  ),
})).any

test('what was written is read', () => {
  fc.assert(
    fc.property(value, (written) => {
      expect(dagCborValue(dagCbor.encode(written))).toEqual(written)
    }),
    { numRuns: 2000 },
  )
})

test('bytes that are no DAG-CBOR are refused as ever', () => {
  const mark = [0x63, 0xef, 0xbb, 0xbf]
  for (const bytes of [
    [0x82, ...mark],
    [...mark, 0],
    [0xa2, ...mark, 1, ...mark, 2],
    [0x9f, ...mark, 0xff],
  ])
    expect(() => dagCborValue(Uint8Array.from(bytes))).toThrow()
})

test('contents, and reasons, tags and metadata of snapshots, are what they were', async () => {
  const { dataset } = await openTest({ init: { content: 'linked' } })
  const { tip } = await dataset.put('x', { '\ufeffid': 1, id: '\ufeff' })
  const content = await dataset.content(tip)
  expect(content).toMatchObject({ kind: 'value', value: { '\ufeffid': 1, id: '\ufeff' } })
  await dataset.build({ reason: '\ufeffwhy', tags: ['\ufefftag'], meta: { '\ufeffk': '\ufeffv' } })
  const snapshots = await collect(dataset.snapshots())
  expect(snapshots).toContainEqual(
    expect.objectContaining({ reason: '\ufeffwhy', tags: ['\ufefftag'] }),
  )
  await expectRefused(dataset.append({ pi: 'x', tip, expectVer: 7 }), 'conflict')
})

test('a map whose values begin with it opens again', async () => {
  const store = liveStore()
  const first = store.open()
  const map = await first.map('m')
  await map.set('k', { '\ufeffid': 1, id: 2 })
  await map.replaceAll({ k: { '\ufeffid': 1, id: 2 }, l: '\ufeff' })
  expect(map.get('l')).toBe('\ufeff')
  await first.close()
  const second = store.open()
  const again = await second.map('m')
  expect([...again]).toEqual([
    ['k', { '\ufeffid': 1, id: 2 }],
    ['l', '\ufeff'],
  ])
  await second.close()
})
