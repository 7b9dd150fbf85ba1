/** Deaths on a Kubo node, the node's own among them. */
import { test } from 'vitest'
import { expectNothingLost } from './expect.ts'

test('for 20 seconds, processes and nodes that are killed at random moments lose nothing acknowledged', async () => {
  await expectNothingLost('kubo', 20_000)
}, 180_000)
