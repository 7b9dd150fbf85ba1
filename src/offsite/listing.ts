/**
 * The copies in a bucket, told apart as in a folder of backups: a CAR counts when its sidecar is there and
 * has its size. Keys are names without a slash; what else lies in the bucket is not looked at.
 */
import {
  MAX_SIDECAR_BYTES,
  newestFirst,
  sortOut,
  type Backup,
  type BackupFolder,
} from '../backup/folder.ts'
import type { BackupPaths } from '../backup/name.ts'
import { parseSidecar, type Sidecar } from '../backup/sidecar.ts'
import type { LongOptions } from '../engine/context.ts'
import { CairnError, throwIfAborted, toCairnError } from '../errors.ts'
import type { Bucket, ObjectInfo } from '../s3/bucket.ts'
import { inOrder } from '../util/in-order.ts'

/** Its paths are keys. */
export interface OffsiteListing extends BackupFolder {
  readonly objects: ReadonlyMap<string, ObjectInfo>
}

/** What sidecars said: they are written once. By the place, the key and the tag of the object. */
export type SidecarMemory = Map<string, Sidecar>

export interface ReadOffsiteOptions extends Pick<LongOptions, 'signal'> {
  readonly memory?: SidecarMemory
}

const NAME = /^[^./\\\p{Cc}][^/\\\p{Cc}]{0,254}$/u
const SIDECARS_AT_ONCE = 8
const MOST_REMEMBERED = 10_000

/** A name that is safe as that of a file: no folder, nothing hidden. */
export const isCopyName = (name: string): boolean => NAME.test(name)

export async function readOffsite(
  bucket: Bucket,
  { signal, memory }: ReadOffsiteOptions = {},
): Promise<OffsiteListing> {
  const { objects: all } = await bucket.list('', { folders: true, signal })
  const objects = new Map(all.filter(({ key }) => isCopyName(key)).map((one) => [one.key, one]))
  const names = [...objects.keys()].sort()
  const sidecars = await readSidecars(bucket, objects, { signal, memory: memory ?? new Map() })
  const sorted = await sortOut(
    names,
    (name) => name,
    async (paths) => copyOf(paths, objects, sidecars),
  )
  return { ...sorted, objects }
}

type Read = Sidecar | CairnError

function copyOf(
  paths: BackupPaths,
  objects: ReadonlyMap<string, ObjectInfo>,
  sidecars: ReadonlyMap<string, Read>,
): Backup {
  const sidecar = sidecars.get(paths.sidecar)
  if (sidecar === undefined) throw new CairnError('not_found', 'Its sidecar is gone.')
  if (sidecar instanceof CairnError) throw sidecar
  const { size = 0 } = objects.get(paths.car) ?? {}
  if (size === sidecar.size_bytes) return { sidecar, paths }
  throw new CairnError(
    'invalid_car',
    `The copy ${paths.car} has ${size} bytes, its sidecar says ${sidecar.size_bytes}.`,
    { hint: '`cairn offsite push` copies it again.', path: paths.car },
  )
}

/** Of the names that belong to a CAR. */
async function readSidecars(
  bucket: Bucket,
  objects: ReadonlyMap<string, ObjectInfo>,
  options: Required<Pick<ReadOffsiteOptions, 'memory'>> & Pick<LongOptions, 'signal'>,
): Promise<ReadonlyMap<string, Read>> {
  const sidecars = [...objects.values()].filter(
    ({ key }) =>
      key.endsWith('.json') &&
      ['.car', '.car.age'].some((ending) => objects.has(key.replace(/\.json$/, ending))),
  )
  const found = new Map<string, Read>()
  const read = async (one: ObjectInfo): Promise<readonly [string, Read]> => {
    try {
      return [one.key, await readSidecar(bucket, one, options)]
    } catch (error) {
      throwIfAborted(options.signal)
      const told = toCairnError(error)
      // Of a bucket that does not answer nothing can be said, and least of all that its copies are damaged.
      if (told.code !== 'invalid_car' && told.code !== 'format_unsupported') throw told
      return [one.key, told]
    }
  }
  for await (const [key, value] of inOrder(sidecars, read, SIDECARS_AT_ONCE)) found.set(key, value)
  return found
}

async function readSidecar(
  bucket: Bucket,
  { key, etag, size }: ObjectInfo,
  { memory, signal }: Required<Pick<ReadOffsiteOptions, 'memory'>> & Pick<LongOptions, 'signal'>,
): Promise<Sidecar> {
  const name = `${bucket.location} ${key} ${etag}`
  const known = memory.get(name)
  if (known !== undefined) return known
  if (size === 0 || size > MAX_SIDECAR_BYTES) {
    throw new CairnError('invalid_car', `The sidecar ${key} has ${size} bytes, as none has.`)
  }
  const got = await bucket.getRange(key, 0, MAX_SIDECAR_BYTES, { signal })
  // Removed since the listing; so is its CAR, or will be.
  if (got === undefined) throw new CairnError('invalid_car', `The sidecar ${key} is gone.`)
  const sidecar = parseSidecar(Buffer.from(got.bytes).toString('utf8'))
  if (memory.size >= MOST_REMEMBERED) memory.clear()
  if (etag !== '') memory.set(name, sidecar)
  return sidecar
}

/** One order for copies and for what is still in the folder alone. */
export const together = (...places: readonly (readonly Backup[])[]): Backup[] =>
  newestFirst(places.flat())
