/** Deaths on the embedded store. */
import { test } from 'vitest'
import { expectNothingLost } from './expect.ts'

test('for 20 seconds, processes that are killed at random moments lose nothing acknowledged', async () => {
  await expectNothingLost('lmdb', 20_000)
}, 120_000)
