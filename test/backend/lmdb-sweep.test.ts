/** Sweeping in the embedded store: leases and their ends, the death of a process, and a storm of all at once. */
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { Marks } from '../../src/backend/marks.ts'
import { isAlive, startOf } from '../../src/backend/lmdb/process-life.ts'
import { openLmdbFiles } from '../../src/backend/lmdb/tables.ts'
import { isCairnError } from '../../src/errors.ts'
import { cborCidOf, rawCidOf } from '../../src/model/cid.ts'
import type { Backend, CommitRequest, HeldBlock } from '../../src/store/backend.ts'
import { builtDist } from '../helpers/built.ts'
import { block, expectError, stageAll } from '../conformance/material.ts'
import { numberedBlocks, runChild, startChild } from './sweep-children.ts'

const HOUR_MS = 3_600_000

let dir: string
let opened: Backend[] = []
/** What the clock of this process says beyond the true time. */
let ahead = 0

beforeAll(async () => {
  await builtDist()
}, 120_000)

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-lmdb-'))
  ahead = 0
})

afterEach(async () => {
  vi.useRealTimers()
  for (const backend of opened.splice(0)) await backend.close()
  await rm(dir, { recursive: true })
})

async function open(onBackgroundError: (error: unknown) => void = () => {}): Promise<Backend> {
  const now = (): number => Date.now() + ahead
  const backend = await openLmdb({ dir, create: true, now, onBackgroundError })
  opened.push(backend)
  return backend
}

function request(number: number, more: Partial<CommitRequest> = {}): CommitRequest {
  const bytes = new TextEncoder().encode(`commit ${number}`)
  return { dataset: 'main', number, bytes, blocks: [], ...more }
}

const cidsOf = (blocks: readonly HeldBlock[]): Uint8Array[] => blocks.map(({ cid }) => cid)

async function countThere(backend: Backend, blocks: readonly HeldBlock[]): Promise<number> {
  return (await backend.hasBlocks(cidsOf(blocks))).filter(Boolean).length
}

async function sweepKeeping(backend: Backend, keep: readonly HeldBlock[]): Promise<number> {
  const sweep = await backend.sweep({ waitMs: 0 })
  await sweep.mark(keep.map(({ cid }) => ({ cid, hold: 'self' })))
  const { blocks } = await sweep.free()
  await sweep.end()
  return blocks
}

/** Entries of a table, as the closed store has them. */
async function entriesOf(...names: string[]): Promise<number[]> {
  for (const backend of opened.splice(0)) await backend.close()
  const env = openLmdbFiles(dir)
  const counts = names.map((name) => {
    const table = env.openDB({ name, encoding: 'binary', keyEncoding: 'binary' })
    return (table.getStats() as { entryCount: number }).entryCount
  })
  await env.close()
  return counts
}

// --- Leases -----------------------------------------------------------------------------------------

test('a staging that was not renewed for an hour is void: what it wrote may go, and so may not its commit', async () => {
  const [backend, made] = [await open(), block(50)]
  const staging = await backend.stage('main', 'a build')
  await staging.put([made])
  await staging.flush()
  ahead = HOUR_MS - 60_000
  await expectError(backend.sweep({ waitMs: 0 }), 'busy')
  ahead = HOUR_MS + 60_000
  expect(await sweepKeeping(backend, [])).toBe(1)
  const error: unknown = await backend.commit(request(0, { staging })).catch((e: unknown) => e)
  expect(isCairnError(error, 'conflict') && error.hint).toMatch(/^Begin again/)
  expect(await backend.newest('main', -1)).toBeUndefined()
  await staging.end('dropped')
})

test('a staging that lives is renewed, for days', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const backend = await open()
  const staging = await backend.stage('main', 'a build')
  const lease = await backend.lease('an export')
  await staging.flush()
  for (let hour = 0; hour < 48; hour++) {
    ahead += HOUR_MS / 2
    vi.advanceTimersByTime(HOUR_MS / 2)
    await backend.commit(request(hour)) // by then the renewals are written
    expect(await backend.leases()).toEqual(['an export'])
  }
  await expectError(backend.sweep({ waitMs: 0 }), 'busy')
  await staging.end('committed')
  await lease.release()
  expect(vi.getTimerCount()).toBe(0)
})

