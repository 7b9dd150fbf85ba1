/** A bucket: some steps of the contract, and some requests, others each time. */
import { expect, test } from 'vitest'
import { expectHarmless, ofThisTest, SEED } from './expect.ts'
import { bucketGrounds } from './s3-ground.ts'

test('whatever step of the contract fails, and how, the store is as it was or as it should be', async () => {
  const grounds = ofThisTest(await bucketGrounds('contract'))
  await expectHarmless(grounds, { effects: true, sample: { count: 2, seed: SEED } })
  await expectHarmless(grounds, {
    operation: 'prune',
    effects: true,
    sample: { count: 1, seed: SEED },
  })
}, 180_000)

test('whatever request fails, and how, the same holds', async () => {
  const grounds = ofThisTest(await bucketGrounds('requests'))
  const { cases } = await expectHarmless(grounds, { sample: { count: 3, seed: SEED } })
  expect(cases.length).toBe(3)
}, 180_000)
