/**
 * CARs to restore from that may lie in buckets. Each copy is fetched into a file without a name, as a stream
 * is, and must have the bytes that its sidecar tells of before anything reads it.
 */
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import type { Backup } from '../backup/folder.ts'
import { isCarName } from '../backup/name.ts'
import { requireSpace } from '../backup/space.ts'
import { openSpool, spoolPath } from '../backup/spool.ts'
import { writeFully } from '../car/file-sink.ts'
import type { LongOptions } from '../engine/context.ts'
import type { BucketAddress } from '../s3/address.ts'
import { chooseCopy, type Chosen, type Wanted } from './choose.ts'
import { readOffsite } from './listing.ts'
import { isOffsiteAddress, parseOffsite, withPlace, type Place } from './place.ts'
import { notTheCar, readCar } from './read-car.ts'

export interface FetchOptions extends LongOptions, Omit<Wanted, 'which'> {
  /** The folder for what is fetched; the system's unless given. */
  readonly tempDir?: string | undefined
}

export interface FetchedSources {
  /** Paths in the place of addresses; each may be more than one. */
  readonly sources: readonly string[]
  /** What those are called. */
  readonly names: ReadonlyMap<string, string>
  /** The copies that were fetched. */
  readonly copies: readonly Backup[]
  /** What people may want to know. */
  readonly notes: readonly string[]
  close(): Promise<void>
}

/** What is no address of a bucket stays as it is. */
export async function fetchSources(
  sources: readonly string[],
  options: FetchOptions,
): Promise<FetchedSources> {
  const fetching = new Fetching(options)
  try {
    const paths: string[] = []
    for (const source of sources) {
      if (isOffsiteAddress(source)) paths.push(...(await fetching.fetch(source)))
      else paths.push(source)
    }
    return { ...fetching.fetched, sources: paths, close: () => fetching.close() }
  } catch (error) {
    await fetching.close()
    throw error
  }
}

class Fetching {
  readonly #options: FetchOptions
  readonly #files: FileHandle[] = []
  readonly #names = new Map<string, string>()
  readonly #copies: Backup[] = []
  readonly #notes: string[] = []
  /** By its address: a base may be named as well as found. */
  readonly #there = new Set<string>()

  constructor(options: FetchOptions) {
    this.#options = options
  }

  get fetched(): Pick<FetchedSources, 'names' | 'copies' | 'notes'> {
    return { names: this.#names, copies: this.#copies, notes: this.#notes }
  }

  fetch(source: string): Promise<string[]> {
    const { address, which } = splitAddress(source)
    return withPlace(address, {}, async (place) => {
      const { signal } = this.#options
      const listing = await readOffsite(place.bucket, { signal })
      const chosen = chooseCopy(listing, { ...this.#options, which }, place.location)
      this.#note(chosen)
      const paths: string[] = []
      for (const copy of [chosen.copy, ...chosen.bases]) {
        const path = await this.#fetchOne(place, copy)
        if (path !== undefined) paths.push(path)
      }
      return paths
    })
  }

  #note({ copy, bases, passedOver }: Chosen): void {
    for (const { paths } of passedOver)
      this.#notes.push(`${paths.car} is newer, but its base is missing`)
    const names = [copy, ...bases].map(({ paths }) => paths.car)
    this.#notes.push(`from the bucket: ${names.join(', ')}`)
  }

  async #fetchOne(place: Place, copy: Backup): Promise<string | undefined> {
    const name = place.addressOf(copy.paths.car)
    if (this.#there.has(name)) return undefined
    const { tempDir = tmpdir() } = this.#options
    await requireSpace(tempDir, copy.sidecar.size_bytes, `The copy ${copy.paths.car}`)
    const spool = await openSpool(tempDir)
    this.#files.push(spool)
    await this.#pour(place, copy, spool)
    this.#there.add(name)
    this.#copies.push(copy)
    this.#names.set(spoolPath(spool), name)
    return spoolPath(spool)
  }

  async #pour({ bucket }: Place, { paths, sidecar }: Backup, spool: FileHandle): Promise<void> {
    const { signal, onProgress } = this.#options
    const { size_bytes: size, sha256 } = sidecar
    const hash = createHash('sha256')
    let done = 0
    for await (const bytes of readCar(bucket, paths.car, { from: 0, size }, { signal })) {
      hash.update(bytes)
      await writeFully(spool, bytes, done)
      done += bytes.length
      onProgress?.({ step: 'fetch', done, total: size, unit: 'bytes' })
    }
    if (hash.digest('hex') !== sha256) throw notTheCar(paths.car)
  }

  async close(): Promise<void> {
    for (const file of this.#files.splice(0)) await file.close()
  }
}

/** An address whose last part is the name of a CAR means that one. */
function splitAddress(text: string): { address: BucketAddress; which: string | undefined } {
  const address = parseOffsite(text)
  const parts = address.prefix.split('/').slice(0, -1)
  const last = parts.pop()
  if (last === undefined || !isCarName(last)) return { address, which: undefined }
  return { address: { ...address, prefix: parts.map((part) => `${part}/`).join('') }, which: last }
}
