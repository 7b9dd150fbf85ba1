/** What the embedded store promises to several processes, and across their deaths. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { closeSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { isCairnError } from '../../src/errors.ts'
import { cidMatches, rawCidOf } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { builtDist } from '../helpers/built.ts'

const WORKER = fileURLToPath(new URL('lmdb-worker.mjs', import.meta.url))
const IS_ROOT_ON_LINUX = process.platform === 'linux' && process.getuid?.() === 0

let dist: string
let dir: string
let children: ChildProcess[]

beforeAll(async () => {
  dist = await builtDist()
}, 120_000)

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-lmdb-'))
  children = []
})

afterEach(async () => {
  for (const child of children) await stop(child)
  await rm(dir, { recursive: true })
})

interface Worker {
  readonly child: ChildProcess
  readonly lines: string[]
  /** Settles when it has said so many lines, or ended. */
  said(count: number): Promise<void>
  ended(): Promise<number | null>
}

function work(task: string, { arg = '', command = [], env = {} }: WorkOptions = {}): Worker {
  const [program, ...args] = [...command, process.execPath, WORKER, dist, task, dir, arg]
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  children.push(child)
  const lines: string[] = []
  const reader = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  const exited = once(child, 'close')
  return {
    child,
    lines,
    said: async (count) => {
      while (lines.length < count && child.exitCode === null && child.signalCode === null) {
        await Promise.race([once(reader, 'line'), exited])
      }
    },
    ended: async () => {
      await exited
      return child.exitCode
    },
  }
}

interface WorkOptions {
  readonly arg?: string
  readonly command?: readonly string[]
  readonly env?: Record<string, string>
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'close')
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'done',
    (error: unknown) => (isCairnError(error) ? error.code : String(error)),
  )
}

/** What the worker's `blockOf` makes. */
function blockCid(number: number, size = 3000): Uint8Array {
  const seed = createHash('sha256').update(String(number)).digest()
  const bytes = Buffer.alloc(size)
  for (let at = 0; at < size; at += seed.length) seed.copy(bytes, at)
  return rawCidOf(bytes)
}

async function expectCommitted(backend: Backend, numbers: readonly number[]): Promise<void> {
  const cids = numbers.map((number) => blockCid(number))
  const blocks = await backend.getBlocks(cids)
  for (const [i, number] of numbers.entries()) {
    expect(await backend.getCommit('main', number), `commit ${number}`).toBeDefined()
    const bytes = blocks[i]
    expect(bytes !== undefined && cidMatches(cids[i] ?? new Uint8Array(), bytes)).toBe(true)
  }
}

test('a process that opened, wrote and closed ends by itself and leaves no registration', async () => {
  const worker = work('once')
  expect(await worker.ended()).toBe(0)
  expect(worker.lines).toEqual(['0'])
  expect(await readdir(join(dir, 'processes'))).toEqual([])
})

test('a commit acknowledged in one process is seen by every later read of another', async () => {
  const acknowledged = join(dir, 'acknowledged')
  // Renamed, not written over: a reader would meet a mixture of two numbers.
  const acknowledge = (number: number): void => {
    writeFileSync(`${acknowledged}.new`, String(number))
    renameSync(`${acknowledged}.new`, acknowledged)
  }
  acknowledge(-1)
  const backend = await openLmdb({ dir, create: true })
  const worker = work('watch', { arg: acknowledged })
  await worker.said(1)
  for (let number = 0; number < 400; number++) {
    const bytes = new TextEncoder().encode(`commit ${number}`)
    expect(await backend.commit({ dataset: 'main', number, bytes, blocks: [] })).toBe('committed')
    acknowledge(number)
  }
  acknowledge(-2)
  expect(await worker.ended()).toBe(0)
  const report = JSON.parse(worker.lines[1] ?? '') as { behind: number; seen: number }
  expect(report.behind).toBe(0)
  expect(report.seen).toBeGreaterThan(20)
  await backend.close()
})

test('three processes that commit against each other get every number once', async () => {
  const workers = [1, 2, 3].map(() => work('race', { arg: '60' }))
  for (const worker of workers) expect(await worker.ended()).toBe(0)
  const numbers = workers.flatMap(({ lines }) => lines.map(Number)).toSorted((a, b) => a - b)
  expect(numbers).toEqual(Array.from({ length: 180 }, (_, i) => i))
  const backend = await openLmdb({ dir })
  await expectCommitted(backend, numbers)
  await backend.close()
})

test('every commit that was acknowledged survives the kill of its process', async () => {
  let acknowledged: number[] = []
  for (const commits of [5, 23, 60]) {
    const worker = work('commits')
    await worker.said(commits)
    await stop(worker.child)
    const said = worker.lines.map(Number)
    expect(said.length).toBeGreaterThanOrEqual(commits)
    acknowledged = [...acknowledged, ...said]
    const backend = await openLmdb({ dir })
    await expectCommitted(backend, acknowledged)
    const newest = (await backend.newest('main', -1))?.number ?? -1
    // At most the one commit that was under way is there without having been acknowledged.
    expect(newest - Math.max(...acknowledged)).toBeLessThanOrEqual(1)
    const bytes = new TextEncoder().encode('after the kill')
    const next = { dataset: 'main', number: newest + 1, bytes, blocks: [] }
    expect(await backend.commit(next)).toBe('committed')
    await backend.close()
  }
})

