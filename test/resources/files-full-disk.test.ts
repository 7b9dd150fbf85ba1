/** Files on a disk that is full at every point of what writes them: sorts, tables, ledgers, backups. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { isCairnError } from '../../src/errors.ts'
import { DigestMap } from '../../src/util/digest-map.ts'
import { ExternalSort } from '../../src/util/external-sort.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { CAN_MOUNT, smallDisk, type SmallDisk } from './small-disk.ts'

const UNTRIED: string = CAN_MOUNT ? '' : ' (CANNOT BE TRIED: needs root on Linux)'
const KIB = 1024

/** What is thrown for each amount of free space, until there is enough. */
async function refusals(
  disk: SmallDisk,
  points: readonly number[],
  work: () => Promise<void>,
): Promise<string[]> {
  const codes: string[] = []
  for (const bytes of points) {
    disk.empty()
    disk.leave(bytes)
    const error = await work().then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (error === undefined) codes.push('done')
    else if (isCairnError(error) && error.hint !== undefined) codes.push(error.code)
    else codes.push(`not one of Cairn's: ${inspect(error)}`)
  }
  return codes
}

const STEPS = Array.from({ length: 24 }, (_, i) => i * 24 * KIB)

function expectFullThenDone(codes: readonly string[]): void {
  const first = codes.indexOf('done')
  expect(first).toBeGreaterThan(1)
  expect(codes.slice(0, first)).toEqual(codes.slice(0, first).map(() => 'no_space'))
  expect(codes.slice(first)).toEqual(codes.slice(first).map(() => 'done'))
}

test(`a sort that spills says that its folder is full, and leaves nothing there${UNTRIED}`, async () => {
  const disk = await smallDisk(4)
  const codes = await refusals(disk, STEPS, async () => {
    const sort = new ExternalSort({ tempDir: disk.dir, memoryBytes: 24 * KIB })
    try {
      for (let n = 0; n < 4000; n++)
        await sort.add({ key: String((n * 7919) % 4000), payload: Buffer.alloc(60, n) })
      let count = 0
      for await (const batch of sort.sorted()) count += batch.length
      expect(count).toBe(4000)
    } finally {
      await sort.dispose()
    }
  })
  expectFullThenDone(codes)
  expect(await readdir(disk.dir)).toEqual(['ballast'])
})

test(`a table of digests that spills says that its folder is full, and leaves nothing there${UNTRIED}`, async () => {
  const disk = await smallDisk(64)
  const points = [0, 2, 60].map((mebibytes) => mebibytes * KIB * KIB)
  const digest = new Uint32Array(8)
  const key = new Uint8Array(digest.buffer)
  const keyOf = (n: number): Uint8Array => {
    digest.fill(Math.imul(n, 2_654_435_761))
    digest[0] = n
    return key
  }
  const codes = await refusals(disk, points, async () => {
    await Promise.resolve()
    // What it keeps of its file in memory is less than this many.
    const map = new DigestMap({ tempDir: disk.dir, memoryEntries: 1000 })
    try {
      for (let n = 0; n < 500_000; n++) map.set(keyOf(n), n)
      for (let n = 0; n < 500_000; n += 100) expect(map.get(keyOf(n))).toBe(n)
    } finally {
      map.close()
    }
  })
  expect(codes).toEqual(['no_space', 'no_space', 'done'])
  expect(await readdir(disk.dir)).toEqual(['ballast'])
})

test(`a ledger and a backup on a full disk say so and leave the ones before${UNTRIED}`, async () => {
  const disk = await smallDisk(12)
  const box = await Sandbox.make()
  try {
    const env = {
      CAIRN_STORE: `lmdb:${box.path('store')}`,
      CAIRN_DATA_DIR: join(disk.dir, 'data'),
      CAIRN_BACKUPS_DIR: join(disk.dir, 'backups'),
    }
    const lines = Array.from({ length: 2000 }, (_, i) => `{"pi":"e-${i}","value":{"n":${i}}}\n`)
    await box.ok(['import', '-'], { env, input: lines.join('') })
    await box.ok(['verify'], { env })
    await box.ok(['export-car'], { env })
    const ledger = await readdir(join(disk.dir, 'data', 'ledger'))
    const backups = await readdir(join(disk.dir, 'backups'))
    disk.leave(0)
    for (const args of [['verify'], ['export-car', '--force']]) {
      const { exit, code, hint } = await box.fails(args, { env })
      expect([args[0], exit, code]).toEqual([args[0], 15, 'no_space'])
      expect(hint).toMatch(/space/)
    }
    expect(await readdir(join(disk.dir, 'data', 'ledger'))).toEqual(ledger)
    expect(await readdir(join(disk.dir, 'backups'))).toEqual(backups)
    disk.empty()
    await box.ok(['verify'], { env })
    await box.ok(['export-car', '--force'], { env })
    expect((await readdir(join(disk.dir, 'backups'))).length).toBeGreaterThan(backups.length)
  } finally {
    await box.remove()
  }
})
