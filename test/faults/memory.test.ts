/** Every step of every operation, as the contract of backends has them, failing in every way. */
import { expect, test } from 'vitest'
import { effectsOfContract } from './contract.ts'
import { expectHarmless } from './expect.ts'
import { memoryGrounds } from './memory-ground.ts'

test('whatever step fails, and how, the store is as it was or as it should be', async () => {
  const { cases, steps } = await expectHarmless(await memoryGrounds(), { effects: true })
  expect(cases.length).toBeGreaterThan(400)
  // A call that is new in the contract must be a step of some operation. Offers are for nodes.
  const never = effectsOfContract().filter((name) => !steps.has(name))
  expect(never).toEqual(['sweep.offer'])
}, 180_000)
