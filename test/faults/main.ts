/** The long form: every step and every fault, or those that are named; ends with its sum and an exit code. */
import { parseArgs } from 'node:util'
import type { Case } from './cases.ts'
import type { Grounds } from './ground.ts'
import { kuboGrounds } from './kubo-ground.ts'
import { lmdbGrounds } from './lmdb-ground.ts'
import { memoryGrounds } from './memory-ground.ts'
import { OPERATIONS } from './operations.ts'
import { problemsOf, summary, tableOf } from './report.ts'
import { bucketGrounds } from './s3-ground.ts'
import { FAULTS, type Fault } from './steps.ts'
import { runTable } from './table.ts'

const GROUNDS: Readonly<Record<string, () => Promise<Grounds>>> = {
  memory: memoryGrounds,
  lmdb: () => lmdbGrounds('contract'),
  'lmdb transactions': () => lmdbGrounds('transactions'),
  kubo: () => kuboGrounds('contract'),
  'kubo requests': () => kuboGrounds('requests'),
  s3: () => bucketGrounds('contract'),
  's3 requests': () => bucketGrounds('requests'),
}

const { values: flags } = parseArgs({
  options: {
    backend: { type: 'string' },
    operation: { type: 'string' },
    step: { type: 'string' },
    fault: { type: 'string' },
    sample: { type: 'string' },
    seed: { type: 'string', default: '1' },
    effects: { type: 'boolean', default: false },
  },
})

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const numberOf = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Number(text)
const named = <T extends string>(
  what: string,
  value: string | undefined,
  among: readonly T[],
): T | undefined => {
  const found = among.find((one) => one === value)
  if (value !== undefined && found === undefined)
    throw new Error(`no ${what} "${value}"; there are: ${among.join(', ')}`)
  return found
}

const backend = named('backend', flags.backend, Object.keys(GROUNDS))
const operation = named(
  'operation',
  flags.operation,
  OPERATIONS.map(({ name }) => name),
)
const fault: Fault | undefined = named('fault', flags.fault, FAULTS)
const count = numberOf(flags.sample)
const sample = count === undefined ? undefined : { count, seed: Number(flags.seed) }
let failures = 0
for (const [name, open] of Object.entries(GROUNDS)) {
  if (backend !== undefined && backend !== name) continue
  const grounds = await open()
  const all: Case[] = []
  try {
    // A sample is of all operations; the whole table is shown as it grows.
    const some = sample === undefined ? OPERATIONS.map((one) => one.name) : [undefined]
    for (const one of operation === undefined ? some : [operation]) {
      const faults = fault === undefined ? undefined : [fault]
      const { effects, step } = flags
      const choice = { operation: one, step: numberOf(step), faults, effects, sample }
      const { cases } = await runTable(grounds, choice)
      all.push(...cases)
      say(tableOf(cases))
      const problems = problemsOf(name, cases)
      failures += problems.length
      for (const problem of problems) say(`PROBLEM: ${problem}`)
    }
    const seed = sample === undefined ? '' : `, seed ${sample.seed}`
    say(`${name}${seed}: ${summary(all)}`)
  } finally {
    await grounds.dispose()
  }
}
say(`${failures} problems`)
process.exitCode = failures === 0 ? 0 : 1
