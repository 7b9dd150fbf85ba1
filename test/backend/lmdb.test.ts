import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { numberBytes } from '../../src/backend/lmdb/keys.ts'
import { FORMAT, openLmdbFiles } from '../../src/backend/lmdb/tables.ts'
import { isCairnError } from '../../src/errors.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { bytesEqual, rawCidOf } from '../../src/model/cid.ts'
import type { Backend, CommitRequest, HeldBlock } from '../../src/store/backend.ts'
import { backendConformance } from '../conformance/backend.ts'

const IS_ROOT_ON_LINUX = process.platform === 'linux' && process.getuid?.() === 0

let base: string
let dir: string
let opened: Backend[] = []

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'cairn-lmdb-'))
  dir = join(base, 'store')
  await mkdir(dir)
})

afterEach(async () => {
  await closeAll()
  await rm(base, { recursive: true })
})

async function open(create = true): Promise<Backend> {
  const backend = await openLmdb({ dir, create })
  opened.push(backend)
  return backend
}

async function closeAll(): Promise<void> {
  for (const backend of opened.splice(0)) await backend.close()
}

backendConformance('lmdb', async () => ({
  backend: await open(),
  second: open,
  reopen: async () => {
    await closeAll()
    return await open(false)
  },
  dispose: closeAll,
}))

async function codeOf(promise: Promise<unknown>): Promise<ErrorCode | undefined> {
  try {
    await promise
    return undefined
  } catch (error) {
    if (isCairnError(error)) return error.code
    throw error
  }
}

function block(size: number): HeldBlock {
  const bytes = new Uint8Array(randomBytes(size))
  return { cid: rawCidOf(bytes), bytes, hold: 'self' }
}

function request(number: number, blocks: readonly HeldBlock[] = []): CommitRequest {
  const bytes = new TextEncoder().encode(`commit ${number}`)
  return { dataset: 'main', number, bytes, blocks }
}

const modeOf = async (path: string): Promise<string> =>
  ((await stat(path)).mode & 0o777).toString(8)

test('a store that is not there is not made unless asked for', async () => {
  dir = join(dir, 'none')
  expect(await codeOf(open(false))).toBe('store_not_found')
  expect(await codeOf(stat(dir).catch(() => undefined))).toBeUndefined()
  await open(true)
  expect(await codeOf(open(false))).toBeUndefined()
})

test('an empty folder is no store, and asking for one does not make it one', async () => {
  expect(await codeOf(open(false))).toBe('store_not_found')
  expect(await readdir(dir)).toEqual([])
})

test('where a file is, there is no place for a store', async () => {
  dir = join(dir, 'file')
  await writeFile(dir, 'mine')
  for (const create of [false, true]) expect(await codeOf(open(create))).toBe('usage')
  expect(await readFile(dir, 'utf8')).toBe('mine')
})

test('the store belongs to its owner alone', async () => {
  dir = join(dir, 'made', 'deep')
  await open()
  expect(await modeOf(dir)).toBe('700')
  for (const name of ['data.mdb', 'lock.mdb']) expect(await modeOf(join(dir, name))).toBe('600')
})

test('a folder may have a long name with dots and signs in it', async () => {
  dir = join(dir, `${'ö'.repeat(60)} a.store.mdb`, 'x'.repeat(150))
  const backend = await open()
  expect(await backend.commit(request(0))).toBe('committed')
  expect((await stat(join(dir, 'data.mdb'))).isFile()).toBe(true)
})

test('a store of a newer format is refused, and left as it is', async () => {
  await (await open()).commit(request(0))
  await closeAll()
  const setFormat = async (format: number): Promise<void> => {
    const env = openLmdbFiles(dir)
    const meta = env.openDB<Uint8Array, Uint8Array>({
      name: 'meta',
      encoding: 'binary',
      keyEncoding: 'binary',
    })
    await env.transaction(() => void meta.put(Buffer.from('format'), numberBytes(format)))
    await env.close()
  }
  await setFormat(FORMAT + 1)
  expect(await codeOf(open())).toBe('format_unsupported')
  expect(await codeOf(open(false))).toBe('format_unsupported')
  await setFormat(FORMAT)
  expect((await (await open()).newest('main', -1))?.number).toBe(0)
})

