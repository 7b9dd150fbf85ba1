/**
 * Sending one backup. The sidecar goes last, when what is in the bucket was proved, so that a copy that was
 * cut off anywhere is none. An upload in parts that was cut off is found again by its key; a part of it is
 * believed only if its checksum is the one that the part of our file has.
 */
import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Backup } from '../backup/folder.ts'
import { pathsBeside } from '../backup/name.ts'
import { printSidecar, printSums, type Sidecar } from '../backup/sidecar.ts'
import { CairnError, isCairnError, throwIfAborted } from '../errors.ts'
import type { Bucket, UploadedPart } from '../s3/bucket.ts'
import { inOrder } from '../util/in-order.ts'
import { SHA256_MARK, SIZE_MARK } from './copy-flaw.ts'
import { checksumOf, digestOf, partsOf, type Part } from './parts.ts'
import { hashCopy, notTheCar } from './read-car.ts'

export interface SendOptions {
  readonly signal?: AbortSignal | undefined
  /** Read it all back. */
  readonly verify: boolean
  /** So much more is in the bucket, or was found there. */
  readonly onBytes: (count: number) => void
}

export interface Sent {
  /** Bytes of the CAR that went over the wire. */
  readonly sentBytes: number
}

const PARTS_AT_ONCE = 3
const JSON_TYPE = 'application/json'
const TEXT_TYPE = 'text/plain; charset=utf-8'
/** The CAR's own; age has none. */
const CAR_TYPE = 'application/vnd.ipld.car'
const BYTES_TYPE = 'application/octet-stream'

export async function sendBackup(
  bucket: Bucket,
  { paths, sidecar }: Backup,
  options: SendOptions,
): Promise<Sent> {
  const name = basename(paths.car)
  const keys = pathsBeside(name)
  await using file = await open(paths.car)
  const car: Car = { bucket, key: keys.car, file, sidecar, path: paths.car }
  const sent = await sendCar(car, options)
  const { signal } = options
  // In whatever class the CAR is, these must be readable at once.
  const small = { signal, standardClass: true }
  const own = { ...sidecar, filename: name }
  const sums = Buffer.from(printSums(own))
  await bucket.put(keys.sums, sums, { ...small, contentType: TEXT_TYPE })
  const text = Buffer.from(printSidecar(own))
  await bucket.put(keys.sidecar, text, { ...small, contentType: JSON_TYPE })
  return sent
}

interface Car {
  readonly bucket: Bucket
  readonly key: string
  readonly file: FileHandle
  readonly sidecar: Sidecar
  /** Of the file. */
  readonly path: string
}

async function sendCar(car: Car, options: SendOptions): Promise<Sent> {
  const { bucket, key, sidecar } = car
  const head = await bucket.head(key, options)
  if (head?.size === sidecar.size_bytes) {
    const digests: string[] = []
    for await (const { bytes } of readParts(car, options)) digests.push(digestOf(bytes))
    if (await isThere(car, digests, options)) {
      options.onBytes(sidecar.size_bytes)
      return { sentBytes: 0 }
    }
  }
  const { digests, sentBytes } = await upload(car, options)
  if (!(await isThere(car, digests, options))) throw notTheCar(key)
  return { sentBytes }
}

/** Whether the object holds the bytes of our file: by the server's checksum of it, else by reading it. */
async function isThere(
  { bucket, key, sidecar }: Car,
  digests: readonly string[],
  { signal, verify }: SendOptions,
): Promise<boolean> {
  const head = await bucket.head(key, { signal })
  if (head?.size !== sidecar.size_bytes) return false
  // Another checksum may be that of other parts: then only the bytes tell.
  if (!verify && head.sha256 === checksumOf(digests)) return true
  return (await hashCopy(bucket, key, head.size, { signal })) === sidecar.sha256
}

interface Uploaded extends Sent {
  readonly digests: readonly string[]
}

async function upload(car: Car, options: SendOptions): Promise<Uploaded> {
  const { bucket, key, sidecar } = car
  const { signal } = options
  if (partsOf(sidecar.size_bytes).length === 1) return putWhole(car, options)
  const found = await findUpload(bucket, key, options)
  const id = found?.id ?? (await bucket.uploads.begin(key, { ...describe(sidecar), signal }))
  try {
    return await uploadParts(car, id, found?.parts ?? [], options)
  } catch (error) {
    throwIfAborted(signal)
    // Whoever else sends the same file has ended the upload that both had found.
    const isGone =
      isCairnError(error, 'backend_refused') &&
      (await bucket.uploads.parts(key, id, { signal })) === undefined
    if (!isGone) throw error
    const digests: string[] = []
    for await (const { bytes } of readParts(car, options)) digests.push(digestOf(bytes))
    return { digests, sentBytes: 0 }
  }
}