test('a renewal that fails is told, and the next may succeed', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const errors: unknown[] = []
  const backend = await open((error) => void errors.push(error))
  const lease = await backend.lease('an export')
  ahead += HOUR_MS / 2
  await rename(dir, `${dir}-away`)
  vi.advanceTimersByTime(HOUR_MS / 12)
  await vi.waitFor(() => expect(errors).toHaveLength(1))
  expect(isCairnError(errors[0], 'store_changed')).toBe(true)
  await rename(`${dir}-away`, dir)
  vi.advanceTimersByTime(HOUR_MS / 12)
  await backend.commit(request(0)) // by then the renewal is written
  ahead += 0.75 * HOUR_MS
  expect(await backend.leases()).toEqual(['an export'])
  await lease.release()
  expect(errors).toHaveLength(1)
})

test('a lease that a sweep found void is not renewed to life again', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const backend = await open()
  const staging = await backend.stage('main', 'a build')
  await staging.flush()
  ahead = 2 * HOUR_MS
  await sweepKeeping(backend, [])
  vi.advanceTimersByTime(HOUR_MS)
  await expectError(backend.commit(request(0, { staging })), 'conflict')
})

test('a commit with a staging that has ended, or is not of this store, is refused', async () => {
  const backend = await open()
  const staging = await backend.stage('main', 'a build')
  await staging.end('dropped')
  await expectError(backend.commit(request(0, { staging })), 'conflict')
  const nothing = async (): Promise<void> => undefined
  const foreign = { put: nothing, flush: nothing, end: nothing }
  await expectError(backend.commit(request(0, { staging: foreign })), 'usage')
  expect(await backend.newest('main', -1)).toBeUndefined()
})

test('a process is told from a later one of the same number, and from none', () => {
  expect(isAlive(process.pid, startOf(process.pid))).toBe(true)
  expect(isAlive(process.pid, '')).toBe(true)
  expect(isAlive(2 ** 22 + 1, '')).toBe(false)
  if (startOf(process.pid) !== '') expect(isAlive(process.pid, '1')).toBe(false)
})

test('the leases of a process end with it, however it ends', async () => {
  const backend = await open()
  for (const end of ['kill', 'stop'] as const) {
    const child = await startChild('hold', dir)
    await child.said(1)
    expect(await backend.leases()).toEqual(['of a process'])
    await expectError(backend.sweep({ waitMs: 0 }), 'busy')
    await child[end]()
    expect(await backend.leases()).toEqual([])
    expect(await sweepKeeping(backend, [])).toBe(1)
  }
})

test('a sweep that waits for a staging goes on when its process is killed', async () => {
  const backend = await open()
  const child = await startChild('hold', dir)
  await child.said(1)
  const sweeping = backend.sweep({ waitMs: 20_000 })
  await sleep(100)
  await child.kill()
  await (await sweeping).end()
})

test('the sweep of a process that was killed is nobody’s', async () => {
  const backend = await open()
  const child = await startChild('hold', dir, 'sweep')
  await child.said(1)
  await expectError(backend.sweep({ waitMs: 0 }), 'busy')
  await child.kill()
  await (await backend.sweep({ waitMs: 0 })).end()
})

test('a sweep whose lease was taken for void frees nothing any more', async () => {
  const [backend, garbage] = [await open(), numberedBlocks(10)]
  await stageAll(backend, garbage)
  const late = await backend.sweep({ waitMs: 0 })
  ahead = 2 * HOUR_MS
  const other = await backend.sweep({ waitMs: 0 })
  await expectError(late.free(), 'conflict')
  await late.end()
  expect(await countThere(backend, garbage)).toBe(10)
  expect((await other.free()).blocks).toBe(10)
  await other.end()
})

test('a read with `rely` sees a sweep that another process began within the same turn', async () => {
  const [backend, blocks, dist] = [await open(), numberedBlocks(10), await builtDist()]
  await stageAll(backend, blocks)
  expect(await countThere(backend, blocks)).toBe(10) // lmdb goes on looking at this moment
  runChild(dist, 'hold', dir, 'sweep')
  const there = await backend.hasBlocks(cidsOf(blocks), { rely: true })
  expect(there).toEqual(blocks.map(() => true))
  expect(await entriesOf('touched')).toEqual([10])
})

// --- Marks and tables -------------------------------------------------------------------------------

test('marks hold for any number and every codec by itself', () => {
  const marks = new Marks()
  const [raw, cbor] = [rawCidOf(new Uint8Array(1)), cborCidOf(new Uint8Array(1))]
  const numbers = [0, 1, 2, 8191, 8192, 100_001, 12_345_678]
  for (const number of numbers) {
    expect(marks.has(number)).toBe(false)
    expect([marks.add(number, raw), marks.add(number, raw)]).toEqual([true, false])
    expect([marks.add(number, cbor), marks.add(number, raw)]).toEqual([true, false])
    expect(marks.has(number)).toBe(true)
  }
  for (const number of [3, 8190, 8193, 100_000, 12_345_679]) expect(marks.has(number)).toBe(false)
})

