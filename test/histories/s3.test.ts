/** Histories of clients on a bucket, on the way to which requests and answers are lost, cut, and late. */
import { test } from 'vitest'
import { expectExplained } from './expect.ts'

test('for 15 seconds, what clients of 4 processes see through lost answers is one order of events', async () => {
  await expectExplained('s3', 15_000)
}, 180_000)
