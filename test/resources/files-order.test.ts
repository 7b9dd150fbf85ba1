/**
 * What a power cut may leave of files, since killing a process does not: bytes and names count once they were
 * synced. A file gets its name when its last byte was synced, and of several names each is durable before the
 * next one is given or taken.
 */
import fs, { readdir, type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { writeWhole } from '../../src/backup/publish.ts'
import { exportToFile, exportToFolder } from '../../src/backup/write-car.ts'
import { writeNewFile } from '../../src/cli/new-file.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { Ledger } from '../../src/verify/ledger.ts'
import { openTest, tempDir } from '../helpers/engine.ts'

const WRITES = ['write', 'writev', 'writeFile', 'appendFile', 'truncate'] as const
/** Names that somebody looks for: not those of what is unfinished, nor of folders and registrations. */
const COUNTS = /^[^.].*\.\w+$/
type Method = (...given: unknown[]) => Promise<unknown>
type Call = (...given: string[]) => Promise<void>

/** What is done to files and their names, in this process. */
class Watch {
  readonly problems: string[] = []
  /** The names that were given, in their order. */
  readonly named: string[] = []
  readonly #synced = new Set<string>()
  /** Names that were given or taken away, and not yet durable. */
  readonly #pending = new Set<string>()

  written(path: string): void {
    this.#synced.delete(path)
  }

  /** A file's bytes, or a folder's names. */
  synced(path: string): void {
    this.#synced.add(path)
    for (const one of this.#pending) if (dirname(one) === path) this.#pending.delete(one)
  }

  name(from: string, to: string): void {
    if (!COUNTS.test(basename(to))) return
    if (!this.#synced.has(from))
      this.problems.push(`${basename(to)} got its name before its bytes were synced`)
    this.named.push(basename(to))
    this.#change(to)
  }

  remove(path: string): void {
    if (COUNTS.test(basename(path))) this.#change(path)
  }

  #change(path: string): void {
    for (const one of this.#pending)
      if (dirname(one) === dirname(path) && !this.#isRemoved(one, path))
        this.problems.push(`${basename(path)} came before the name of ${basename(one)} was durable`)
    this.#pending.add(path)
  }

  /** Two that go together may go in any order. */
  #isRemoved(one: string, other: string): boolean {
    return !this.named.includes(basename(one)) && !this.named.includes(basename(other))
  }

  end(): void {
    for (const one of this.#pending)
      this.problems.push(`the name of ${basename(one)} is not durable`)
  }
}

function watched(handle: FileHandle, path: string, watch: Watch): FileHandle {
  const methods = handle as unknown as Record<string, Method>
  for (const name of WRITES) {
    const real = methods[name]?.bind(handle)
    if (real === undefined) continue
    methods[name] = (...given) => {
      watch.written(path)
      return real(...given)
    }
  }
  const sync = handle.sync.bind(handle)
  handle.sync = async () => {
    await sync()
    watch.synced(path)
  }
  return handle
}

/** Watches the files of this process until the test has finished. */
function watchFiles(): Watch {
  const watch = new Watch()
  const real = { open: fs.open, link: fs.link, rename: fs.rename, rm: fs.rm }
  const telling = (name: 'link' | 'rename' | 'rm', tell: (...given: string[]) => void): Call => {
    return async (...given) => {
      await (real[name] as Call)(...given)
      tell(...given)
    }
  }
  Object.assign(fs, {
    open: async (path: string, ...more: string[]) =>
      watched(await real.open(path, ...more), path, watch),
    link: telling('link', (from = '', to = '') => watch.name(from, to)),
    rename: telling('rename', (from = '', to = '') => watch.name(from, to)),
    rm: telling('rm', (path = '') => watch.remove(path)),
  })
  syncBuiltinESMExports()
  onTestFinished(() => {
    Object.assign(fs, real)
    syncBuiltinESMExports()
  })
  return watch
}

async function filled(): Promise<Dataset> {
  const { dataset } = await openTest({ init: { content: 'linked' } })
  await dataset.put('a', { n: 1 })
  await dataset.build()
  await dataset.put('b', { n: 2 })
  return dataset
}

const endings = (names: readonly string[]): string[] =>
  names.map((name) => name.replace(/^.*\./, '.'))
const now = (): number => 1_700_000_000_000

test.each([1, 2] as const)('a backup, as a CARv%d, has its names in order', async (version) => {
  const dataset = await filled()
  const dir = await tempDir()
  const watch = watchFiles()
  await exportToFolder(dataset, dir, { version, recipients: [], force: true, now })
  watch.end()
  expect(watch.problems).toEqual([])
  expect(endings(watch.named)).toEqual(['.car', '.sha256', '.json'])
})

test('a backup in the place of another leaves no sidecar beside the wrong CAR', async () => {
  const dataset = await filled()
  const dir = await tempDir()
  const form = { version: 1, recipients: [], force: true, now } as const
  await exportToFile(dataset, join(dir, 'it.car'), form)
  await dataset.put('c', { n: 3 })
  const watch = watchFiles()
  await exportToFile(dataset, join(dir, 'it.car'), form)
  watch.end()
  expect(watch.problems).toEqual([])
  expect(endings(watch.named)).toEqual(['.car', '.sha256', '.json'])
  expect((await readdir(dir)).toSorted()).toEqual(['it.car', 'it.json', 'it.sha256'])
})

test('a report, a new file, and a ledger are durable under their names', async () => {
  const dir = await tempDir()
  const of = { location: 'memory:', dataset: 'main', identity: 'x' }
  const ledger = await Ledger.open(dir, of)
  const watch = watchFiles()
  await writeWhole(dir, 'report.json', '{}')
  await writeNewFile(join(dir, 'new.txt'), false, (file) => file.line('one'))
  await ledger.save()
  watch.end()
  expect(watch.problems).toEqual([])
  expect(watch.named).toEqual(['report.json', 'new.txt', basename(ledger.path)])
})

test('the compact copy of a store is durable before it takes the place of the store', async () => {
  const dir = await tempDir()
  const backend = await openLmdb({ dir, create: true })
  await openTest({ backend })
  const watch = watchFiles()
  await backend.compact()
  watch.end()
  await backend.close()
  expect(watch.problems).toEqual([])
  expect(watch.named).toEqual(['data.mdb'])
})
