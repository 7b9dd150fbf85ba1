/** Every step of every operation, as the contract of backends has them, each failing in one of its ways. */
import { beforeAll, expect, test } from 'vitest'
import { undisturbed } from './cases.ts'
import { effectsOfContract } from './contract.ts'
import { expectHarmless, ROTATED } from './expect.ts'
import type { Grounds } from './ground.ts'
import { memoryGrounds } from './memory-ground.ts'
import { OPERATIONS } from './operations.ts'
import type { Choice } from './table.ts'

let grounds: Grounds

beforeAll(async () => {
  grounds = await memoryGrounds()
})

test.each(OPERATIONS.map(({ name }) => name))(
  '%s: whatever step fails, the store is as it was or as it should be',
  async (operation) => {
    const { cases } = await expectHarmless(grounds, { operation, effects: true, ...ROTATED })
    expect(cases.length).toBeGreaterThan(0)
  },
  180_000,
)

/** Whatever the seed. */
const FOUND: readonly Choice[] = [
  { operation: 'put a file', step: 'staging.end' },
  { operation: 'restore a delta', step: 'lease.release' },
]

test.each(FOUND)('what was found once: $operation', async (choice) => {
  const { cases } = await expectHarmless(grounds, choice)
  expect(cases.length).toBeGreaterThan(0)
})

test('a call that is new in the contract must be a step of some operation', async () => {
  const steps = new Set<string>()
  for (const operation of OPERATIONS) {
    const { steps: some } = await undisturbed(grounds, operation, { watched: false })
    for (const { name } of some) steps.add(name)
  }
  const never = effectsOfContract().filter((name) => !steps.has(name))
  // Offers are for nodes.
  expect(never).toEqual(['sweep.offer'])
})
