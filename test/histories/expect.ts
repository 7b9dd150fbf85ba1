/** What the tests here have in common. */
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { builtDist } from '../helpers/built.ts'
import { builtChecker } from './checker.ts'
import type { BackendName } from './ground.ts'
import { runHistory, type Outcome } from './run.ts'

const CLIENTS = 4

/** At least one in so many seconds, or it was no test. */
const SECONDS_A_FAULT = 4

/** HISTORIES_SEED repeats what clients do, as far as the clock allows; HISTORIES_MS is another length. */
export async function expectExplained(backend: BackendName, usualMs: number): Promise<Outcome> {
  const ms = Number(process.env['HISTORIES_MS'] ?? usualMs)
  const seed = Number(process.env['HISTORIES_SEED'] ?? randomInt(2 ** 31))
  const worker = fileURLToPath(new URL('worker.mjs', import.meta.url))
  const tools = { dist: await builtDist(), worker, checker: await builtChecker() }
  const outcome = await runHistory(tools, { backend, ms, clients: CLIENTS, seed })
  process.stderr.write(`seed ${seed}: ${outcome.kills} kills; ${outcome.summary}\n`)
  expect(outcome.problems.join('\n'), `seed ${seed}`).toBe('')
  const least = ms / 1000 / SECONDS_A_FAULT
  expect(outcome.kills).toBeGreaterThan(least)
  if (backend !== 'lmdb') expect(outcome.faults.muted).toBeGreaterThan(least)
  return outcome
}