test('a process that keeps the lock makes writes late, not lost, and its death frees them', async () => {
  const backend = await openLmdb({ dir, create: true, writeTimeoutMs: 300 })
  const worker = work('lock')
  await worker.said(1)
  const bytes = new TextEncoder().encode('late')
  const late = { dataset: 'main', number: 0, bytes, blocks: [] }
  expect(await codeOf(backend.commit(late))).toBe('backend_timeout')
  expect(await backend.newest('main', -1)).toBeUndefined()
  await stop(worker.child)
  expect(await backend.commit({ ...late, bytes: new Uint8Array([1]) })).toBe('committed')
  expect(await backend.getCommit('main', 0)).toEqual(new Uint8Array([1]))
  await backend.close()
})

test('two openers at once in two processes both get the new store', async () => {
  const workers = [1, 2, 3, 4].map(() => work('race', { arg: '3' }))
  for (const worker of workers) expect(await worker.ended()).toBe(0)
  const numbers = workers.flatMap(({ lines }) => lines.map(Number)).toSorted((a, b) => a - b)
  expect(numbers).toEqual(Array.from({ length: 12 }, (_, i) => i))
})

async function openError(): Promise<string> {
  return await codeOf(
    openLmdb({ dir, create: true }).then(async (backend) => await backend.close()),
  )
}

test('a process of another PID namespace keeps this one out exactly as long as it lives', async () => {
  const worker = work('hold', { env: { FAKE_PID_NAMESPACE: '1234' } })
  await worker.said(1)
  expect(await openError()).toBe('busy')
  await stop(worker.child)
  expect(await openError()).toBe('done')
  expect(await readdir(join(dir, 'processes'))).toEqual([])
})

test('a process of another PID namespace that closes the store lets this one in', async () => {
  const worker = work('hold', { env: { FAKE_PID_NAMESPACE: '1234' } })
  await worker.said(1)
  expect(await openError()).toBe('busy')
  worker.child.stdin?.write('stop\n')
  expect(await worker.ended()).toBe(0)
  expect(await openError()).toBe('done')
})

test('processes of one PID namespace share the store', async () => {
  const worker = work('hold')
  await worker.said(1)
  expect(await openError()).toBe('done')
  expect((await readdir(join(dir, 'processes'))).length).toBe(1)
})

// Making a PID namespace takes root; what the guard does with one is tested without it above.
test.runIf(IS_ROOT_ON_LINUX)('a real PID namespace is told from this one', async () => {
  const command = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']
  const worker = work('hold', { command })
  await worker.said(1)
  expect(worker.lines).toEqual(['open'])
  expect(await openError()).toBe('busy')
  const backend = work('once')
  expect(await backend.ended()).toBe(1)
  expect(backend.lines).toEqual(['error busy'])
  await stop(worker.child)
  expect(await openError()).toBe('done')
})

/** What each process that opens a store does for a moment, where another commits meanwhile (newest-transaction.ts). */
function newestTransaction(): { read(): bigint; setBack(to: bigint): void } {
  const file = join(dir, 'lock.mdb')
  return {
    read: () => readFileSync(file).readBigUInt64LE(8),
    setBack: (to) => {
      const handle = openSync(file, 'r+')
      writeSync(handle, new BigUint64Array([to]), 0, 8, 8)
      closeSync(handle)
    },
  }
}

/** Does one step, and says what the worker said. */
async function step(worker: Worker, line: string): Promise<string | undefined> {
  const count = worker.lines.length + 1
  worker.child.stdin?.write(`${line}\n`)
  await worker.said(count)
  return worker.lines[count - 1]
}

test('a commit that was acknowledged is not overwritten where an opener set back which transaction is the newest', async () => {
  const [first, second] = [work('steps'), work('steps')]
  await Promise.all([first.said(1), second.said(1)])
  for (const writer of [first, second, first]) await step(writer, 'commit')
  const newest = newestTransaction()
  const before = newest.read()
  expect(await step(first, 'commit')).toBe('3')
  expect(newest.read()).toBe(before + 1n)
  newest.setBack(before)
  expect(await step(second, 'commit')).toBe('4')
  expect(newest.read()).toBe(before + 2n)
  newest.setBack(before)
  expect(await step(first, 'commit')).toBe('5')
  newest.setBack(before + 2n)
  expect(await step(first, 'read 5')).toBe('none')
  expect(await step(second, 'commit')).toBe('6')
  const backend = await openLmdb({ dir })
  const written = []
  for (let number = 0; number <= 6; number++)
    written.push(Buffer.from((await backend.getCommit('main', number)) ?? []).toString())
  const pids = [first, second, first, first, second, first, second].map(({ child }) => child.pid)
  expect(written).toEqual(pids.map((pid, number) => `steps-${pid} ${number}`))
  await backend.close()
})
