/** Addresses: any id goes in and comes out again. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hrefTo, parseRoute } from '../../web/src/app/router.ts'

const id = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 })
const name = fc.stringMatching(/^[a-z0-9_-]{1,64}$/)

test('what an address was made of is read from it', () => {
  fc.assert(
    fc.property(
      name,
      name,
      fc.array(id, { maxLength: 3 }),
      fc.dictionary(name, id, { maxKeys: 3 }),
      (dataset, view, args, query) => {
        const href = hrefTo({ dataset, view, args, query })
        expect(parseRoute(href)).toEqual({ dataset, view, args, query: { ...query } })
        // A browser resolves it without changing it.
        expect(new URL(href, 'http://localhost/').hash).toBe(href)
      },
    ),
  )
})

test.each([
  ['', { dataset: undefined, view: 'safety', args: [], query: {} }],
  ['#/', { dataset: undefined, view: 'safety', args: [], query: {} }],
  ['#/main', { dataset: 'main', view: 'safety', args: [], query: {} }],
  ['#/~/car', { dataset: undefined, view: 'car', args: [], query: {} }],
  ['#/main/entities/%E0%A4', { dataset: 'main', view: 'entities', args: ['%E0%A4'], query: {} }],
  [
    '#/main/entities/a%2Fb?x=1',
    { dataset: 'main', view: 'entities', args: ['a/b'], query: { x: '1' } },
  ],
])('%s', (hash, route) => {
  expect(parseRoute(hash)).toEqual(route)
})
