/** The long run of the kill machine: so many deaths of a server with a session. */
import { randomInt } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { killMachine } from './kill-machine.ts'

const { values: flags } = parseArgs({
  options: {
    kills: { type: 'string', default: '500' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    server: { type: 'string', default: '' },
    bulk: { type: 'boolean', default: false },
  },
})
const [kills, seed] = [Number(flags.kills), Number(flags.seed)]
if (!(kills > 0) || !Number.isSafeInteger(seed))
  throw new Error('usage: kills:live [--kills N] [--seed N] [--bulk]')

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const base = await mkdtemp(join(tmpdir(), 'cairn-live-kills-'))
const dist = fileURLToPath(new URL('../../src', import.meta.url))
const place = { dist, server: flags.server, dir: join(base, 'data') }
say(`${kills} kills of a server with a session, seed ${seed}`)
const outcome = await killMachine(place, {
  kills,
  acked: kills * 100,
  seed,
  bulk: flags.bulk,
  onRound: (now) => {
    if (now.kills % 25 === 0 || kills < 50) say(`${now.kills} killed, ${now.acked} acknowledged`)
  },
})
const { startKills, acked, lost, longestMs, expired, problems } = outcome
for (const problem of problems) say(`PROBLEM: ${problem}`)
say(
  `${outcome.kills} kills (${startKills} while starting), ${acked} writes acknowledged, ${expired} expired; ` +
    `${lost} of durability interval lost, within ${longestMs.toFixed(0)} ms; ${problems.length} problems`,
)
if (problems.length > 0) {
  say(`what is left: ${base}`)
  say(`again: npm run kills:live -- --kills ${kills} --seed ${seed}`)
  process.exitCode = 1
} else await rm(base, { recursive: true })
