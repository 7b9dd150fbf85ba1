/** The long run: so many minutes of deaths, on one backend or half of them on each. */
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { BackendName } from './ground.ts'
import { histogram } from './report.ts'
import { soak } from './run.ts'

const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    backend: { type: 'string', default: 'both' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    worker: { type: 'string', default: '' },
  },
})

const minutes = Number(flags.minutes)
const seed = Number(flags.seed)
const given = flags.backend
const backends: BackendName[] =
  given === 'both' ? ['lmdb', 'kubo'] : given === 'lmdb' || given === 'kubo' ? [given] : []
if (!(minutes > 0) || !Number.isSafeInteger(seed) || backends.length === 0)
  throw new Error('usage: soak [--minutes N] [--backend lmdb|kubo|both] [--seed N]')

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const built = { dist: fileURLToPath(new URL('../../src', import.meta.url)), worker: flags.worker }

say(`a soak of ${minutes} minutes on ${backends.join(' and ')}, seed ${seed}`)
for (const backend of backends) {
  const ms = (minutes * 60_000) / backends.length
  const outcome = await soak(built, {
    backend,
    ms,
    seed,
    onRound: ({ deaths, acked }, number) =>
      say(`${backend} round ${number}: ${acked} acknowledged, ${deaths.length} killed`),
  })
  const { rounds, deaths, acked, lostNodes, problems } = outcome
  say(`\n${backend}\n${histogram(deaths)}`)
  if (lostNodes > 0) say(`${lostNodes} nodes did not start again ("error loading filesroot")`)
  for (const problem of problems) say(`PROBLEM: ${problem}`)
  say(
    `${backend}: ${rounds} rounds, ${deaths.length} kills, ${acked} acknowledged, ${problems.length} problems`,
  )
  if (problems.length === 0) continue
  say(`again: npm run soak -- --minutes ${minutes} --backend ${backend} --seed ${seed}`)
  process.exitCode = 1
}
