import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isCairnError } from '../../src/errors.ts'
import { parseCursor, printCursor } from '../../src/model/cursor.ts'
import { keyOf } from '../../src/model/entity-id.ts'
import { arbitraryId } from '../helpers/entries.ts'

function whyRefused(text: string, dataset: string, descending: boolean): string {
  try {
    parseCursor(text, dataset, descending)
  } catch (error) {
    if (isCairnError(error, 'invalid_cursor')) return error.message
    throw error
  }
  throw new Error('it was taken')
}

test('a cursor comes back as it was made, as a text that fits into a URL', () => {
  fc.assert(
    fc.property(arbitraryId.map(keyOf), fc.string(), fc.boolean(), (after, dataset, descending) => {
      const text = printCursor({ dataset, descending, after })
      expect(text).toMatch(/^[\w-]+$/)
      expect(parseCursor(text, dataset, descending)).toEqual({ dataset, descending, after })
    }),
  )
})

test('a cursor of another dataset or direction is refused, and says so', () => {
  const text = printCursor({ dataset: 'one', descending: true, after: 'x' })
  expect(whyRefused(text, 'two', true)).toContain('another dataset')
  expect(whyRefused(text, 'one', false)).toContain('other direction')
})

test('a cursor with any bit changed, cut or extended is refused', () => {
  const text = printCursor({ dataset: 'one', descending: false, after: keyOf('an id, é') })
  const bytes = Buffer.from(text, 'base64url')
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ (1 << bit)
      whyRefused(changed.toString('base64url'), 'one', false)
    }
    whyRefused(bytes.subarray(0, at).toString('base64url'), 'one', false)
    whyRefused(text.slice(0, at), 'one', false)
  }
  for (const odd of [
    `${text}A`,
    `${text}=`,
    ` ${text}`,
    `${text}\n`,
    `${text}!`,
    `${text.slice(0, 5)}+${text.slice(6)}`,
  ]) {
    whyRefused(odd, 'one', false)
  }
})

test('anything else is refused, whatever its length', () => {
  fc.assert(fc.property(fc.string(), (text) => whyRefused(text, 'one', false).length > 0))
  fc.assert(fc.property(fc.base64String(), (text) => whyRefused(text, 'one', false).length > 0))
  for (const text of ['', 'A', 'AAAA', 'A'.repeat(1_000_000)]) whyRefused(text, 'one', false)
  const long = printCursor({ dataset: 'one', descending: false, after: 'x'.repeat(513) })
  expect(whyRefused(long, 'one', false)).toContain('not one')
  const empty = printCursor({ dataset: 'one', descending: false, after: '' })
  expect(whyRefused(empty, 'one', false)).toContain('not one')
})
