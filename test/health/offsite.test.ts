/** Looks at copies are paid for, and a place that does not answer is waited for once. */
import { expect, test } from 'vitest'
import { CairnError } from '../../src/errors.ts'
import { rememberedOffsite } from '../../src/health/offsite.ts'
import type { OffsiteFacts } from '../../src/health/observation.ts'

const FACTS: OffsiteFacts = { place: 's3://b/p', backups: [] }
const { signal } = new AbortController()

test('what was seen holds for five minutes, trouble for half a minute, and of another place nothing', async () => {
  const clock = { now: 0 }
  const asked: string[] = []
  let trouble: CairnError | undefined
  const look = rememberedOffsite(
    () => clock.now,
    async (address) => {
      asked.push(address)
      if (trouble !== undefined) throw trouble
      return FACTS
    },
  )
  const at = (now: number, address = 's3://b/p'): Promise<OffsiteFacts> => {
    clock.now = now
    return look(address, signal)
  }
  expect(await at(0)).toBe(FACTS)
  expect(await at(299_999)).toBe(FACTS)
  expect(asked).toHaveLength(1)
  trouble = new CairnError('backend_unavailable', 'It is away.')
  await expect(at(300_000)).rejects.toBe(trouble)
  await expect(at(329_999)).rejects.toBe(trouble)
  expect(asked).toHaveLength(2)
  trouble = undefined
  expect(await at(330_000)).toBe(FACTS)
  expect(await at(330_001, 's3://other')).toBe(FACTS)
  // The clock was set back.
  expect(await at(1, 's3://other')).toBe(FACTS)
  expect(asked).toHaveLength(5)
})

test('a look that was given up is no abort for the next one', async () => {
  const look = rememberedOffsite(
    () => 0,
    async () => {
      throw new CairnError('aborted', 'The operation was aborted.')
    },
  )
  for (let i = 0; i < 2; i++) {
    await expect(look('s3://b/p?endpoint=http://x', signal)).rejects.toMatchObject({
      code: 'backend_timeout',
      message: 's3://b/p?endpoint=http://x did not answer in time.',
    })
  }
})
