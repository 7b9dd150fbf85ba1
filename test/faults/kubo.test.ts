/** A node: some steps of the contract, and some requests, others each time. */
import { expect, test } from 'vitest'
import { expectHarmless, ofThisTest, SEED } from './expect.ts'
import { kuboGrounds } from './kubo-ground.ts'

test('whatever step of the contract fails, and how, the store is as it was or as it should be', async () => {
  const grounds = ofThisTest(await kuboGrounds('contract'))
  await expectHarmless(grounds, { effects: true, sample: { count: 4, seed: SEED } })
  const pruning = { operation: 'prune', effects: true, sample: { count: 1, seed: SEED } }
  // The one call of the contract that no other store has a use for.
  expect((await expectHarmless(grounds, pruning)).steps).toContain('sweep.offer')
}, 180_000)

test('whatever request fails, and how, the same holds', async () => {
  const grounds = ofThisTest(await kuboGrounds('requests'))
  const { cases } = await expectHarmless(grounds, { sample: { count: 6, seed: SEED } })
  expect(cases.length).toBe(6)
}, 180_000)
