/**
 * The long run: seed after seed, for so many hours or seeds; stops at the first few failures, each made
 * smaller and printed with the command that plays it again. Ends with its sum and an exit code.
 */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { planOf, type Plan } from './plan.ts'
import { likeness, shrunk } from './shrink.ts'
import { simulate, type Played } from './simulate.ts'

const MOST_FAILURES = 5
const REPORT_MS = 60_000
const SEEDS = 2000

const { values: flags } = parseArgs({
  options: {
    hours: { type: 'string' },
    seeds: { type: 'string' },
    seed: { type: 'string' },
    plan: { type: 'string' },
  },
})

const first = Number(flags.seed ?? randomInt(2 ** 30))
const hours = flags.hours === undefined ? undefined : Number(flags.hours)
const count = Number(flags.seeds ?? (hours === undefined ? SEEDS : 2 ** 31))
if (!Number.isSafeInteger(first) || !(count >= 1) || !((hours ?? 1) > 0))
  throw new Error('usage: simulate [--hours N] [--seeds N] [--seed N] [--plan JSON]')

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const sums = { seeds: 0, turns: 0, commits: 0 }
const outcomes = new Map<string, number>()
const failures = new Set<string>()

function tally({ turns, commits, outcomes: of }: Played): void {
  sums.seeds += 1
  sums.turns += turns
  sums.commits += commits
  for (const [key, many] of of) outcomes.set(key, (outcomes.get(key) ?? 0) + many)
}

const sumUp = (): string =>
  `${sums.seeds} seeds, ${sums.turns} turns, ${sums.commits} commits, ${failures.size} kinds of failures`

async function fail(plan: Plan, { failure = '' }: Played): Promise<void> {
  if (failures.has(likeness(failure))) return say(`seed ${plan.seed}: the same`)
  failures.add(likeness(failure))
  say(`FAILED: seed ${plan.seed}: ${failure}`)
  say(`again:   npm run simulate -- --seed ${plan.seed} --seeds 1`)
  const small = await shrunk(plan, failure)
  say((await simulate(small)).tail.map((line) => `  ${line}`).join('\n'))
  say(`smaller: npm run simulate -- --plan '${JSON.stringify(small)}'`)
}

async function run(plan: Plan): Promise<void> {
  const played = await simulate(plan)
  tally(played)
  if (played.failure !== undefined) await fail(plan, played)
}

async function runAll(): Promise<void> {
  const until = hours === undefined ? Infinity : Date.now() + hours * 3_600_000
  let reported = Date.now()
  for (let seed = first; seed < first + count && Date.now() < until; seed++) {
    await run(planOf(seed))
    if (failures.size >= MOST_FAILURES) return
    if (Date.now() - reported < REPORT_MS) continue
    reported = Date.now()
    say(`at seed ${seed}: ${sumUp()}`)
  }
}

if (flags.plan === undefined) {
  say(`from seed ${first}`)
  await runAll()
} else {
  await run(JSON.parse(flags.plan) as Plan)
}
for (const [key, many] of outcomes) say(`  ${String(many).padStart(8)} ${key}`)
say(sumUp())
process.exitCode = failures.size === 0 ? 0 : 1
