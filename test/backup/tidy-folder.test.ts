/** What a process leaves that dies while it gives a backup its names, and what a later one makes of it. */
import { cp, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { readBackups, type Backup } from '../../src/backup/folder.ts'
import { isUnfinishedName, pathsBeside, type BackupPaths } from '../../src/backup/name.ts'
import { publishAll } from '../../src/backup/publish-backup.ts'
import { publish } from '../../src/backup/publish.ts'
import { printSidecar } from '../../src/backup/sidecar.ts'
import { tidyFolder } from '../../src/backup/tidy-folder.ts'
import { exportToFolder } from '../../src/backup/write-car.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { codeOf } from './backups.ts'

const NOW = Date.UTC(2026, 10, 21, 3, 4, 5)
const HOUR = 3_600_000

let dir: string
let dataset: Dataset
let whole: Backup

const options = { version: 1, recipients: [], force: false, now: () => NOW } as const

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-tidy-'))
  const made = await new Cairn(openMemory()).init('main')
  dataset = made.dataset
  await dataset.put('one', { n: 1 })
  whole = (await exportToFolder(dataset, join(dir, 'whole'), options)).backup
})

afterEach(() => rm(dir, { recursive: true, force: true }))

/** The folder as it is when the process dies right after the file at `last` got its name. */
async function killedAfter(last: keyof BackupPaths): Promise<string> {
  const [going, killed] = [join(dir, 'going'), join(dir, 'killed')]
  const name = basename(whole.paths.car)
  const temporary = join(going, '.main.1-aaaaaaaaaaaa.partial')
  await cp(whole.paths.car, temporary)
  const paths = pathsBeside(join(going, name))
  const sidecar = { ...whole.sidecar, path: paths.car }
  await publishAll(paths, { temporary }, sidecar, async (from, to) => {
    const given = await publish(from, to)
    if (to === paths[last]) await cp(going, killed, { recursive: true })
    return given
  })
  return killed
}

const unfinishedIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder)).filter(isUnfinishedName)

async function age(folder: string, hours: number): Promise<void> {
  const then = new Date(NOW - hours * HOUR)
  for (const name of await unfinishedIn(folder)) await utimes(join(folder, name), then, then)
}

const carsOf = (backups: readonly Backup[]): string[] =>
  backups.map(({ paths }) => basename(paths.car))

test.each(['car', 'sums'] as const)(
  'an export that died when its %s had its name is finished by one that comes a day later',
  async (last) => {
    const folder = await killedAfter(last)
    const name = basename(whole.paths.car)
    await age(folder, 25)
    const before = await readBackups(folder)
    expect([carsOf(before.backups), before.unfinished]).toEqual([[], [join(folder, name)]])
    await dataset.put('two', { n: 2 })
    const { backup } = await exportToFolder(dataset, folder, options)
    const { backups, unfinished, damaged } = await readBackups(folder)
    expect(carsOf(backups)).toEqual([basename(backup.paths.car), name])
    expect([unfinished, damaged, await unfinishedIn(folder)]).toEqual([[], [], []])
    const { sums } = pathsBeside(join(folder, name))
    expect(await readFile(sums, 'utf8')).toBe(await readFile(whole.paths.sums, 'utf8'))
  },
)

test('one that may still be at it is left alone', async () => {
  const folder = await killedAfter('car')
  await age(folder, 23)
  const names = await readdir(folder)
  await tidyFolder(folder, NOW)
  expect(await readdir(folder)).toEqual(names)
})

test('a whole backup stays as it is, and what is left beside it goes', async () => {
  const folder = await killedAfter('sidecar')
  await age(folder, 25)
  await tidyFolder(folder, NOW)
  const name = basename(whole.paths.car)
  expect(carsOf((await readBackups(folder)).backups)).toEqual([name])
  expect(await readdir(folder)).toHaveLength(3)
})

test('a CAR of other bytes gets no sidecar, and is not touched', async () => {
  const folder = await killedAfter('car')
  const car = join(folder, basename(whole.paths.car))
  const bytes = await readFile(car)
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1)
  await rm(car)
  await writeFile(car, bytes)
  await age(folder, 25)
  await tidyFolder(folder, NOW)
  const { backups, unfinished } = await readBackups(folder)
  expect([backups, unfinished]).toEqual([[], [car]])
  expect(await readFile(car)).toEqual(bytes)
  expect(await unfinishedIn(folder)).toEqual([])
})

test('a CAR that lost its sidecar, or never had one, is not touched', async () => {
  const folder = join(dir, 'whole')
  await rm(whole.paths.sidecar)
  await tidyFolder(folder, NOW + 1000 * HOUR)
  expect((await readBackups(folder)).unfinished).toEqual([whole.paths.car])
})

test('a sidecar that was cut short, or tells of a file elsewhere, finishes nothing', async () => {
  const folder = join(dir, 'whole')
  await rm(whole.paths.sidecar)
  const text = printSidecar(whole.sidecar)
  const elsewhere = printSidecar({
    ...whole.sidecar,
    filename: `../whole/${whole.sidecar.filename}`,
  })
  const name = basename(whole.paths.sidecar)
  await writeFile(join(folder, `.${name}.1-aaaaaaaaaaaa.partial`), text.slice(0, -10))
  await writeFile(join(folder, `.other.json.1-bbbbbbbbbbbb.partial`), text)
  await writeFile(join(folder, `.${name}.1-cccccccccccc.partial`), elsewhere)
  await age(folder, 25)
  await tidyFolder(folder, NOW)
  expect((await readdir(folder)).toSorted()).toEqual(
    [whole.paths.car, whole.paths.sums].map((path) => basename(path)).toSorted(),
  )
})

test('who gives up meanwhile has changed nothing', async () => {
  const folder = await killedAfter('car')
  await age(folder, 25)
  const names = await readdir(folder)
  const tidying = tidyFolder(folder, NOW, { signal: AbortSignal.abort() })
  expect(await codeOf(tidying)).toBe('aborted')
  expect(await readdir(folder)).toEqual(names)
})
