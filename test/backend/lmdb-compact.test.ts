/** Compacting the embedded store: that it shrinks, that nothing is lost, and who may be there meanwhile. */
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { ownPidNamespace, register } from '../../src/backend/lmdb/namespace.ts'
import type { Backend, CommitRequest, HeldBlock } from '../../src/store/backend.ts'
import { block, expectError, printed, readAll, stageAll } from '../conformance/material.ts'
import { builtDist } from '../helpers/built.ts'
import { numberedBlocks, startChild } from './sweep-children.ts'

const IS_ROOT_ON_LINUX = process.platform === 'linux' && process.getuid?.() === 0

let dir: string
let opened: Backend[] = []

beforeAll(async () => {
  await builtDist()
}, 120_000)

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-lmdb-'))
})

afterEach(async () => {
  await closeAll()
  await rm(dir, { recursive: true })
})

async function open(): Promise<Backend> {
  const backend = await openLmdb({ dir, create: true })
  opened.push(backend)
  return backend
}

async function closeAll(): Promise<void> {
  for (const backend of opened.splice(0)) await backend.close()
}

function request(number: number, more: Partial<CommitRequest> = {}): CommitRequest {
  const bytes = new TextEncoder().encode(`commit ${number}`)
  return { dataset: 'main', number, bytes, blocks: [], ...more }
}

async function sweepKeeping(backend: Backend, keep: readonly HeldBlock[]): Promise<void> {
  const sweep = await backend.sweep({ waitMs: 0 })
  await sweep.mark(keep.map(({ cid }) => ({ cid, hold: 'self' })))
  await sweep.free()
  await sweep.end()
}

/** From next to nothing to what lmdb keeps on many pages. */
const manySizes = (count: number): HeldBlock[] =>
  Array.from({ length: count }, (_, i) => block([10, 300, 4000, 70_000, 400_000][i % 5] ?? 0))

const sizeOf = async (): Promise<number> => (await stat(join(dir, 'data.mdb'))).size

test('the file shrinks to what is needed, keeps its mode, and leaves nothing beside it', async () => {
  const backend = await open()
  const [kept, garbage] = [manySizes(25), manySizes(100)]
  await stageAll(backend, [...garbage.slice(50), ...kept, ...garbage.slice(0, 50)])
  await backend.commit(request(0))
  await chmod(join(dir, 'data.mdb'), 0o640)
  await sweepKeeping(backend, kept)
  const before = await sizeOf()
  const needed = kept.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const sizes = await backend.compact()
  expect(sizes).toEqual({ before, after: await sizeOf() })
  expect(sizes.after).toBeLessThan(needed * 1.2 + 200_000)
  expect(sizes.before).toBeGreaterThan(sizes.after ?? 0)
  expect((await stat(join(dir, 'data.mdb'))).mode & 0o777).toBe(0o640)
  expect((await readdir(dir)).toSorted()).toEqual(['data.mdb', 'lock.mdb', 'processes'])
  expect((await readdir(join(dir, 'processes'))).length).toBe(1)
  expect(await readAll(backend, kept)).toEqual(printed(kept))
  await closeAll()
  const again = await open()
  expect(await readAll(again, kept)).toEqual(printed(kept))
  expect(await again.commit(request(1))).toBe('committed')
})

