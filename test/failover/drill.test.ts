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

const WAYS = [
  ['a store', false],
  ['a service', true],
] as const

for (const [round, [of, overHttp]] of Array.from({ length: ROUNDS }, () => WAYS)
  .flat()
  .entries()) {
  test(`a primary killed under load is replaced by ${of}, and rejoins; nothing acknowledged is lost (${round + 1})`, async () => {
    const name = `round${round}`
    const options = { box, name, seed: seed + round, clients, ms, overHttp }
    const { wrong, ...counts } = await drill(options)
    if (ROUNDS > 1) process.stdout.write(`${JSON.stringify(counts)}\n`)
    expect(wrong).toEqual([])
    expect(counts.acknowledged).toBeGreaterThan(10)
    // Each is there again, was there, or was told.
    expect(counts.alone).toBeGreaterThanOrEqual(3)
    expect(counts.appended).toBeGreaterThanOrEqual(1)
    expect(counts.appended + counts.conflicts).toBe(counts.alone)
  }, 120_000)
}
