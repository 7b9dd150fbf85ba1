/**
 * Bringing a copy back into a folder of backups: its bytes under a name that nobody looks for, which a pull
 * that was cut off finds again, then proved by their sha256, synced, and named as an export names them.
 */
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { Backup } from '../backup/folder.ts'
import { pathsBeside } from '../backup/name.ts'
import { completeBeside, publishAll } from '../backup/publish-backup.ts'
import { publish, refuseExisting } from '../backup/publish.ts'
import { hashAll } from '../backup/read-file.ts'
import type { Sidecar } from '../backup/sidecar.ts'
import { requireSpace } from '../backup/space.ts'
import { tidyFolder } from '../backup/tidy-folder.ts'
import { writeFully } from '../car/file-sink.ts'
import type { LongOptions } from '../engine/context.ts'
import { CairnError } from '../errors.ts'
import type { Bucket } from '../s3/bucket.ts'
import { notTheCar, readCar } from './read-car.ts'

export interface PullOptions extends LongOptions {
  readonly folder: string
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export interface PulledCar {
  readonly name: string
  readonly path: string
  readonly status: 'pulled' | 'already_there'
  readonly bytes: number
  /** Less than `bytes` where a part of it was there. */
  readonly readBytes: number
}

/** What one needs goes before it, so that a folder never has a delta alone for longer than that takes. */
export async function pull(
  bucket: Bucket,
  copies: readonly Backup[],
  options: PullOptions,
): Promise<PulledCar[]> {
  const { folder, now } = options
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await tidyFolder(folder, now(), options)
  const pulled: PulledCar[] = []
  for (const copy of copies) pulled.push(await pullOne(bucket, copy, options))
  return pulled
}

async function pullOne(bucket: Bucket, copy: Backup, options: PullOptions): Promise<PulledCar> {
  const { folder } = options
  const name = copy.paths.car
  const paths = pathsBeside(join(folder, name))
  const sidecar = { ...copy.sidecar, filename: name, path: paths.car }
  const done = { name, path: paths.car, bytes: sidecar.size_bytes }
  if (await isPulled(paths.car, sidecar, options)) {
    await completeBeside({ paths, sidecar })
    return { ...done, status: 'already_there', readBytes: 0 }
  }
  const temporary = join(folder, partialName(name, sidecar))
  const readBytes = await fetchProved(bucket, name, sidecar, temporary, options)
  const published = await publishAll(paths, { temporary }, sidecar, publish)
  if (published === undefined) await refuseExisting(Object.values(paths))
  await rm(temporary, { force: true })
  return { ...done, status: 'pulled', readBytes }
}

/** As those of exports, so that what nobody goes on with is removed; the same for the same bytes. */
const partialName = (name: string, { sha256 }: Sidecar): string =>
  `.${name}.0-${sha256.slice(0, 12)}.partial`

/** Whether the file is there, with these bytes; one with others is not touched. */
async function isPulled(path: string, sidecar: Sidecar, options: PullOptions): Promise<boolean> {
  const file = await open(path).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  })
  if (file === undefined) return false
  await using opened = file
  const { size } = await opened.stat()
  if (
    size === sidecar.size_bytes &&
    (await hashAll(opened, size, 'prove', options)) === sidecar.sha256
  )
    return true
  throw new CairnError('usage', `The file ${path} is there already, and is another one.`, {
    hint: 'Pull into another folder with --into, or move the file away.',
    path,
  })
}

/** Answers how many bytes were read from the bucket. What was there before is not believed: all is hashed. */
async function fetchProved(
  bucket: Bucket,
  key: string,
  sidecar: Sidecar,
  path: string,
  options: PullOptions,
): Promise<number> {
  const { size_bytes: size, sha256 } = sidecar
  await using file = await openPartial(path)
  const before = Math.min((await file.stat()).size, size)
  await requireSpace(options.folder, size - before, `The copy ${key}`)
  let read = await fetchFrom(bucket, key, file, { from: before, size }, options)
  let isGood = (await hashAll(file, size, 'prove', options)) === sha256
  if (!isGood && before > 0) {
    read += await fetchFrom(bucket, key, file, { from: 0, size }, options)
    isGood = (await hashAll(file, size, 'prove', options)) === sha256
  }
  if (isGood) return read
  await rm(path, { force: true })
  throw notTheCar(key)
}

async function openPartial(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx+', 0o600)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST')
      return open(path, 'r+')
    throw error
  }
}

async function fetchFrom(
  bucket: Bucket,
  key: string,
  file: FileHandle,
  { from, size }: { readonly from: number; readonly size: number },
  { signal, onProgress }: PullOptions,
): Promise<number> {
  let at = from
  for await (const bytes of readCar(bucket, key, { from, size }, { signal })) {
    await writeFully(file, bytes, at)
    at += bytes.length
    onProgress?.({ step: 'fetch', done: at, total: size, unit: 'bytes' })
  }
  await file.truncate(size)
  await file.sync()
  return size - from
}
