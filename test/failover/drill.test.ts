/** The fail-over drill, once and short; `npm run failover` makes it longer. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Sandbox } from '../cli/sandbox.ts'
import { drill } from './drill.ts'

const wanted = (name: string, fallback: number): number =>
  Number(process.env[`FAILOVER_${name}`] ?? fallback)
const ROUNDS = wanted('ROUNDS', 1)
const [seed, clients, ms] = [wanted('SEED', 1), wanted('CLIENTS', 6), wanted('MS', 1500)]

let box: Sandbox
beforeAll(async () => {
  box = await Sandbox.make()
}, 120_000)
afterAll(() => box.remove())

for (let round = 0; round < ROUNDS; round++) {
  test(`a primary killed under load is replaced, and rejoins; nothing acknowledged is lost (${round + 1})`, async () => {
    const name = `round${round}`
    const { wrong, ...counts } = await drill({ box, name, seed: seed + round, clients, ms })
    if (ROUNDS > 1) process.stdout.write(`${JSON.stringify(counts)}\n`)
    expect(wrong).toEqual([])
    expect(counts.acknowledged).toBeGreaterThan(10)
    // Each is there again, was there, or was told.
    expect(counts.alone).toBeGreaterThanOrEqual(3)
    expect(counts.appended).toBeGreaterThanOrEqual(1)
    expect(counts.appended + counts.conflicts).toBe(counts.alone)
  }, 120_000)
}
