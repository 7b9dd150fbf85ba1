/** Histories of clients on the embedded store. */
import { expect, test } from 'vitest'
import { expectExplained } from './expect.ts'

test('for 20 seconds, what clients of 4 processes see while they are killed is one order of events', async () => {
  const { kills } = await expectExplained('lmdb', 20_000)
  expect(kills).toBeGreaterThan(5)
}, 120_000)
