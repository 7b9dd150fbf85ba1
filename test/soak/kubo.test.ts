/** Deaths on a Kubo node, the node's own among them. */
import { expect, test } from 'vitest'
import { expectNothingLost } from './expect.ts'

test('for 20 seconds, processes and nodes that are killed at random moments lose nothing acknowledged', async () => {
  const { deaths, acked } = await expectNothingLost('kubo', 20_000)
  expect(deaths.length).toBeGreaterThan(5)
  expect(acked).toBeGreaterThan(20)
}, 180_000)
