/**
 * Exporting a dataset into a CAR that can be relied on:
 *
 *   1 see that there is room
 *   2 write it under a name that nobody looks for, and sync it
 *   3 read it back: the bytes are those that were written, and it opens as a CAR of that root
 *   4 give the CAR its name, then the checksum file, and last the sidecar
 *
 * A process that dies anywhere leaves no half file under a final name; one that dies within 4 leaves a
 * whole CAR without a sidecar, which counts for nothing until a later export has tidied up.
 */
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { CarFile } from '../car/file.ts'
import type { BlockWriter, CarSink } from '../car/writer.ts'
import type { Dataset } from '../engine/dataset.ts'
import type { ExportCarOptions, ExportedCar } from '../engine/export-car.ts'
import { CairnError, throwIfAborted } from '../errors.ts'
import { decodeCheckpoint, type Checkpoint } from '../model/checkpoint.ts'
import { bytesEqual, printCid, type CidBytes } from '../model/cid.ts'
import { CarOutput, type CarForm, type FileWritten } from './car-output.ts'
import { readBackups, type Backup, type BackupFolder } from './folder.ts'
import { pathsBeside, printTimestamp, unfinishedName } from './name.ts'
import { publishAs, publishNamed, type Written } from './publish-backup.ts'
import { checkFolder, refuseExisting } from './publish.ts'
import { hashAll } from './read-file.ts'
import { sidecarOf, type CarFacts, type Sidecar } from './sidecar.ts'
import { requireSpace } from './space.ts'
import { tidyFolder } from './tidy-folder.ts'

export interface WriteCarOptions extends ExportCarOptions, CarForm {
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Export even if a backup holds the same state, and replace a file that is there. */
  readonly force: boolean
}

export interface BackedUp {
  readonly status: 'exported' | 'already_exported'
  readonly backup: Backup
}

/** Into a folder of backups, under a name that says what it is. */
export async function exportToFolder(
  dataset: Dataset,
  folder: string,
  options: WriteCarOptions,
): Promise<BackedUp> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await tidyFolder(folder, options.now(), options)
  const there = await readBackups(folder)
  await checkSpace(dataset, folder, there, options)
  const same = (root: CidBytes): Promise<Backup | undefined> =>
    options.force ? Promise.resolve(undefined) : findSame(there, root, options)
  try {
    const backup = await withWritten(dataset, folder, dataset.name, options, same, (written) =>
      publishNamed(folder, written, options.now()),
    )
    return { status: 'exported', backup }
  } catch (error) {
    if (error instanceof AlreadyThere) return { status: 'already_exported', backup: error.backup }
    throw error
  }
}

/** To a file of any name; with `force` in the place of the one that is there. */
export async function exportToFile(
  dataset: Dataset,
  path: string,
  options: WriteCarOptions,
): Promise<BackedUp> {
  const folder = dirname(path)
  const paths = pathsBeside(path)
  await checkFolder(folder, path)
  await refuseExisting(Object.values(paths), options.force)
  await tidyFolder(folder, options.now(), options)
  await checkSpace(dataset, folder, undefined, options)
  const none = (): Promise<undefined> => Promise.resolve(undefined)
  const backup = await withWritten(dataset, folder, basename(path), options, none, (written) =>
    publishAs(paths, written, options),
  )
  return { status: 'exported', backup }
}

/** As a stream, which nobody can take back or verify here. */
export async function exportToStream(
  dataset: Dataset,
  sink: CarSink,
  options: WriteCarOptions,
): Promise<Sidecar> {
  const output = CarOutput.toSink(options, sink)
  try {
    const { exported, checkpoint, written } = await writeInto(dataset, output, options)
    const facts = factsOf(options, exported, checkpoint, written)
    return sidecarOf(facts, {
      filename: '-',
      path: '-',
      timestamp: printTimestamp(options.now()),
    })
  } finally {
    await output.close()
  }
}

/** The size of the last backup of the kind, or at least that of the tree. */
async function checkSpace(
  dataset: Dataset,
  folder: string,
  there: BackupFolder | undefined,
  { content = 'full', since, version, recipients, signal }: WriteCarOptions,
): Promise<void> {
  const last = there?.backups.find(
    ({ sidecar }) =>
      sidecar.dataset === dataset.name &&
      sidecar.content === content &&
      (sidecar.since === null) === (since === undefined),
  )
  const { treeBytes } = await dataset.status({ signal })
  const tree = since === undefined ? treeBytes : 0
  const bytes = Math.max(tree, last?.sidecar.size_bytes ?? 0)
  // A CARv2 is whole before it can be encrypted.
  const times = version === 2 && recipients.length > 0 ? 2 : 1
  await requireSpace(folder, times * bytes, 'The CAR')
}

/** Ends an export that would make what is there already. */
class AlreadyThere extends Error {
  readonly backup: Backup

