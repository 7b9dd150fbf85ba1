/** Other processes on a store: started, listened to, killed; all of them gone when the test has finished. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import type { AppendEntry } from '../../src/engine/draft.ts'
import { builtDist } from './built.ts'
import { openTest } from './engine.ts'

const WORKER = fileURLToPath(new URL('../processes/worker.mjs', import.meta.url))

export interface Worker {
  readonly child: ChildProcess
  /** What it has said so far. */
  readonly said: Record<string, unknown>[]
  /** Settles when it has said that many things, or has ended. */
  hasSaid(count: number): Promise<void>
  /** Its exit code; null when it was killed. */
  ended(): Promise<number | null>
}

export async function startWorker(
  task: string,
  store: string,
  options: Record<string, unknown> = {},
  nodeArgs: readonly string[] = [],
): Promise<Worker> {
  const args = [...nodeArgs, WORKER, await builtDist(), task, store, JSON.stringify(options)]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const said: Record<string, unknown>[] = []
  const closed = once(child, 'close')
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await closed
  })
  let notify = (): void => {}
  createInterface({ input: child.stdout }).on('line', (line) => {
    said.push(JSON.parse(line) as Record<string, unknown>)
    notify()
  })
  return {
    child,
    said,
    hasSaid: async (count) => {
      while (said.length < count && child.exitCode === null && child.signalCode === null) {
        await Promise.race([new Promise<void>((resolve) => (notify = resolve)), closed])
      }
    },
    ended: async () => {
      await closed
      return child.exitCode
    },
  }
}

export interface Ack {
  readonly pi: string
  readonly ver: number
  readonly position: number
}

/** Every append that the worker says was acknowledged. */
export function acksOf({ said }: Worker): Ack[] {
  return said.flatMap(({ acks }) =>
    Array.isArray(acks)
      ? (acks as [string, number, number][]).map(([pi, ver, position]) => ({ pi, ver, position }))
      : [],
  )
}

/** What the worker's `entryOf` makes. */
export function workerEntry(name: string, n: number): AppendEntry {
  const pi = `${name}-${String(n).padStart(6, '0')}`
  const tip = Uint8Array.from([1, 0x55, 0x12, 32, ...createHash('sha256').update(pi).digest()])
  return { pi, ver: 1, tip, ts: 1_700_000_000_000 + n }
}

/** The root of a build from scratch, in memory, of entries that none of them replaces. */
export async function rootFromScratch(entries: readonly AppendEntry[]): Promise<Uint8Array> {
  const { dataset } = await openTest({ backend: openMemory(), init: { chainLimit: 100_000 } })
  await dataset.appendBatch(entries)
  const { root, entries: count } = await dataset.build()
  expect(count).toBe(entries.length)
  return root
}
