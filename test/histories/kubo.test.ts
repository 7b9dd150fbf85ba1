/** Histories of clients on a Kubo node, between whom and the node requests and answers are lost. */
import { test } from 'vitest'
import { expectExplained } from './expect.ts'

test('for 20 seconds, what clients of 4 processes see through lost answers is one order of events', async () => {
  await expectExplained('kubo', 20_000)
}, 180_000)