test('a sweep leaves no trace but what it kept', async () => {
  const [backend, blocks] = [await open(), numberedBlocks(3000)]
  await stageAll(backend, blocks)
  const kept = blocks.filter((_, i) => i % 3 === 0)
  const sweep = await backend.sweep({ waitMs: 0 })
  await backend.hasBlocks(cidsOf(blocks.slice(0, 100)), { rely: true })
  await sweep.mark(kept.map(({ cid }) => ({ cid, hold: 'self' })))
  const { blocks: freed } = await sweep.free()
  await sweep.end()
  const left = 1000 + 66
  expect(freed).toBe(3000 - left)
  expect(await entriesOf('blocks', 'digests', 'touched', 'leases')).toEqual([left, left, 0, 0])
})

// --- Deaths -----------------------------------------------------------------------------------------

const COUNT = 12_000

test('a process killed while it frees has freed garbage only, and the next sweep does the rest', async () => {
  let backend = await open()
  const blocks = numberedBlocks(COUNT)
  await stageAll(backend, blocks)
  const kept = blocks.filter((_, n) => n % 2 === 0)
  for (const lines of [1, 1, 2]) {
    const child = await startChild('free', dir, `${COUNT} 2`)
    await child.said(lines)
    await sleep(Math.random() * 40)
    await child.kill()
    expect(await countThere(backend, kept)).toBe(kept.length)
  }
  await sweepKeeping(backend, kept)
  expect(await countThere(backend, blocks)).toBe(kept.length)
  const counts = await entriesOf('blocks', 'digests', 'touched', 'leases')
  expect(counts).toEqual([kept.length, kept.length, 0, 0])
  backend = await open()
  expect(await countThere(backend, kept)).toBe(kept.length)
})

test('a process killed while it forgets leaves a range without gaps', async () => {
  const backend = await open()
  const count = 5_000
  const work: Promise<unknown>[] = []
  for (let number = 0; number < count; number++) work.push(backend.commit(request(number)))
  await Promise.all(work)
  let oldest = 0
  for (let round = 0; round < 2 && oldest < count - 2; round++) {
    const child = await startChild('forget', dir, String(count))
    await child.said(1)
    await sleep(round * 3)
    await child.kill()
    oldest = (await backend.oldest('main')) ?? -1
    expect(await backend.getCommit('main', oldest - 1)).toBeUndefined()
    for (let number = oldest; number < count; number += 97) {
      expect(await backend.getCommit('main', number)).toEqual(request(number).bytes)
    }
  }
  await backend.forget('main', count)
  expect(await backend.oldest('main')).toBe(count - 2)
  expect(await entriesOf('commits')).toEqual([2])
})

// --- All at once ------------------------------------------------------------------------------------

const STORM_MS = Number(process.env['SWEEP_STORM_MS'] ?? 2500)

test(
  'writers and sweepers that are killed now and then lose nothing that a kept commit names',
  async () => {
    const writers = await Promise.all([1, 2, 3].map(async () => await startChild('write', dir)))
    let sweeper = await startChild('sweep', dir)
    const deadline = performance.now() + STORM_MS
    const figures = { commits: 0, sweeps: 0, freed: 0, killed: 0 }
    const count = ({ lines }: { lines: string[] }): void => {
      expect(lines.filter((line) => line.startsWith('error'))).toEqual([])
      const freed = lines.map(Number)
      figures.sweeps += freed.length
      for (const blocks of freed) figures.freed += blocks
    }
    while (performance.now() < deadline) {
      await sleep(150 + Math.random() * 600)
      if (Math.random() < 0.6) {
        await sweeper.kill()
        count(sweeper)
        sweeper = await startChild('sweep', dir)
      } else {
        const [victim] = writers.splice(0, 1)
        await victim?.kill()
        figures.commits += victim?.lines.length ?? 0
        expect(victim?.lines.filter((line) => line.startsWith('error'))).toEqual([])
        writers.push(await startChild('write', dir))
      }
      figures.killed++
    }
    for (const writer of writers) {
      expect(await writer.stop(), writer.lines.at(-1)).toBe(0)
      figures.commits += writer.lines.length
    }
    expect(await sweeper.stop(), sweeper.lines.at(-1)).toBe(0)
    count(sweeper)
    if (process.env['SWEEP_STORM_MS'] !== undefined)
      process.stderr.write(`${JSON.stringify(figures)}\n`)
    expect(figures.commits).toBeGreaterThan(100)
    expect(figures.freed).toBeGreaterThan(100)
  },
  STORM_MS + 20_000,
)
