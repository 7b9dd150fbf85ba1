import { createHash } from 'node:crypto'
import { closeSync, openSync, readdirSync, writeSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { readBackups } from '../../src/backup/folder.ts'
import { openCars } from '../../src/backup/open-cars.ts'
import {
  exportToFile,
  exportToFolder,
  exportToStream,
  type WriteCarOptions,
} from '../../src/backup/write-car.ts'
import { CarFile } from '../../src/car/file.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { codeOf } from './backups.ts'

let folder: string
let dataset: Dataset

const NOW = Date.UTC(2026, 10, 21, 3, 4, 5)

const options = (more: Partial<WriteCarOptions> = {}): WriteCarOptions => ({
  version: 1,
  recipients: [],
  force: false,
  now: () => NOW,
  ...more,
})

async function filled(count: number, bytes = 20): Promise<Dataset> {
  const cairn = new Cairn(openMemory())
  const { dataset: made } = await cairn.init('main', { chunkSize: 64 })
  const text = 'x'.repeat(bytes)
  for (let from = 0; from < count; from += 2000) {
    const size = Math.min(2000, count - from)
    await made.putBatch(
      Array.from({ length: size }, (_, i) => ({
        pi: `e${from + i}`,
        value: { i: from + i, text },
      })),
    )
  }
  await made.build()
  await made.put('late', 1)
  return made
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cairn-backups-'))
  dataset = await filled(300)
})

afterEach(() => rm(folder, { recursive: true, force: true }))

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

test.each([1, 2] as const)(
  'a backup of version %i has its name, sums and sidecar',
  async (version) => {
    const { status, backup } = await exportToFolder(dataset, folder, options({ version }))
    const { sidecar, paths } = backup
    expect(status).toBe('exported')
    const stem = sidecar.filename.replace('.car', '')
    expect(stem).toMatch(/^main-1-20261121-030405-[a-z2-7]{8}$/)
    expect(sidecar.checkpoint_cid.endsWith(stem.slice(-8))).toBe(true)
    expect((await readdir(folder)).sort()).toEqual([
      `${stem}.car`,
      `${stem}.json`,
      `${stem}.sha256`,
    ])
    const bytes = await readFile(paths.car)
    expect(sidecar).toMatchObject({
      size_bytes: bytes.length,
      sha256: sha256(bytes),
      car_sha256: sha256(bytes),
      car_version: version,
      total_count: 301,
      recent_count: 1,
      content: 'full',
      since: null,
      verified_at: '2026-11-21T03:04:05.000Z',
    })
    expect(await readFile(paths.sums, 'utf8')).toBe(`${sidecar.sha256}  ${sidecar.filename}\n`)
    expect(JSON.parse(await readFile(paths.sidecar, 'utf8'))).toEqual(sidecar)
    const car = await CarFile.open(paths.car)
    expect(car.blockCount).toBe(sidecar.cid_counts.total)
    expect(sidecar.blocks).toBe(sidecar.cid_counts.total)
    await car.close()
  },
)

test('the same state is exported once, as long as the file is as it was written', async () => {
  const first = await exportToFolder(dataset, folder, options())
  const again = await exportToFolder(dataset, folder, options())
  expect(again).toMatchObject({ status: 'already_exported', backup: { paths: first.backup.paths } })
  expect(await readdir(folder)).toHaveLength(3)
  const { car } = first.backup.paths
  const bytes = await readFile(car)
  bytes[500] = (bytes[500] ?? 0) ^ 1
  await writeFile(car, bytes)
  expect((await exportToFolder(dataset, folder, options())).status).toBe('exported')
  expect((await exportToFolder(dataset, folder, options({ version: 2 }))).status).toBe('exported')
  expect((await exportToFolder(dataset, folder, options({ content: 'index' }))).status).toBe(
    'exported',
  )
  expect((await exportToFolder(dataset, folder, options({ force: true }))).status).toBe('exported')
})

test('exports of one state in one second all get a name, and have the same bytes', async () => {
  const all = await Promise.all(
    [1, 2, 3, 4].map(() => exportToFolder(dataset, folder, options({ force: true }))),
  )
  const names = new Set(all.map(({ backup }) => backup.sidecar.filename))
  const sums = new Set(all.map(({ backup }) => backup.sidecar.sha256))
  expect([names.size, sums.size]).toEqual([4, 1])
  const { backups, damaged, unfinished } = await readBackups(folder)
  expect([backups.length, damaged, unfinished]).toEqual([4, [], []])
})

test('a name of which any part is taken is left alone as a whole', async () => {
  const { backup } = await exportToFolder(dataset, folder, options())
  const { car, sidecar, sums } = backup.paths
  for (const gone of [
    [car, sidecar],
    [sums, car],
  ]) {
    for (const path of gone) await rm(path)
    const left = (await readdir(folder)).sort()
    const again = await exportToFolder(dataset, folder, options())
    expect(again.backup.paths.car).not.toBe(car)
    const added = Object.values(again.backup.paths).map((path: string) => basename(path))
    expect((await readdir(folder)).sort()).toEqual([...left, ...added].sort())
    for (const path of Object.values(again.backup.paths) as string[]) await rm(path)
    for (const path of [car, sidecar, sums]) await writeFile(path, '')
  }
})

