/** Other processes on a store: started, listened to, killed; all of them gone when the test has finished. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { openCairn } from '../../src/compose.ts'
import type { AppendEntry } from '../../src/engine/draft.ts'
import { builtDist } from './built.ts'
import { collect, openTest } from './engine.ts'

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
function workerEntry(name: string, n: number): AppendEntry {
  const pi = `${name}-${String(n).padStart(6, '0')}`
  const tip = Uint8Array.from([1, 0x55, 0x12, 32, ...createHash('sha256').update(pi).digest()])
  return { pi, ver: 1, tip, ts: 1_700_000_000_000 + n }
}

/** The root of a build from scratch, in memory, of entries that none of them replaces. */
async function rootFromScratch(entries: readonly AppendEntry[]): Promise<Uint8Array> {
  const { dataset } = await openTest({ backend: openMemory(), init: { chainLimit: 100_000 } })
  await dataset.appendBatch(entries)
  const { root, entries: count } = await dataset.build()
  expect(count).toBe(entries.length)
  return root
}

export interface Race {
  readonly store: string
  readonly names: readonly string[]
  /** Entries that each process appends, in batches of 20. */
  readonly each: number
  /** Snapshots that are built meanwhile, at least. */
  readonly builds: number
}

/**
 * Several processes append while another builds all the time. Afterwards every entry is there, the
 * acknowledged positions are a range without gaps, and the root is that of a build from scratch.
 */
export async function expectRaceLosesNothing({
  store,
  names,
  each,
  builds,
}: Race): Promise<readonly Worker[]> {
  const builder = await startWorker('build', store)
  await builder.hasSaid(1)
  const writers = await Promise.all(
    names.map((name) => startWorker('append', store, { name, count: each, batch: 20 })),
  )
  for (const writer of writers)
    expect(await writer.ended(), JSON.stringify(writer.said.at(-1))).toBe(0)
  builder.child.stdin?.end()
  expect(await builder.ended(), JSON.stringify(builder.said.at(-1))).toBe(0)
  expect(builder.said.at(-1)?.['built']).toBeGreaterThanOrEqual(builds)

  const positions = writers.flatMap((writer) => acksOf(writer).map(({ position }) => position))
  const every = Array.from({ length: names.length * each }, (_, i) => i)
  expect(positions.toSorted((a, b) => a - b)).toEqual(every)

  const cairn = await openCairn(store)
  const dataset = await cairn.dataset()
  const { root, entries } = await dataset.build()
  expect(entries).toBe(names.length * each)
  const expected = names.flatMap((name) =>
    Array.from({ length: each }, (_, n) => workerEntry(name, n)),
  )
  expect(Buffer.compare(root, await rootFromScratch(expected))).toBe(0)
  const ids = (await collect(dataset.entries())).map(({ pi }) => pi)
  expect(ids).toEqual(expected.map(({ pi }) => pi).toSorted())
  await cairn.close()
  return writers
}
