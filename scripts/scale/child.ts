/**
 * Processes of worker.ts, and what each took: its anonymous memory, sampled from outside, so that no loop of its own
 * hides a peak; and the requests that it sent over HTTP.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Requests } from './requests.ts'

const WORKER = fileURLToPath(new URL('worker.js', import.meta.url))
const SAMPLE_MS = 10

export interface Ran {
  /** What its last line says, as JSON. */
  readonly said: Record<string, unknown>
  readonly seconds: number
  readonly peakMb: number
  readonly requests: Requests
}

/** Runs a task to its end. A failure of the task is an error here. */
export async function runChild(task: string, ...args: readonly string[]): Promise<Ran> {
  const began = performance.now()
  const child = spawn(process.execPath, [WORKER, task, ...args], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
  })
  const counted = text(child.stdio[3] as Readable)
  let output = ''
  child.stdout?.on('data', (part: Buffer) => (output += part.toString()))
  let peakMb = 0
  const watch = setInterval(() => {
    peakMb = Math.max(peakMb, anonymousMb(child.pid ?? 0))
  }, SAMPLE_MS)
  try {
    await once(child, 'close')
  } finally {
    clearInterval(watch)
  }
  if (child.exitCode !== 0)
    throw new Error(`${task} ${args.join(' ')} ended with ${child.exitCode}`)
  const seconds = (performance.now() - began) / 1000
  const last = output.trim().split('\n').at(-1) ?? ''
  const requests = JSON.parse(await counted) as Requests
  return { said: JSON.parse(last) as Record<string, unknown>, seconds, peakMb, requests }
}

/** 0 for a process that has ended. */
function anonymousMb(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}