  constructor(backup: Backup) {
    super('already there')
    this.backup = backup
  }
}

/** A backup of the same state in the same form, and still as it was written. */
async function findSame(
  { backups }: BackupFolder,
  root: CidBytes,
  { version, recipients }: WriteCarOptions,
): Promise<Backup | undefined> {
  const cid = printCid(root)
  const wanted = [...recipients].sort().join()
  for (const backup of backups) {
    const { checkpoint_cid, car_version, encrypted_to, sha256, size_bytes } = backup.sidecar
    const fits =
      checkpoint_cid === cid &&
      car_version === version &&
      [...encrypted_to].sort().join() === wanted
    if (!fits) continue
    await using file = await open(backup.paths.car)
    if ((await hashAll(file, size_bytes, 'read back')) === sha256) return backup
  }
  return undefined
}

/** Steps 2 and 3; `publishIt` is 4. What is under a temporary name is gone afterwards. */
async function withWritten<T>(
  dataset: Dataset,
  folder: string,
  name: string,
  options: WriteCarOptions,
  same: (root: CidBytes) => Promise<Backup | undefined>,
  publishIt: (written: Written) => Promise<T | undefined>,
): Promise<T> {
  const temporary = join(folder, unfinishedName(name))
  const file = await open(temporary, 'wx+', 0o600)
  try {
    const facts = await writeAndProve(dataset, file, temporary, options, same)
    throwIfAborted(options.signal)
    const published = await publishIt({ temporary, facts })
    if (published !== undefined) return published
    throw new CairnError('internal', `No name was free for a CAR in ${folder}.`)
  } finally {
    await file.close()
    await rm(temporary, { force: true })
  }
}

async function writeAndProve(
  dataset: Dataset,
  file: FileHandle,
  path: string,
  options: WriteCarOptions,
  same: (root: CidBytes) => Promise<Backup | undefined>,
): Promise<CarFacts> {
  const output = CarOutput.toFile(options, file, dirname(path))
  try {
    const { exported, checkpoint, written } = await writeInto(dataset, output, options, same)
    await file.sync()
    await prove(file, path, exported, written, options)
    return factsOf(options, exported, checkpoint, written)
  } finally {
    await output.close()
  }
}

function factsOf(
  { version, recipients, now }: WriteCarOptions,
  exported: ExportedCar,
  checkpoint: Checkpoint,
  { bytes, sha256 }: FileWritten,
): CarFacts {
  return {
    exported,
    checkpoint,
    version,
    recipients,
    sizeBytes: bytes,
    sha256,
    verifiedAt: now(),
  }
}

interface Exported {
  readonly exported: ExportedCar
  readonly checkpoint: Checkpoint
  readonly written: FileWritten
}

async function writeInto(
  dataset: Dataset,
  output: CarOutput,
  options: WriteCarOptions,
  same?: (root: CidBytes) => Promise<Backup | undefined>,
): Promise<Exported> {
  let checkpoint: Checkpoint | undefined
  const begin = async (root: CidBytes): Promise<BlockWriter> => {
    const backup = await same?.(root)
    if (backup !== undefined) throw new AlreadyThere(backup)
    const writer = await output.begin(root)
    return {
      put: (cid, bytes) => {
        if (checkpoint === undefined && bytesEqual(cid, root)) checkpoint = decodeCheckpoint(bytes)
        return writer.put(cid, bytes)
      },
      finish: () => writer.finish(),
    }
  }
  const exported = await dataset.exportCar(begin, options)
  const written = await output.end(exported)
  if (checkpoint !== undefined) return { exported, checkpoint, written }
  throw new CairnError('internal', 'an export without its checkpoint')
}

/**
 * The walk of the export has hashed every block that it wrote and has missed none, so the file holds all
 * of it if it holds the bytes that were written. An encrypted one cannot be opened here.
 */
async function prove(
  file: FileHandle,
  path: string,
  exported: ExportedCar,
  { bytes, sha256 }: FileWritten,
  { recipients, tempDir, signal, onProgress }: WriteCarOptions,
): Promise<void> {
  const { size } = await file.stat()
  if (size !== bytes || (await hashAll(file, size, 'read back', { signal, onProgress })) !== sha256)
    throw notAsWritten('its bytes are not those that were written')
  if (recipients.length > 0) return
  const car = await CarFile.open(path, { tempDir, signal })
  try {
    const [root, another] = car.roots
    const isOurs =
      root !== undefined && another === undefined && bytesEqual(root, exported.checkpoint)
    if (!isOurs || car.blockCount !== exported.blocks)
      throw notAsWritten('it does not hold the blocks that were written')
  } finally {
    await car.close()
  }
}

function notAsWritten(why: string): CairnError {
  return new CairnError('invalid_car', `The CAR cannot be read back as it was written: ${why}.`, {
    hint: 'The disk or its memory is at fault: check both, and write it elsewhere. No backup was made.',
  })
}
