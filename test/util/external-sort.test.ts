/** Sorting with files: the same as in memory, for any limit, and nothing left behind. */
import { execFile } from 'node:child_process'
import type * as FileSystem from 'node:fs/promises'
import { chmod, mkdir, readdir, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { beforeAll, expect, test, vi } from 'vitest'
import {
  ExternalSort,
  type ExternalSortOptions,
  type SortRecord,
} from '../../src/util/external-sort.ts'
import { builtDist } from '../helpers/built.ts'
import { expectRefused, tempDir } from '../helpers/engine.ts'
import { Random } from '../helpers/random.ts'

const fault = vi.hoisted(() => ({ shortWrites: false, shortReads: false }))

/** File handles as the system may give them: that write or read less than they were asked for. */
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof FileSystem>()
  const open = async (...args: Parameters<typeof real.open>): Promise<unknown> => {
    const file = await real.open(...args)
    if (fault.shortWrites) {
      file.writev = async (buffers) => ({ bytesWritten: 1, buffers: [...buffers] }) as never
      file.writeFile = () => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }))
    }
    if (fault.shortReads) {
      const read = file.read.bind(file) as (...rest: unknown[]) => Promise<unknown>
      file.read = ((bytes: Buffer, at: number, length: number, position: number) =>
        read(bytes, at, Math.min(length, position < 300 ? 7 : 0), position)) as never
    }
    return file
  }
  return { ...real, open }
})

beforeAll(async () => {
  await builtDist()
}, 120_000)

const record = (key: string, payload: string | Buffer): SortRecord => ({
  key,
  payload: Buffer.from(payload),
})

async function sortAll(
  records: readonly SortRecord[],
  options: ExternalSortOptions,
): Promise<SortRecord[]> {
  const sort = new ExternalSort(options)
  try {
    for (const one of records) await sort.add(one)
    const sorted: SortRecord[] = []
    for await (const batch of sort.sorted()) {
      expect(batch.length).toBeLessThanOrEqual(1024)
      sorted.push(...batch)
    }
    return sorted
  } finally {
    await sort.dispose()
  }
}

const inMemory = (records: readonly SortRecord[]): SortRecord[] =>
  records.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))

const text = ({ key, payload }: SortRecord): string => `${key}\n${payload.toString('hex')}`

