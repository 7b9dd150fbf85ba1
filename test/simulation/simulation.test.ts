/**
 * Simulations, quick form: some thousand seeds, each a small world of its own. `npm run simulate` runs for
 * hours, and prints for a seed that fails what led there.
 */
import { expect, test } from 'vitest'
import { FOUND } from './found.ts'
import { planOf } from './plan.ts'
import { shrunk } from './shrink.ts'
import { simulate } from './simulate.ts'

const FROM = Number(process.env['SIMULATE_SEED'] ?? 1)
const SEEDS = Number(process.env['SIMULATE_SEEDS'] ?? 2000)
const TWICE = 25
const LIMIT_MS = 600_000

test(
  'whatever comes between, no promise is broken',
  async () => {
    for (let seed = FROM; seed < FROM + SEEDS; seed++) {
      const plan = planOf(seed)
      const { failure } = await simulate(plan)
      if (failure === undefined) continue
      const small = await shrunk(plan, failure)
      const { tail } = await simulate(small)
      expect.fail(
        `seed ${seed}: ${failure}\n${tail.join('\n')}\n` +
          `npm run simulate -- --plan '${JSON.stringify(small)}'`,
      )
    }
  },
  LIMIT_MS,
)

test('a seed is the same world each time', async () => {
  const digests = new Set<string>()
  for (let seed = FROM; seed < FROM + TWICE; seed++) {
    const [one, two] = [await simulate(planOf(seed)), await simulate(planOf(seed))]
    expect(two.digest, `seed ${seed}`).toBe(one.digest)
    expect(two.turns).toBe(one.turns)
    digests.add(one.digest)
  }
  expect(digests.size).toBe(TWICE)
})

test('what was found once is not found again', async () => {
  for (const { what, plan } of FOUND) expect((await simulate(plan)).failure, what).toBeUndefined()
})
