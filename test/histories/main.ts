/** The long run: histories of 20 seconds, one after another, each judged before the next begins. */
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Random } from '../helpers/random.ts'
import { builtChecker } from './checker.ts'
import type { BackendName } from './ground.ts'
import { runHistory } from './run.ts'

const HISTORY_MS = 20_000
const MOST_CLIENTS = 16

const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    clients: { type: 'string', default: '4' },
    backend: { type: 'string', default: 'all' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    worker: { type: 'string', default: '' },
  },
})

const minutes = Number(flags.minutes)
const clients = Number(flags.clients)
const seed = Number(flags.seed)
const given = flags.backend
const ALL: readonly BackendName[] = ['lmdb', 'kubo', 's3']
const backends = ALL.filter((name) => given === 'all' || given === name)
const whole = Number.isSafeInteger(clients) && clients >= 1 && clients <= MOST_CLIENTS
if (!(minutes > 0) || !whole || !Number.isSafeInteger(seed) || backends.length === 0)
  throw new Error(
    'usage: histories [--minutes N] [--clients N] [--backend lmdb|kubo|s3|all] [--seed N]',
  )

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const dist = fileURLToPath(new URL('../../src', import.meta.url))
const tools = { dist, worker: flags.worker, checker: await builtChecker() }
const until = performance.now() + minutes * 60_000
const sums = { histories: 0, kills: 0, lost: 0, muted: 0 }

/** Its problems. The first history of a run has the run's seed, so that it can be repeated alone. */
async function one(backend: BackendName, ownSeed: number): Promise<readonly string[]> {
  const plan = { backend, ms: HISTORY_MS, clients, seed: ownSeed }
  const { problems, kills, faults, summary } = await runHistory(tools, plan)
  const cut = backend !== 'lmdb' ? `, ${faults.lost} requests lost, ${faults.muted} answers` : ''
  say(`${backend}, seed ${ownSeed}: ${kills} clients killed${cut}; ${summary}`)
  sums.histories += 1
  sums.kills += kills
  sums.lost += faults.lost
  sums.muted += faults.muted
  return problems
}

say(
  `histories for ${minutes} minutes with ${clients} clients on ${backends.join(' and ')}, seed ${seed}`,
)
const random = new Random(seed)
let bad = false
for (let number = 0; !bad && (number === 0 || performance.now() < until); number++) {
  const ownSeed = number === 0 ? seed : random.int(0, 2 ** 31 - 1)
  for (const backend of backends) {
    const problems = await one(backend, ownSeed)
    if (problems.length === 0) continue
    bad = true
    for (const problem of problems) say(problem)
    say(
      `again: npm run histories -- --minutes 0.1 --clients ${clients} --backend ${backend} --seed ${ownSeed}`,
    )
  }
}
const { histories, kills, lost, muted } = sums
say(
  `${histories} histories, ${kills} clients killed, ${lost} requests and ${muted} answers lost: ${bad ? 'PROBLEMS' : 'all explained'}`,
)
process.exitCode = bad ? 1 : 0
