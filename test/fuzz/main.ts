/**
 * The long run: each target in turn for its part of the time, until that is over; ends with what was
 * run, and with exit code 1 if anything was found.
 */
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Finding } from './bounds.ts'
import { CACHE, FOUND, KEPT, replaceAll, save } from './corpus.ts'
import type { FuzzReport } from './fuzz.ts'
import { runJob } from './jobs.ts'
import { targetsNamed } from './targets.ts'

const USAGE = `usage: fuzz [--hours N | --minutes N | --seconds N] [--target NAME,NAME] [--seed N] [--found DIR]
       fuzz --target NAME --replay FILE
       fuzz --distil [--target NAME,NAME]     writes fixtures/fuzz anew from all that was collected`

const { values: flags } = parseArgs({
  options: {
    hours: { type: 'string', default: '0' },
    minutes: { type: 'string', default: '0' },
    seconds: { type: 'string', default: '0' },
    target: { type: 'string' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    found: { type: 'string', default: FOUND },
    replay: { type: 'string' },
    distil: { type: 'boolean', default: false },
    fresh: { type: 'boolean', default: false },
  },
})

const seed = Number(flags.seed)
const totalMs =
  (Number(flags.hours) * 3600 + Number(flags.minutes) * 60 + Number(flags.seconds)) * 1000
const single = flags.distil || flags.replay !== undefined
if (!Number.isSafeInteger(seed) || !(totalMs > 0 || single)) throw new Error(USAGE)

const names = targetsNamed(flags.target).map(({ name }) => name)
const say = (text: string): void => void process.stdout.write(`${text}\n`)
const findings: Finding[] = []
const sums = new Map<string, { runs: number; corpus: number; fresh: number }>()

function onFinding(finding: Finding): void {
  findings.push(finding)
  const { target, kind, message, input } = finding
  const path = flags.replay ?? save(flags.found, input, `${target}-`)
  say(`FOUND ${target}, ${kind}: ${message}`)
  say(`  ${input.length} bytes: ${Buffer.from(input.subarray(0, 200)).toString('base64')}`)
  say(`  again: node scripts/fuzz.mjs --target ${target} --replay ${path}`)
}

function onReport({ target, runs, corpus, fresh }: FuzzReport): void {
  const sum = sums.get(target) ?? { runs: 0, corpus: 0, fresh: 0 }
  sums.set(target, { runs: sum.runs + runs, corpus, fresh: sum.fresh + fresh.length })
  if (flags.distil) replaceAll(join(KEPT, target), fresh)
  else for (const input of fresh) save(join(CACHE, target), input)
}

/** Short turns first: a night is of many, so that each target begins with what the last turn found. */
const TURN_MS = 60_000

async function fuzzAll(): Promise<void> {
  say(`fuzzing ${names.length} targets, seed ${seed}`)
  const begun = performance.now()
  for (let turn = 0; ; turn++) {
    const left = totalMs - (performance.now() - begun)
    if (left < 500 && turn > 0) return
    const ms = Math.min(TURN_MS, Math.max(50, left / names.length))
    await runJob(
      { task: 'fuzz', targets: names, seed: seed + turn, ms, cache: !flags.fresh },
      { onFinding, onReport },
    )
    if (findings.length > 0 && totalMs <= TURN_MS) return
    if (left < TURN_MS * names.length) return
  }
}

if (flags.replay !== undefined) {
  const input = readFileSync(flags.replay).toString('hex')
  await runJob(
    { task: 'replay', targets: names, seed, ms: 0, cache: false, input },
    { onFinding, onReport },
  )
  say(findings.length === 0 ? 'nothing is wrong' : 'found again')
} else if (flags.distil) {
  await runJob(
    { task: 'distil', targets: names, seed, ms: 0, cache: true },
    { onFinding, onReport },
  )
} else await fuzzAll()

for (const [name, { runs, corpus, fresh }] of sums)
  say(
    `${name.padEnd(16)} ${String(runs).padStart(9)} runs, ${String(corpus).padStart(5)} inputs, ${fresh} new`,
  )
const total = [...sums.values()].reduce((sum, { runs }) => sum + runs, 0)
say(`${total} inputs were run, ${findings.length} findings`)
const silent = flags.replay === undefined ? names.filter((name) => !sums.has(name)) : []
const unheard = silent.filter((name) => !findings.some(({ target }) => target === name))
for (const name of unheard) say(`FAILED: ${name} did not report`)
process.exitCode = findings.length + unheard.length === 0 ? 0 : 1
