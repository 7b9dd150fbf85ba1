/**
 * Opening CARs wherever they come from. A plain file is read in place. What comes as a stream, or is
 * encrypted, goes first into a file without a name; nothing decrypted is ever to be found on the disk.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { decryptWith, isAge } from '../car/age.ts'
import { CarFile } from '../car/file.ts'
import { ofFile } from '../car/of-file.ts'
import { writeFully } from '../car/file-sink.ts'
import type { LongOptions } from '../engine/context.ts'
import { CairnError } from '../errors.ts'
import { untilAborted } from '../util/abortable.ts'
import { requireSpace } from './space.ts'
import { openSpool, spoolPath } from './spool.ts'

export interface OpenCarsOptions extends LongOptions {
  /** Secret keys of age. */
  readonly identities?: readonly string[] | undefined
  /** The folder for what has to be written first; the system's unless given. */
  readonly tempDir?: string | undefined
  /** What a source is called when something is wrong with it; its path unless given. */
  readonly names?: ReadonlyMap<string, string> | undefined
  /** What "-" stands for; the process's input unless given. */
  readonly stdin?: AsyncIterable<Uint8Array> | undefined
  /** Of a CARv2: take its index for granted, for lookups; never for restoring. */
  readonly trustIndex?: boolean | undefined
}

export interface OpenedCars {
  readonly cars: readonly CarFile[]
  close(): Promise<void>
}

/** Each source is a path, or "-". Their order does not matter. */
export async function openCars(
  sources: readonly string[],
  options: OpenCarsOptions = {},
): Promise<OpenedCars> {
  if (sources.filter((one) => one === '-').length > 1) {
    throw new CairnError('usage', 'Standard input holds one CAR.', {
      hint: 'Name "-" once, and files for the others.',
    })
  }
  const cars: CarFile[] = []
  const close = async (): Promise<void> => {
    for (const car of cars.splice(0)) await car.close()
  }
  try {
    for (const source of sources)
      cars.push(await ofFile(nameOf(source, options), source, () => openOne(source, options)))
  } catch (error) {
    await close()
    throw error
  }
  return { cars, close }
}

async function openOne(source: string, options: OpenCarsOptions): Promise<CarFile> {
  if (source === '-') return openStream(options.stdin ?? process.stdin, source, options)
  const file = await openFile(source)
  try {
    const stats = await file.stat()
    // A pipe, as `<(...)` of a shell makes one.
    if (stats.isFIFO()) return await openStream(streamOf(file), source, options)
    if (!stats.isFile() || !isAge(await beginningOf(file)))
      return await CarFile.open(source, options)
    await requireSpace(options.tempDir ?? tmpdir(), stats.size, `The CAR in ${source}`)
    return await openStream(streamOf(file), source, options, stats.size)
  } finally {
    await file.close()
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'EACCES' || code === 'EPERM') {
      throw new CairnError('access_denied', `The file ${path} may not be read by this user.`, {
        hint: 'Check who may use it, or run as its owner.',
        path,
        cause,
      })
    }
    throw new CairnError('usage', `The file ${path} cannot be opened.`, {
      hint: 'Check the path.',
      path,
      cause,
    })
  }
}

/** Of the file that is open: a pipe cannot be opened twice. */
const streamOf = (file: FileHandle): AsyncIterable<Uint8Array> =>
  file.createReadStream({ autoClose: false, highWaterMark: STREAM_BYTES })

const STREAM_BYTES = 256 * 1024
const BEGINNING_BYTES = 64

async function beginningOf(file: FileHandle): Promise<Uint8Array> {
  const { bytesRead, buffer } = await file.read(new Uint8Array(BEGINNING_BYTES), 0, undefined, 0)
  return buffer.subarray(0, bytesRead)
}

const nameOf = (source: string, { names }: Pick<OpenCarsOptions, 'names'>): string =>
  names?.get(source) ?? (source === '-' ? 'standard input' : source)

/** Writes a stream, decrypted if it is encrypted, into a file without a name and opens that. */
async function openStream(
  stream: AsyncIterable<Uint8Array>,
  source: string,
  options: OpenCarsOptions,
  total?: number,
): Promise<CarFile> {
  const { signal, tempDir, onProgress, identities = [] } = options
  const { beginning, all } = await lookAhead(untilAborted(stream, signal))
  const encrypted = isAge(beginning)
  if (encrypted && identities.length === 0) throw needsIdentity(nameOf(source, options))
  const step = encrypted ? 'decrypt' : 'read'
  const plain = encrypted ? await decryptWith(identities, all) : all
  const spool = await openSpool(tempDir)
  try {
    let done = 0
    for await (const part of plain) {
      await writeFully(spool, part, done)
      done += part.length
      onProgress?.({ step, done, unit: 'bytes', ...(total === undefined ? {} : { total }) })
    }
    return await CarFile.open(spoolPath(spool), options)
  } finally {
    await spool.close()
  }
}

function needsIdentity(name: string): CairnError {
  return new CairnError('access_denied', `The CAR in ${name} is encrypted.`, {
    hint: 'Give the file of the secret key with --identity.',
    path: name,
  })
}

/** The first bytes, and all of them again. */
async function lookAhead(
  stream: AsyncGenerator<Uint8Array>,
): Promise<{ beginning: Uint8Array; all: AsyncGenerator<Uint8Array> }> {
  let beginning: Uint8Array = new Uint8Array(0)
  while (beginning.length < BEGINNING_BYTES) {
    const next = await stream.next()
    if (next.done === true) break
    beginning = Buffer.concat([beginning, next.value])
  }
  return {
    beginning,
    all: (async function* () {
      try {
        yield beginning
        yield* stream
      } finally {
        await stream.return(undefined)
      }
    })(),
  }
}
