/** What the tests here have in common. */
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { builtDist } from '../helpers/built.ts'
import { runKills, type Outcome, type Plan } from './plan.ts'
import { histogram, problemsOf, summary } from './report.ts'
import { isInside } from './run.ts'

/** KILLS_SEED repeats a run, as far as the clock allows; KILLS_ONLY names the one operation that is killed. */
export async function expectKillsHarmless(
  backend: Plan['backend'],
  count: number,
): Promise<Outcome> {
  const seed = Number(process.env['KILLS_SEED'] ?? randomInt(2 ** 31))
  const worker = fileURLToPath(new URL('worker.mjs', import.meta.url))
  const outcome = await runKills(
    { dist: await builtDist(), worker },
    { backend, kills: count, seed, only: process.env['KILLS_ONLY'] },
  )
  const { kills } = outcome
  process.stderr.write(`seed ${seed}\n${histogram(kills)}\n`)
  expect(problemsOf(kills), `seed ${seed}`).toEqual([])
  expect(kills.filter(isInside).length, `${summary(kills)}, seed ${seed}`).toBe(count)
  return outcome
}