test('bytes that come back otherwise than they were written are no backup', async () => {
  const large = await filled(8000, 300)
  // The file is changed while it is written, as a bad disk would.
  const spoil = (): void => {
    const name = readdirSync(folder).find((one) => one.endsWith('.partial')) ?? ''
    const file = openSync(join(folder, name), 'r+')
    writeSync(file, new Uint8Array(4), 0, 4, 100_000)
    closeSync(file)
  }
  const onProgress = ({ step }: { step: string }): void => {
    if (step === 'export') spoil()
  }
  expect(await codeOf(exportToFolder(large, folder, options({ onProgress })))).toBe('invalid_car')
  expect(await readdir(folder)).toEqual([])
})

test('an export that fails, or is aborted, leaves nothing', async () => {
  const stop = new AbortController()
  const aborted = exportToFolder(
    await filled(6000),
    folder,
    options({ signal: stop.signal, onProgress: () => stop.abort() }),
  )
  expect(await codeOf(aborted)).toBe('aborted')
  expect(await codeOf(exportToFolder(dataset, folder, options({ since: 'nope' })))).toBe(
    'not_found',
  )
  const bad = exportToFolder(dataset, folder, options({ recipients: ['age1nonsense'] }))
  expect(await codeOf(bad)).toBe('usage')
  expect(await readdir(folder)).toEqual([])
})

test('what a killed process left is removed after a day, and what is new is not', async () => {
  const [old, fresh] = ['.main.1-aaaaaaaaaaaa.partial', '.main.1-bbbbbbbbbbbb.partial']
  await mkdir(folder, { recursive: true })
  for (const name of [old, fresh]) await writeFile(join(folder, name), 'x')
  const theirs = '.film.partial'
  await writeFile(join(folder, theirs), 'of another program')
  const dayAgo = new Date(NOW - 25 * 3_600_000)
  for (const name of [old, theirs]) await utimes(join(folder, name), dayAgo, dayAgo)
  await utimes(join(folder, fresh), new Date(NOW), new Date(NOW))
  await exportToFolder(dataset, folder, options())
  const names = await readdir(folder)
  expect([names.includes(old), names.includes(fresh), names.includes(theirs)]).toEqual([
    false,
    true,
    true,
  ])
})

test('a file that is there is replaced only when asked to, with what is beside it', async () => {
  const path = join(folder, 'b.car')
  const first = await exportToFile(dataset, path, options())
  expect(await codeOf(exportToFile(dataset, path, options()))).toBe('usage')
  await dataset.put('more', 1)
  const second = await exportToFile(dataset, path, options({ force: true }))
  expect(second.backup.sidecar.sha256).not.toBe(first.backup.sidecar.sha256)
  expect(sha256(await readFile(path))).toBe(second.backup.sidecar.sha256)
  expect((await readdir(folder)).sort()).toEqual(['b.car', 'b.json', 'b.sha256'])
  await writeFile(join(folder, 'c.json'), 'mine')
  expect(await codeOf(exportToFile(dataset, join(folder, 'c.car'), options()))).toBe('usage')
  expect(await codeOf(exportToFile(dataset, join(folder, 'no', 'b.car'), options()))).toBe('usage')
  expect(await codeOf(exportToFile(dataset, folder, options({ force: true })))).toBe('usage')
})

test.each([1, 2] as const)(
  'version %i to a stream, plain and encrypted, is what a file gets',
  async (version) => {
    const identity = await generateX25519Identity()
    const recipients = [await identityToRecipient(identity)]
    const file = await exportToFolder(dataset, folder, options({ version }))
    const plain = await streamed(options({ version }))
    expect(sha256(plain.bytes)).toBe(file.backup.sidecar.sha256)
    const secret = await streamed(options({ version, recipients }))
    expect(secret.sidecar.sha256).toBe(sha256(secret.bytes))
    expect(secret.sidecar.car_sha256).toBe(file.backup.sidecar.sha256)
    const opened = await openCars(['-'], { identities: [identity], stdin: parts(secret.bytes) })
    expect(opened.cars[0]?.version).toBe(version)
    expect(opened.cars[0]?.blockCount).toBe(file.backup.sidecar.blocks)
    await opened.close()
    const cut = openCars(['-'], {
      identities: [identity],
      stdin: parts(secret.bytes.subarray(0, -1)),
    })
    expect(await codeOf(cut)).toBe('invalid_car')
    expect(await codeOf(openCars(['-'], { stdin: parts(secret.bytes) }))).toBe('access_denied')
  },
)

test('a sink that fails ends the export with its error, encrypted or not', async () => {
  const recipients = [await identityToRecipient(await generateX25519Identity())]
  for (const more of [
    {},
    { recipients },
    { version: 2 as const },
    { version: 2 as const, recipients },
  ]) {
    const failing = exportToStream(
      dataset,
      { write: () => Promise.reject(new Error('the line is cut')) },
      options(more),
    )
    await expect(failing).rejects.toThrow('the line is cut')
  }
})

async function streamed(how: WriteCarOptions): Promise<{
  bytes: Buffer
  sidecar: Awaited<ReturnType<typeof exportToStream>>
}> {
  const chunks: Buffer[] = []
  const sidecar = await exportToStream(
    dataset,
    { write: (chunk) => void chunks.push(Buffer.from(chunk)) },
    how,
  )
  return { bytes: Buffer.concat(chunks), sidecar }
}

async function* parts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000)
}
