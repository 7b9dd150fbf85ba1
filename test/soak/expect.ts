/** What the tests here have in common. */
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { builtDist } from '../helpers/built.ts'
import type { BackendName } from './ground.ts'
import { histogram } from './report.ts'
import { soak, type Outcome } from './run.ts'

/** At least one in so many seconds, or it was no test. */
const SECONDS_A_DEATH = 4

/** SOAK_SEED repeats the moments of a run, as far as the clock allows; SOAK_MS is another length. */
export async function expectNothingLost(backend: BackendName, usualMs: number): Promise<Outcome> {
  const ms = Number(process.env['SOAK_MS'] ?? usualMs)
  const seed = Number(process.env['SOAK_SEED'] ?? randomInt(2 ** 31))
  const worker = fileURLToPath(new URL('worker.mjs', import.meta.url))
  const atLeast = { deaths: Math.ceil(ms / 1000 / SECONDS_A_DEATH), acked: Math.ceil(ms / 1000) }
  const outcome = await soak({ dist: await builtDist(), worker }, { backend, ms, seed, atLeast })
  process.stderr.write(`seed ${seed}, ${outcome.rounds} rounds\n${histogram(outcome.deaths)}\n`)
  expect(outcome.problems.join('\n'), `seed ${seed}`).toBe('')
  expect(outcome.deaths.length).toBeGreaterThanOrEqual(atLeast.deaths)
  expect(outcome.acked).toBeGreaterThanOrEqual(atLeast.acked)
  return outcome
}