test('while this process compacts, its own openings read and write on and lose nothing', async () => {
  const [backend, other] = [await open(), await open()]
  const blocks = manySizes(15)
  await stageAll(backend, blocks)
  let done = false
  const acknowledged: HeldBlock[] = []
  const write = async (): Promise<void> => {
    for (let number = 0; !done; number++) {
      const fresh = block(3000)
      expect(await other.commit(request(number, { blocks: [fresh] }))).toBe('committed')
      acknowledged.push(fresh)
    }
  }
  const stage = async (): Promise<void> => {
    while (!done) {
      const fresh = manySizes(4)
      await stageAll(backend, fresh)
      acknowledged.push(...fresh)
    }
  }
  const read = async (): Promise<void> => {
    const expected = printed(blocks)
    while (!done) {
      expect(await readAll(other, blocks)).toEqual(expected)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const work = [write(), stage(), read()]
  for (let round = 0; round < 3; round++) {
    await backend.compact()
    await sleep(20)
    const joined = await open()
    expect(await readAll(joined, blocks)).toEqual(printed(blocks))
    await joined.close()
  }
  done = true
  await Promise.all(work)
  expect(await readAll(backend, acknowledged)).toEqual(printed(acknowledged))
  await closeAll()
  expect(await readAll(await open(), acknowledged)).toEqual(printed(acknowledged))
})

test('a sweep and a staging outlive a compaction', async () => {
  const backend = await open()
  const [kept, garbage, staged] = [manySizes(10), manySizes(10), manySizes(5)]
  await stageAll(backend, [...kept, ...garbage])
  const sweep = await backend.sweep({ waitMs: 0 })
  await sweep.mark(kept.slice(0, 5).map(({ cid }) => ({ cid, hold: 'self' })))
  const staging = await backend.stage('main', 'a build')
  await staging.put(staged.slice(0, 2))
  await Promise.all([backend.compact(), backend.compact().catch(() => undefined)])
  await staging.put(staged.slice(2))
  await staging.flush()
  await sweep.mark(kept.slice(5).map(({ cid }) => ({ cid, hold: 'self' })))
  expect((await sweep.free()).blocks).toBe(garbage.length)
  await sweep.end()
  expect(await backend.commit(request(0, { staging }))).toBe('committed')
  await staging.end('committed')
  expect(await readAll(backend, [...kept, ...staged])).toEqual(printed([...kept, ...staged]))
})

test('a store that another process has open is not compacted, until that has gone', async () => {
  const backend = await open()
  for (const end of ['stop', 'kill'] as const) {
    const child = await startChild('hold', dir)
    await child.said(1)
    await expectError(backend.compact(), 'busy')
    await child[end]()
    await backend.compact()
  }
})

test('a process that opens the store while it is compacted is sent away', async () => {
  const namespace = await ownPidNamespace()
  if (namespace === undefined) return
  const registration = await register(dir, namespace)
  const claim = await registration.claim()
  const early = await startChild('once', dir)
  await early.said(1)
  expect(early.lines).toEqual(['error busy'])
  await claim.release()
  const late = await startChild('once', dir)
  await late.said(1)
  expect(late.lines).toEqual(['0'])
  await late.stop()
  await registration.release()
})

test('processes that compact, open and commit at the same time lose nothing', async () => {
  const compacter = await startChild('compact', dir)
  const numbers: string[] = []
  let busy = 0
  for (let round = 0; round < 4; round++) {
    const children = await Promise.all([1, 2].map(async () => await startChild('once', dir)))
    for (const child of children) {
      await child.stop()
      if (child.lines[0] === 'error busy') busy++
      else numbers.push(...child.lines)
    }
  }
  await compacter.stop()
  const outcomes = new Set(compacter.lines)
  for (const known of ['compacting', 'compacted', 'busy']) outcomes.delete(known)
  expect([...outcomes]).toEqual([])
  expect(compacter.lines).toContain('compacted')
  const written = numbers.map(Number)
  expect(written.toSorted((a, b) => a - b)).toEqual(written.map((_, i) => i))
  expect(written.length + busy).toBe(8)
  expect((await (await open()).newest('main', -1))?.number ?? -1).toBe(written.length - 1)
})

test('a process killed while it compacts leaves the old file or the new one, and the next cleans up', async () => {
  const blocks = [...manySizes(100), ...numberedBlocks(2000)]
  const backend = await open()
  await stageAll(backend, blocks)
  await backend.commit(request(0))
  await closeAll()
  let unfinished = 0
  for (let round = 0; round < 4; round++) {
    const child = await startChild('compact', dir)
    await child.said(1 + (round % 2) * 2)
    await sleep(Math.random() * 40)
    await child.kill()
    if ((await readdir(dir)).includes('compacting')) unfinished++
    const again = await open()
    expect(await readAll(again, blocks)).toEqual(printed(blocks))
    expect(await again.commit(request(round + 1))).toBe('committed')
    await closeAll()
  }
  expect(unfinished).toBeGreaterThan(0)
  await (await open()).compact()
  expect((await readdir(dir)).toSorted()).toEqual(['data.mdb', 'lock.mdb', 'processes'])
})

test('what an unfinished copy left is deleted, and an abort changes nothing', async () => {
  const backend = await open()
  await mkdir(join(dir, 'compacting'))
  await writeFile(join(dir, 'compacting', 'data.mdb'), 'half of it')
  await expectError(backend.compact({ signal: AbortSignal.abort() }), 'aborted')
  await backend.compact()
  expect(await readdir(dir)).not.toContain('compacting')
})

test('where it cannot be told who has the store open it is not compacted', async () => {
  const backend = await openLmdb({ dir, create: true, pidNamespace: async () => undefined })
  opened.push(backend)
  await expectError(backend.compact(), 'backend_refused')
  expect(await backend.commit(request(0))).toBe('committed')
})

test.runIf(IS_ROOT_ON_LINUX)('without space for a copy nothing is tried', async () => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=18m,mode=700', 'tmpfs', dir])
  try {
    const backend = await open()
    const blocks = Array.from({ length: 12 }, () => block(300_000))
    await stageAll(backend, blocks)
    await writeFile(join(dir, 'ballast'), new Uint8Array(11_000_000))
    await expectError(backend.compact(), 'no_space')
    await rm(join(dir, 'ballast'))
    await sweepKeeping(backend, blocks.slice(0, 3))
    await backend.compact()
    expect(await readAll(backend, blocks.slice(0, 3))).toEqual(printed(blocks.slice(0, 3)))
    await closeAll()
  } finally {
    execFileSync('umount', [dir])
  }
})
