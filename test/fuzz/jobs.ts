/** Workers: started, listened to, and blamed for what they died of. */
import { fork } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Finding } from './bounds.ts'
import type { FuzzReport } from './fuzz.ts'

export interface Job {
  readonly task: 'fuzz' | 'distil' | 'replay'
  readonly targets: readonly string[]
  readonly seed: number
  /** For each target. */
  readonly ms: number
  /** Whether to begin with what earlier runs collected, too. */
  readonly cache: boolean
  /** Of a replay, as hex. */
  readonly input?: string
  readonly blackBox: string
}

export type Told =
  | { readonly is: 'beat' }
  | { readonly is: 'begin'; readonly target: string }
  | ({ readonly is: 'finding'; readonly input: string } & Omit<Finding, 'input'>)
  | ({ readonly is: 'report'; readonly fresh: readonly string[] } & Omit<FuzzReport, 'fresh'>)

export interface Listener {
  onReport(report: FuzzReport): void
  onFinding(finding: Finding): void
}

const WORKER = fileURLToPath(new URL('worker.js', import.meta.url))
const HEAP_MB = 256
/** A worker that says nothing for so long hangs. */
const SILENCE_MS = 30_000

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))

/** Runs a job to its end: a worker that dies is replaced for the targets that are left. */
export async function runJob(job: Omit<Job, 'blackBox'>, listener: Listener): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cairn-fuzz-jobs-'))
  const blackBox = join(folder, 'black-box')
  try {
    for (let left = job.targets; left.length > 0;) {
      const died = await once({ ...job, targets: left, blackBox }, listener)
      if (died === undefined) return
      left = left.slice(left.indexOf(died) + 1)
      for (const finding of await blame(job, died, blackBox)) listener.onFinding(finding)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Answers the target at which the worker died, or was killed because it hung. */
function once(job: Job, listener: Listener): Promise<string | undefined> {
  return new Promise((resolve) => {
    const worker = fork(WORKER, [JSON.stringify(job)], {
      execArgv: [`--max-old-space-size=${HEAP_MB}`],
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    })
    let target = job.targets[0] ?? ''
    let last = ''
    let ended = false
    worker.stderr?.on('data', (text: Buffer) => (last = (last + text.toString()).slice(-4000)))
    let silence = setTimeout(() => worker.kill('SIGKILL'), SILENCE_MS)
    worker.on('message', (told: Told) => {
      clearTimeout(silence)
      silence = setTimeout(() => worker.kill('SIGKILL'), SILENCE_MS)
      if (told.is === 'begin') target = told.target
      if (told.is === 'finding') listener.onFinding({ ...told, input: bytesOf(told.input) })
      if (told.is === 'report') listener.onReport({ ...told, fresh: told.fresh.map(bytesOf) })
    })
    worker.on('disconnect', () => (ended = true))
    worker.on('close', (code) => {
      clearTimeout(silence)
      if (code !== 0) process.stderr.write(last)
      resolve(code === 0 && ended ? undefined : target)
    })
  })
}

/** Each input of the last batch in a process of its own; if none kills it, all of them are handed over. */
async function blame(
  job: Omit<Job, 'blackBox'>,
  target: string,
  blackBox: string,
): Promise<Finding[]> {
  const inputs = lastBatch(blackBox)
  const findings: Finding[] = []
  const message = 'the process died, or hung'
  for (const input of job.task === 'replay' ? [] : inputs) {
    const hex = Buffer.from(input).toString('hex')
    const one: Job = {
      ...job,
      task: 'replay',
      targets: [target],
      input: hex,
      blackBox: `${blackBox}-one`,
    }
    const quiet: Listener = { onReport: () => {}, onFinding: () => {} }
    if ((await once(one, quiet)) !== undefined)
      findings.push({ target, kind: 'died', message, input })
  }
  if (findings.length > 0) return findings
  const input = inputs.at(-1) ?? new Uint8Array(0)
  return [{ target, kind: 'died', message: `${message}, and does not do so again`, input }]
}

function lastBatch(blackBox: string): Uint8Array[] {
  const text = readFileSync(blackBox, 'utf8')
  const length = Number(text.slice(0, 12))
  return text
    .slice(13, 13 + length)
    .trimEnd()
    .split('\n')
    .map(bytesOf)
}