test("another program's files are refused, and left as they are", async () => {
  const env = openLmdbFiles(dir)
  await env.put('theirs', new Uint8Array([1]))
  await env.close()
  expect(await codeOf(open())).toBe('format_unsupported')
  await rm(join(dir, 'lock.mdb'))
  for (const bytes of [randomBytes(100_000), new Uint8Array(100_000), randomBytes(10)]) {
    await writeFile(join(dir, 'data.mdb'), bytes)
    expect(await codeOf(open())).toBe('format_unsupported')
  }
})

test('a store whose file lost its end is refused, not read until the system ends the process', async () => {
  const backend = await open()
  await backend.commit(request(0, [block(400_000)]))
  await closeAll()
  const { size } = await stat(join(dir, 'data.mdb'))
  for (const kept of [size - 100_000, size / 2, 5000]) {
    await truncate(join(dir, 'data.mdb'), kept)
    expect(await codeOf(open())).toBe('invalid_block')
  }
})

test('a store whose making was interrupted is made anew', async () => {
  const env = openLmdbFiles(dir)
  env.openDB({ name: 'meta', encoding: 'binary', keyEncoding: 'binary' })
  await env.close()
  expect(await (await open()).commit(request(0))).toBe('committed')
})

test('a store that is deleted or replaced under us takes no commit', async () => {
  const backend = await open()
  await backend.commit(request(0))
  await rename(dir, `${dir}-moved`)
  expect(await codeOf(backend.commit(request(1)))).toBe('store_changed')
  const fresh = await open()
  expect(await fresh.newest('main', -1)).toBeUndefined()
  expect(await codeOf(backend.commit(request(1)))).toBe('store_changed')
  expect(await fresh.commit(request(0))).toBe('committed')
  await backend.close()
  expect(await fresh.commit(request(1))).toBe('committed')
})

test('opening a store does not wait for the writes of an opening that is there', async () => {
  const backend = await open()
  const commits = Array.from({ length: 20 }, async (_, i) => await backend.commit(request(i)))
  const others = await Promise.all([open(), open(), open()])
  expect(new Set(await Promise.all(commits))).toEqual(new Set(['committed']))
  for (const other of others) expect((await other.newest('main', -1))?.number).toBe(19)
})

test('a store can be closed and opened again at the same time', async () => {
  for (let round = 0; round < 10; round++) {
    const backend = await open()
    const closing = backend.close()
    const again = await open()
    expect(await again.commit(request(round))).toBe('committed')
    await closing
    expect((await again.newest('main', -1))?.number).toBe(round)
    await again.close()
  }
})

test('bytes in memory that threads share are taken', async () => {
  const backend = await open()
  const shared = (bytes: Uint8Array): Uint8Array => {
    const copy = new Uint8Array(new SharedArrayBuffer(bytes.length))
    copy.set(bytes)
    return copy
  }
  const one = block(5000)
  const made = request(0, [{ ...one, cid: shared(one.cid), bytes: shared(one.bytes) }])
  expect(await backend.commit({ ...made, bytes: shared(made.bytes) })).toBe('committed')
  expect(await backend.getBlocks([one.cid])).toEqual([one.bytes])
  expect(await backend.getCommit('main', 0)).toEqual(made.bytes)
})

test('one hash under two codecs takes one place', async () => {
  const backend = await open()
  const one = block(100_000)
  const other = { ...one, cid: Uint8Array.from(one.cid, (byte, i) => (i === 1 ? 0x71 : byte)) }
  await backend.commit(request(0, [one, other]))
  const { sizeBytes } = await backend.status()
  for (let number = 1; number < 20; number++) await backend.commit(request(number, [other, one]))
  expect((await backend.status()).sizeBytes).toBeLessThan((sizeBytes ?? 0) + 100_000)
})

