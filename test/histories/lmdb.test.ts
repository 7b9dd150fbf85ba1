/** Histories of clients on the embedded store. */
import { test } from 'vitest'
import { expectExplained } from './expect.ts'

test('for 20 seconds, what clients of 4 processes see while they are killed is one order of events', async () => {
  await expectExplained('lmdb', 20_000)
}, 120_000)