async function putWhole(car: Car, options: SendOptions): Promise<Uploaded> {
  const { bucket, key, sidecar } = car
  const digests: string[] = []
  const all: Uint8Array[] = []
  for await (const { bytes } of readParts(car, options)) {
    digests.push(digestOf(bytes))
    all.push(bytes)
  }
  const [bytes = new Uint8Array(0)] = all
  await bucket.put(key, bytes, { ...describe(sidecar), signal: options.signal })
  options.onBytes(bytes.length)
  return { digests, sentBytes: bytes.length }
}

async function uploadParts(
  car: Car,
  id: string,
  there: readonly UploadedPart[],
  options: SendOptions,
): Promise<Uploaded> {
  const { bucket, key } = car
  const known = new Map(there.map((one) => [one.number, one]))
  const parts: UploadedPart[] = []
  let sentBytes = 0
  const send = async ({ number, bytes }: ReadPart): Promise<UploadedPart> => {
    const part = known.get(number)
    if (part?.size === bytes.length && part.sha256 === digestOf(bytes)) return part
    sentBytes += bytes.length
    return bucket.uploads.part(key, id, number, bytes, options)
  }
  for await (const part of inOrder(readParts(car, options), send, PARTS_AT_ONCE)) {
    parts.push(part)
    options.onBytes(part.size)
  }
  await bucket.uploads.end(key, id, parts, options)
  return { digests: parts.map(({ sha256 }) => sha256), sentBytes }
}

interface FoundUpload {
  readonly id: string
  readonly parts: readonly UploadedPart[]
}

/** The newest that was begun and not ended. */
async function findUpload(
  bucket: Bucket,
  key: string,
  { signal }: SendOptions,
): Promise<FoundUpload | undefined> {
  const uploads = (await bucket.uploads.unfinished(key, { signal })).filter(
    (one) => one.key === key,
  )
  for (const { id } of uploads.toSorted((a, b) => b.begun - a.begun)) {
    const parts = await bucket.uploads.parts(key, id, { signal })
    if (parts !== undefined) return { id, parts }
  }
  return undefined
}

interface ReadPart extends Part {
  readonly bytes: Uint8Array
}

/** The file, part by part. Before its last part is handed on, all of it is what its sidecar says. */
async function* readParts(
  { file, path, sidecar }: Car,
  { signal }: SendOptions,
): AsyncGenerator<ReadPart> {
  const { size } = await file.stat()
  if (size !== sidecar.size_bytes) throw notAsWritten(path)
  const hash = createHash('sha256')
  for (const part of partsOf(size)) {
    throwIfAborted(signal)
    const bytes = new Uint8Array(part.size)
    await readInto(file, bytes, part.from, path)
    hash.update(bytes)
    const isLast = part.from + part.size === size
    if (isLast && hash.digest('hex') !== sidecar.sha256) throw notAsWritten(path)
    yield { ...part, bytes }
  }
}

async function readInto(
  file: FileHandle,
  bytes: Uint8Array,
  from: number,
  path: string,
): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, from + done)
    if (bytesRead === 0) throw notAsWritten(path)
    done += bytesRead
  }
}

function notAsWritten(path: string): CairnError {
  return new CairnError('invalid_car', `The CAR ${path} is not what its sidecar tells of.`, {
    hint: 'It was not copied, and no copy of it was touched. Check the disk; `cairn export-car --force` makes another.',
    path,
  })
}

/** What the console of the bucket shows; by two of them the copy is known again. */
function describe(sidecar: Sidecar): {
  readonly metadata: Readonly<Record<string, string>>
  readonly contentType: string
} {
  const { dataset, seq, snapshot_cid, sha256, size_bytes, content, since, encrypted } = sidecar
  return {
    contentType: encrypted ? BYTES_TYPE : CAR_TYPE,
    metadata: {
      'cairn-dataset': dataset,
      'cairn-seq': String(seq),
      'cairn-snapshot': snapshot_cid,
      [SHA256_MARK]: sha256,
      [SIZE_MARK]: String(size_bytes),
      'cairn-content': content,
      ...(since === null ? {} : { 'cairn-since': since }),
    },
  }
}