test('a staging with a block that cannot be stored says so, and stores nothing wrong', async () => {
  const backend = await open()
  const staging = await backend.stage('main', 'a test')
  const bad = { ...block(10), cid: new Uint8Array([1, 0x55, 0x11, 2, 3, 4]) }
  const good = block(20)
  expect(await codeOf(staging.put([good, bad]))).toBe('invalid_entry')
  expect(await codeOf(backend.commit(request(0, [good, bad])))).toBe('invalid_entry')
  expect(await backend.newest('main', -1)).toBeUndefined()
  await staging.end('dropped')
})

test('status tells size, free space, and that writes are synced', async () => {
  const status = await (await open()).status()
  expect(status.synced).toBe(true)
  expect(status.sizeBytes).toBe((await stat(join(dir, 'data.mdb'))).size)
  expect(status.freeBytes).toBeGreaterThan(0)
})

/** Only root on Linux can make a small disk; elsewhere nothing here can be tried. */
async function onSmallDisk(
  use: (mount: (options: string) => void) => Promise<void>,
): Promise<void> {
  const mount = (options: string): void => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', dir])
  }
  mount('size=14m,mode=700')
  try {
    await use(mount)
  } finally {
    await closeAll()
    execFileSync('umount', [dir])
  }
}

test('a store that may not be written is access_denied', async () => {
  if (!IS_ROOT_ON_LINUX) {
    await chmod(dir, 0o500)
    expect(await codeOf(open())).toBe('access_denied')
    await chmod(dir, 0o700)
    return
  }
  // Root may write everywhere but on a disk that is mounted otherwise.
  await onSmallDisk(async (mount) => {
    await open()
    await closeAll()
    mount('remount,ro')
    expect(await codeOf(open(false))).toBe('access_denied')
  })
})

test.runIf(IS_ROOT_ON_LINUX)(
  'a full disk is no_space, loses nothing, and can be emptied',
  async () => {
    await onSmallDisk(async () => {
      await writeFile(join(dir, 'ballast'), new Uint8Array(2 ** 20))
      const backend = await open()
      const kept: HeldBlock[] = []
      let code: ErrorCode | undefined
      while (code === undefined) {
        const one = block(100_000)
        code = await codeOf(backend.commit(request(kept.length, [one])))
        if (code === undefined) kept.push(one)
      }
      expect(code).toBe('no_space')
      expect(kept.length).toBeGreaterThan(5)
      expect(await codeOf(backend.commit(request(kept.length, [block(100_000)])))).toBe('no_space')
      const staging = await backend.stage('main', 'a test')
      await staging.put([block(2_000_000)])
      expect(await codeOf(staging.flush())).toBe('no_space')
      expect(await codeOf(staging.put([block(1)]))).toBe('no_space')
      await staging.end('dropped')

      expect((await backend.newest('main', -1))?.number).toBe(kept.length - 1)
      const blocks = await backend.getBlocks(kept.map(({ cid }) => cid))
      const sound = blocks.map(
        (bytes, i) => bytes !== undefined && bytesEqual(bytes, kept[i]?.bytes ?? new Uint8Array()),
      )
      expect(sound).toEqual(kept.map(() => true))
      await closeAll()
      const again = await open(false)
      expect((await again.newest('main', -1))?.number).toBe(kept.length - 1)
      await rm(join(dir, 'ballast'))
      expect(await again.commit(request(kept.length, [block(100_000)]))).toBe('committed')
      await closeAll()
      expect((await (await open(false)).newest('main', -1))?.number).toBe(kept.length)
    })
  },
)

test.runIf(IS_ROOT_ON_LINUX)('a disk too full for a new store is no_space', async () => {
  await onSmallDisk(async () => {
    await codeOf(writeFile(join(dir, 'ballast'), new Uint8Array(2 ** 24)).catch(() => undefined))
    expect(await codeOf(open())).toBe('no_space')
    await rm(join(dir, 'ballast'))
    expect(await codeOf(open())).toBeUndefined()
  })
})