async function openFiles(dir: string): Promise<string[]> {
  const fds = await readdir('/proc/self/fd')
  const links = await Promise.all(fds.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
  return links.flatMap((link, i) => (link.startsWith(dir) ? [`/proc/self/fd/${fds[i]}`] : []))
}

test('any records come out as a stable sort in memory gives them, whatever the limit', async () => {
  const key = fc.oneof(
    fc.constantFrom('', 'a', 'ab', 'b'),
    fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  )
  const records = fc.array(
    fc.record({ key, payload: fc.uint8Array({ maxLength: 40 }).map((b) => Buffer.from(b)) }),
    { maxLength: 200 },
  )
  const dir = await tempDir()
  await fc.assert(
    fc.asyncProperty(records, fc.integer({ min: 0, max: 20_000 }), async (all, memoryBytes) => {
      const sorted = await sortAll(all, { tempDir: dir, memoryBytes })
      expect(sorted.map(text)).toEqual(inMemory(all).map(text))
    }),
    { numRuns: 60 },
  )
  expect(await readdir(dir)).toEqual([])
})

test('records with equal keys keep their order across more than a thousand runs, with few files open', async () => {
  const dir = await tempDir()
  const random = new Random(7)
  const sort = new ExternalSort({ tempDir: dir, memoryBytes: 600 })
  const all = Array.from({ length: 9000 }, (_, i) => record(`k${random.int(0, 50)}`, `${i}`))
  let most = 0
  for (const [i, one] of all.entries()) {
    await sort.add(one)
    if (i % 500 === 0) most = Math.max(most, (await openFiles(dir)).length)
  }
  const sorted: SortRecord[] = []
  for await (const batch of sort.sorted()) sorted.push(...batch)
  expect(sorted.map(text)).toEqual(inMemory(all).map(text))
  expect(most).toBeGreaterThan(10)
  expect(most).toBeLessThan(200)
  await sort.dispose()
  expect(await openFiles(dir)).toEqual([])
})

test('records larger than all buffers survive', async () => {
  const all = [700_000, 10, 262_144, 65_528, 300_000, 0, 1_000_000].map((size, i) =>
    record(`${9 - i}`.repeat(size === 10 ? 400_000 : 3), Buffer.alloc(size, i)),
  )
  for (const memoryBytes of [1, 800_000]) {
    const sorted = await sortAll(all, { memoryBytes, tempDir: await tempDir() })
    expect(sorted.map(text)).toEqual(inMemory(all).map(text))
  }
})

test('nothing sorts to nothing, and makes no files', async () => {
  const dir = await tempDir()
  expect(await sortAll([], { tempDir: dir, memoryBytes: 0 })).toEqual([])
  const sort = new ExternalSort({ tempDir: join(dir, 'absent') })
  await sort.add(record('a', '1'))
  for await (const batch of sort.sorted()) expect(batch).toHaveLength(1)
  await sort.dispose()
})

test('the files are private, and their data has no name even while they are used', async () => {
  const dir = await tempDir()
  const before = process.umask(0)
  try {
    const sort = new ExternalSort({ tempDir: dir, memoryBytes: 1000 })
    for (let i = 0; i < 1000; i++) await sort.add(record(`${i}`, 'x'))
    const [folder = ''] = await readdir(dir)
    expect((await stat(join(dir, folder))).mode & 0o777).toBe(0o700)
    expect(await readdir(join(dir, folder))).toEqual([])
    const files = await openFiles(dir)
    expect(files.length).toBeGreaterThan(5)
    for (const file of files) expect((await stat(file)).mode & 0o777).toBe(0o600)
    await sort.dispose()
    expect(await readdir(dir)).toEqual([])
  } finally {
    process.umask(before)
  }
})

test('a sort that is left in the middle, or fails, leaves nothing', async () => {
  const dir = await tempDir()
  const sort = new ExternalSort({ tempDir: dir, memoryBytes: 1000 })
  for (let i = 0; i < 5000; i++) await sort.add(record(`${i}`, 'x'))
  for await (const batch of sort.sorted()) if (batch.length > 0) break
  await sort.dispose()
  await sort.dispose()
  expect(await readdir(dir)).toEqual([])
  expect(await openFiles(dir)).toEqual([])
})

test('a process that is killed leaves no data behind', async () => {
  const dir = await tempDir()
  const script = `
    const { ExternalSort } = await import(process.argv[1] + '/util/external-sort.js')
    const sort = new ExternalSort({ tempDir: process.argv[2], memoryBytes: 1000 })
    for (let i = 0; i < 500; i++) await sort.add({ key: String(i), payload: Buffer.alloc(9) })
    process.kill(process.pid, 'SIGKILL')`
  const args = ['--input-type=module', '-e', script, await builtDist(), dir]
  await expect(promisify(execFile)(process.execPath, args)).rejects.toMatchObject({
    signal: 'SIGKILL',
  })
  const left = await readdir(dir, { recursive: true, withFileTypes: true })
  expect(left.filter((one) => one.isFile())).toEqual([])
})

test('a disk that fills up while a run is written is an error, not fewer records', async () => {
  const dir = await tempDir()
  fault.shortWrites = true
  try {
    const records = Array.from({ length: 100 }, (_, i) => record(`${i}`, 'x'))
    await expectRefused(sortAll(records, { tempDir: dir, memoryBytes: 1000 }), 'no_space')
  } finally {
    fault.shortWrites = false
  }
  expect(await readdir(dir)).toEqual([])
})

test('a file that ends within a record is an error, not fewer records', async () => {
  const dir = await tempDir()
  fault.shortReads = true
  try {
    const records = Array.from({ length: 100 }, (_, i) => record(`key ${i}`, 'x'))
    const sorting = sortAll(records, { tempDir: dir, memoryBytes: 5000 })
    await expect(sorting).rejects.toThrow('ends within a record')
  } finally {
    fault.shortReads = false
  }
  expect(await readdir(dir)).toEqual([])
})

test('a folder that is not there, or not a folder, is named', async () => {
  const dir = await tempDir()
  const records = [record('a', '1')]
  const absent = join(dir, 'absent')
  const error = await expectRefused(sortAll(records, { tempDir: absent, memoryBytes: 1 }), 'config')
  expect(error.message).toContain(absent)
  await mkdir(absent)
  await chmod(absent, 0o500)
  if (process.getuid?.() === 0) return
  await expectRefused(sortAll(records, { tempDir: absent, memoryBytes: 1 }), 'config')
})
