/** Deaths on the embedded store. */
import { expect, test } from 'vitest'
import { expectNothingLost } from './expect.ts'

test('for 20 seconds, processes that are killed at random moments lose nothing acknowledged', async () => {
  const { deaths, acked } = await expectNothingLost('lmdb', 20_000)
  expect(deaths.length).toBeGreaterThan(5)
  expect(acked).toBeGreaterThan(20)
}, 120_000)
