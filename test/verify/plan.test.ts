import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cborBlock } from '../../src/model/cid.ts'
import { chainPart, leafPart, POINTER, spinePart, type Part } from '../../src/verify/part.ts'
import { coverageOf, plannedParts } from '../../src/verify/plan.ts'
import { Random } from '../helpers/random.ts'

const cid = (i: number): Uint8Array => cborBlock(Uint8Array.of(i & 255, i >> 8)).cid
const leaves = (count: number): Part[] => Array.from({ length: count }, (_, i) => leafPart(cid(i)))

test('a budget takes what was never proved first, then the oldest', () => {
  const parts = [POINTER, spinePart(cid(900)), ...leaves(5), chainPart(cid(901), 10, null)]
  const at = new Map<string, number>(
    leaves(5).map(({ id }, i) => [id, [50, 30, 40, 30, 60][i] ?? 0]),
  )
  const order = plannedParts(
    { kind: 'budget', ms: 1 },
    parts,
    (id) => at.get(id) ?? null,
    Math.random,
  )
  const numbers = order.map(({ id }) => at.get(id) ?? 'never')
  expect(numbers).toEqual(['never', 30, 30, 40, 50, 60])
})

test('a sample has its share of the parts, each as likely as any other', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.double({ min: 0.001, max: 1, noNaN: true }),
      (count, fraction) => {
        const some = plannedParts(
          { kind: 'sample', fraction },
          leaves(count),
          () => null,
          Math.random,
        )
        expect(some.length).toBe(Math.ceil(count * fraction))
        expect(new Set(some.map(({ id }) => id)).size).toBe(some.length)
      },
    ),
  )
  const seeded = new Random(7)
  const random = (): number => seeded.next()
  const all = leaves(10)
  const counts = all.map(() => 0)
  for (let i = 0; i < 3000; i++) {
    for (const one of plannedParts({ kind: 'sample', fraction: 0.3 }, all, () => null, random))
      counts[all.indexOf(one)] = (counts[all.indexOf(one)] ?? 0) + 1
  }
  for (const count of counts) expect(Math.abs(count - 900)).toBeLessThan(120)
})

test('coverage says within what time how much was proved', () => {
  const at = new Map([
    ['a', 90],
    ['b', 50],
    ['c', 10],
    ['d', 100],
  ])
  const of = (ids: string[]): unknown => coverageOf(ids, (id) => at.get(id) ?? null, 100)
  expect(of(['a', 'b', 'c', 'd'])).toEqual({
    parts: 4,
    never: 0,
    halfWithinMs: 10,
    mostWithinMs: 90,
    allWithinMs: 90,
  })
  expect(of(['a', 'new'])).toMatchObject({ never: 1, halfWithinMs: 10, allWithinMs: null })
  expect(of(['new'])).toMatchObject({ never: 1, halfWithinMs: null })
})
