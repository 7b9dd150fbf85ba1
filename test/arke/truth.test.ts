/** Which of all that the old data says of an entity is its true state. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ORIGINS, type Candidate } from '../../src/arke/candidate.ts'
import { Tally } from '../../src/arke/truth.ts'
import { rawCidOf } from '../../src/model/cid.ts'

const tipOf = (name: string): Uint8Array => rawCidOf(Buffer.from(name))

function truthOf(candidates: readonly Candidate[]): unknown {
  const tally = new Tally('a')
  for (const one of candidates) tally.add(one)
  return tally.finish(() => undefined).truth
}

function stated(ver: number, ts: number, tip: string): Candidate {
  return { origin: 'snapshot', ver, ts, tip: tipOf(tip), test: false }
}

test('a higher version wins, though its time is older', () => {
  const candidates = [stated(3, 10, 'x'), stated(2, 99, 'y'), stated(1, 50, 'z')]
  expect(truthOf(candidates)).toMatchObject({ ver: 3, ts: 10, tip: tipOf('x') })
})

test('of several versions of one tip the one that its manifest confirms counts', () => {
  const tally = new Tally('a')
  for (const ver of [4, 1]) tally.add(stated(ver, ver, 'x'))
  tally.add(stated(2, 2, 'y'))
  expect(tally.wanted).toEqual([tipOf('x')])
  const { truth, remarks } = tally.finish(() => ({ pi: 'a', ver: 1, ts: undefined }))
  expect(truth).toMatchObject({ ver: 2, tip: tipOf('y') })
  expect(remarks).toMatchObject([{ kind: 'version_differs' }])
})

test('the order of reading does not matter', () => {
  const candidate = fc.record<Candidate>({
    origin: fc.constantFrom(...ORIGINS),
    ver: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    ts: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
    tip: fc.option(fc.constantFrom(...['x', 'y', 'z'].map(tipOf)), { nil: undefined }),
    test: fc.boolean(),
  })
  const shuffled = fc
    .array(candidate, { maxLength: 8 })
    .chain((all) =>
      fc.tuple(
        fc.constant(all),
        fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }),
      ),
    )
  fc.assert(
    fc.property(shuffled, ([all, other]) => {
      expect(truthOf(other)).toEqual(truthOf(all))
    }),
  )
})
