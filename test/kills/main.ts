/** The long run: so many kills, seven of ten on the embedded store; ends with its sum and an exit code. */
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { runKills, type Plan } from './plan.ts'
import { enoughInside, histogram, problemsOf, summary } from './report.ts'
import type { Killed } from './run.ts'

const OF_LMDB = 0.7

const { values: flags } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    backend: { type: 'string' },
    worker: { type: 'string', default: '' },
  },
})

const seed = Number(flags.seed)
const count = Number(flags.kills)
if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed))
  throw new Error('usage: kills [--kills N] [--seed N] [--backend lmdb|kubo]')

const built = { dist: fileURLToPath(new URL('../../src', import.meta.url)), worker: flags.worker }
const kills: Killed[] = []
const say = (text: string): void => void process.stdout.write(`${text}\n`)

/** One that fails ends its backend only: what was killed before counts. */
async function run(backend: Plan['backend'], some: number): Promise<string[]> {
  if (some === 0) return []
  try {
    const { lostNodes } = await runKills(built, {
      backend,
      kills: some,
      seed,
      onKill: (killed, number) => {
        kills.push(killed)
        const { operation, victim, step, problems } = killed
        say(`${backend} kill ${number}: ${operation}, ${victim} killed at: ${step}`)
        for (const problem of problems) say(`  PROBLEM: ${problem}`)
      },
    })
    if (lostNodes > 0) say(`${lostNodes} nodes did not start again ("error loading filesroot")`)
    return []
  } catch (error) {
    return [
      `${backend}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    ]
  }
}

const onLmdb =
  flags.backend === undefined ? Math.round(count * OF_LMDB) : flags.backend === 'lmdb' ? count : 0
say(`${count} kills, seed ${seed}`)
const failures = [...(await run('lmdb', onLmdb)), ...(await run('kubo', count - onLmdb))]
for (const failure of failures) say(`FAILED: ${failure}`)
say(histogram(kills))
say(summary(kills))
const good = failures.length === 0 && problemsOf(kills).length === 0 && enoughInside(kills)
process.exitCode = good ? 0 : 1
