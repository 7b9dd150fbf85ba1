/** The map behaves as a Map does, in memory and spilled, and leaves nothing behind. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import type * as FileSystem from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { beforeAll, expect, test, vi } from 'vitest'
import { DigestMap } from '../../src/util/digest-map.ts'
import { builtDist } from '../helpers/built.ts'
import { expectRefused, tempDir } from '../helpers/engine.ts'

const fault = vi.hoisted(() => ({ writes: Infinity, reads: Infinity }))

/** A disk that is full after so many writes, and breaks after so many reads. */
vi.mock('node:fs', async (original) => {
  const real = await original<typeof FileSystem>()
  const fail = (code: string): never => {
    throw Object.assign(new Error(code), { code })
  }
  return {
    ...real,
    writeSync: (...args: Parameters<typeof real.writeSync>) =>
      --fault.writes < 0 ? fail('ENOSPC') : real.writeSync(...args),
    readSync: (...args: Parameters<typeof real.readSync>) =>
      --fault.reads < 0 ? fail('EIO') : real.readSync(...args),
  }
})

beforeAll(async () => {
  await builtDist()
}, 120_000)

const digest = (i: number): Uint8Array => createHash('sha256').update(`${i}`).digest()

/** Keys as a hostile file may name them: alike but for a few bits. */
const alike = (i: number): Uint8Array => {
  const key = new Uint8Array(32).fill(7)
  key[i % 32] = i >>> 5
  key[(i * 7) % 32] = (key[(i * 7) % 32] ?? 0) ^ (i >>> 13)
  return key
}

const text = (key: Uint8Array): string => Buffer.from(key).toString('hex')

test.each([1_000_000, 0, 1, 50])(
  'is a Map that keeps first values, with %i entries in memory',
  async (memoryEntries) => {
    const tempDirectory = await tempDir()
    const key = fc.nat({ max: 400 })
    const value = fc.oneof(fc.nat(), fc.constantFrom(0, 2 ** 31, 2 ** 32, 2 ** 48 - 1))
    const steps = fc.array(fc.tuple(fc.constantFrom('set', 'get'), key, value), { maxLength: 900 })
    fc.assert(
      fc.property(steps, fc.boolean(), (all, hostile) => {
        const map = new DigestMap({ tempDir: tempDirectory, memoryEntries })
        const model = new Map<string, number>()
        for (const [step, i, number] of all) {
          const bytes = hostile ? alike(i) : digest(i)
          const known = model.get(text(bytes))
          if (step === 'set') {
            expect(map.set(bytes, number)).toBe(known === undefined)
            model.set(text(bytes), known ?? number)
          }
          expect(map.get(bytes)).toBe(model.get(text(bytes)))
          expect(map.has(bytes)).toBe(model.has(text(bytes)))
          expect(map.size).toBe(model.size)
        }
        map.close()
      }),
      { numRuns: 30 },
    )
    expect(await readdir(tempDirectory)).toEqual([])
  },
)

test('600,000 keys in a file, far beyond its cache, are all found, and no other', async () => {
  const map = new DigestMap({ tempDir: await tempDir(), memoryEntries: 20_000 })
  const keys = new Uint8Array(32 * 600_000)
  for (let i = 0; i < keys.length; i += 32) keys.set(digest(i), i)
  for (let i = 0; i < keys.length; i += 32) {
    if (!map.set(keys.subarray(i, i + 32), i)) expect.fail(`key ${i} was there before`)
  }
  expect(map.size).toBe(600_000)
  for (let i = 0; i < keys.length; i += 32) {
    if (map.get(keys.subarray(i, i + 32)) !== i) expect.fail(`key ${i} is lost`)
  }
  for (let i = 1; i < 32_000; i += 32) expect(map.has(digest(i))).toBe(false)
  expect(map.set(keys.subarray(0, 32), 5)).toBe(false)
  map.close()
})

test('keys that share all but a few bits are kept apart, in memory and in a file', () => {
  for (const memoryEntries of [1_000_000, 100]) {
    const map = new DigestMap({ memoryEntries })
    const model = new Map<string, number>()
    for (let i = 0; i < 50_000; i++) {
      const key = alike(i)
      if (!model.has(text(key))) model.set(text(key), i)
      map.set(key, i)
    }
    expect(map.size).toBe(model.size)
    for (const [key, value] of model) expect(map.get(Buffer.from(key, 'hex'))).toBe(value)
    map.close()
  }
})

test('the file has no name while it is used, and the folder is gone', async () => {
  const dir = await tempDir()
  const map = new DigestMap({ tempDir: dir, memoryEntries: 10 })
  for (let i = 0; i < 1000; i++) map.set(digest(i), i)
  expect(await readdir(dir)).toEqual([])
  map.close()
  map.close()
  expect(() => map.get(digest(1))).toThrow('a map that is open')
})

test('nothing is made before it is needed; a folder that cannot be written to is refused', async () => {
  const map = new DigestMap({ tempDir: join(await tempDir(), 'absent'), memoryEntries: 10 })
  for (let i = 0; i < 10; i++) map.set(digest(i), i)
  await expectRefused((async () => map.set(digest(10), 10))(), 'config')
  expect(map.set(digest(3), 99)).toBe(false)
  expect(map.get(digest(3))).toBe(3)
})

test('a full disk is an error, now and ever after, never a forgotten key', async () => {
  const dir = await tempDir()
  for (const writes of [0, 5, 700]) {
    const map = new DigestMap({ tempDir: dir, memoryEntries: 100 })
    fault.writes = writes
    let accepted = 0
    const fill = async (): Promise<void> => {
      for (; accepted < 500_000; accepted++) map.set(digest(accepted), accepted)
    }
    await expectRefused(fill(), 'no_space')
    fault.writes = Infinity
    await expectRefused((async () => map.set(digest(accepted), 1))(), 'no_space')
    await expectRefused((async () => map.get(digest(1)))(), 'no_space')
    map.close()
  }
  expect(await readdir(dir)).toEqual([])
})

test('a page that cannot be read is an error, now and ever after', async () => {
  const map = new DigestMap({ memoryEntries: 100 })
  for (let i = 0; i < 400_000; i++) map.set(digest(i), i)
  fault.reads = 3
  const look = async (): Promise<void> => {
    for (let i = 0; i < 1000; i++) expect(map.get(digest(i))).toBe(i)
  }
  await expect(look()).rejects.toThrow('EIO')
  fault.reads = Infinity
  await expect(look()).rejects.toThrow('EIO')
  map.close()
})

test('keys and values that are none are refused', () => {
  const map = new DigestMap()
  expect(() => map.get(new Uint8Array(31))).toThrow('32 bytes')
  for (const value of [-1, 0.5, 2 ** 48, NaN]) {
    expect(() => map.set(digest(1), value)).toThrow('2^48')
  }
  map.close()
})

test('a process that is killed leaves no data behind', async () => {
  const dir = await tempDir()
  const script = `
    const { DigestMap } = await import(process.argv[1] + '/util/digest-map.js')
    const map = new DigestMap({ tempDir: process.argv[2], memoryEntries: 10 })
    for (let i = 0; i < 500; i++) map.set(Buffer.alloc(32, String(i) + '.'), i)
    process.kill(process.pid, 'SIGKILL')`
  const args = ['--input-type=module', '-e', script, await builtDist(), dir]
  await expect(promisify(execFile)(process.execPath, args)).rejects.toMatchObject({
    signal: 'SIGKILL',
  })
  expect(await readdir(dir)).toEqual([])
})
