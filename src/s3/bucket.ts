/**
 * A bucket: whole objects in and out, by keys under one prefix. The only place that knows the client
 * library. Requests are counted by kind; what may be asked again is asked again for a while; answers
 * are checked for their length. Whoever needs to know what a lost answer meant uses `putOnce`.
 */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  type GetObjectCommandOutput,
  type ListObjectsV2CommandOutput,
  type StorageClass,
} from '@aws-sdk/client-s3'
import { CairnError, throwIfAborted } from '../errors.ts'
import { printBucketAddress, type BucketAddress } from './address.ts'
import { answerOf, bucketError, isMissing, isPassing, isTaken } from './errors.ts'

/** How long one request may take; whoever sends a large object has longer. */
const REQUEST_MS = 20_000
const SLOWEST_BYTES_PER_MS = 100
const RETRY_MS = 30_000
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 3_000
const LIST_PAGE = 1_000

export type RequestKind = 'get' | 'head' | 'put' | 'list' | 'delete'

/** What a bucket was asked since it was opened. Each try counts: that is what is paid for. */
export interface RequestCounts {
  readonly requests: Readonly<Record<RequestKind, number>>
  readonly bytesIn: number
  readonly bytesOut: number
}

export interface ObjectInfo {
  readonly key: string
  readonly size: number
  readonly etag: string
  /** By the server's clock. */
  readonly modified: number
}

export interface ObjectHead extends ObjectInfo {
  readonly metadata: Readonly<Record<string, string>>
  /**
   * What the server knows of its sha2-256, in Base64: of the object, or of what was uploaded in N parts that
   * of the parts' digests, ending with `-N`. Empty where it does not tell.
   */
  readonly sha256: string
}

export interface GotObject {
  readonly bytes: Uint8Array
  readonly etag: string
  /** Of the whole object, also where a part was asked for. */
  readonly size: number
  readonly modified: number
}

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined
}

export interface EffectOptions extends RequestOptions {
  /**
   * Called before each try, when the request is signed: it throws if that is too late by now. A process
   * may sleep at any point; what it sends after this was signed before it, and servers refuse old signatures.
   */
  readonly guard?: (() => void) | undefined
}

export interface GetOptions extends RequestOptions {
  /** A larger object is an error, before it is read. */
  readonly limit?: number
}

export interface PutOptions extends EffectOptions {
  readonly metadata?: Readonly<Record<string, string>>
  readonly contentType?: string
  /** Whatever class the address names: for what is small, or must be readable at once. */
  readonly standardClass?: boolean
}

/** What lies under a prefix, one level deep. */
export interface Listing {
  readonly objects: readonly ObjectInfo[]
  /** The names of the next level, each ending with '/'. Only with `folders`. */
  readonly folders: readonly string[]
}

export interface ListOptions extends RequestOptions {
  /** Only keys behind this one. */
  readonly after?: string
  /** At most so many. */
  readonly limit?: number
  /** One level alone. */
  readonly folders?: boolean
}

export type PutOutcome =
  | { readonly kind: 'put'; readonly etag: string }
  | { readonly kind: 'taken' }
  /** It may be there, or come to be there. */
  | { readonly kind: 'unclear'; readonly error: CairnError }

export interface UploadedPart {
  readonly number: number
  readonly etag: string
  readonly size: number
  /** Base64 of its sha2-256. */
  readonly sha256: string
}

export interface UnfinishedUpload {
  readonly key: string
  readonly id: string
  /** By the server's clock. */
  readonly begun: number
}

export class Bucket {
  readonly location: string
  readonly #client: S3Client
  readonly #address: BucketAddress
  readonly #requests: Record<RequestKind, number> = { get: 0, head: 0, put: 0, list: 0, delete: 0 }
  readonly #retryMs: number
  #bytesIn = 0
  #bytesOut = 0

  constructor(address: BucketAddress, { retryMs = RETRY_MS }: { readonly retryMs?: number } = {}) {
    const { endpoint, region } = address
    // The library warns of the Node that it will need one day; that is not for those who run this.
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'
    this.location = printBucketAddress(address)
    this.#address = address
    this.#retryMs = retryMs
    this.#client = new S3Client({
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
      ...(region === undefined && endpoint === undefined
        ? {}
        : { region: region ?? process.env['AWS_REGION'] ?? 'us-east-1' }),
      // Asked again by us, who know which requests that is good for.
      maxAttempts: 1,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: 5_000,
        httpAgent: { maxSockets: 64 },
        httpsAgent: { maxSockets: 64 },
      },
    })
  }

  /** By how much the server's clock is ahead of ours, to about five minutes, as its answers tell. */
  get clockOffset(): number {
    return this.#client.config.systemClockOffset
  }

  get counts(): RequestCounts {
    return { requests: { ...this.#requests }, bytesIn: this.#bytesIn, bytesOut: this.#bytesOut }
  }

  /** Compared with its checksum, where the server has one. */
  async get(key: string, options: GetOptions = {}): Promise<GotObject | undefined> {
    return await this.#get(key, undefined, options)
  }

  /** The bytes from `from` on, at most `length`; it is an error if the object has none there. */
  async getRange(
    key: string,
    from: number,
    length: number,
    options: RequestOptions = {},
  ): Promise<GotObject | undefined> {
    return await this.#get(key, { from, length }, options)
  }

  async head(key: string, options: RequestOptions = {}): Promise<ObjectHead | undefined> {
    let isFirst = true
    return await this.#again(`looking at ${key}`, options, async (signal) => {
      try {
        const command = new HeadObjectCommand({
          ...objectAt(this.#address, key),
          ChecksumMode: 'ENABLED',
        })
        const answer = await this.#send('head', () =>
          this.#client.send(command, { abortSignal: signal }),
        )
        return {
          key,
          size: answer.ContentLength ?? 0,
          etag: answer.ETag ?? '',
          modified: answer.LastModified?.getTime() ?? 0,
          metadata: answer.Metadata ?? {},
          sha256: answer.ChecksumSHA256 ?? '',
        }
      } catch (error) {
        if (isMissing(error)) return undefined
        // Such an answer has no body to say why: perhaps the clock, which the library has set right by now.
        if (answerOf(error).status === 403 && isFirst) {
          isFirst = false
          throw cutOff(key, this.location)
        }
        throw error
      }
    })
  }

  /** Under a name that nobody else writes, or where the last writer may win. Durable when it returns. */
  async put(key: string, bytes: Uint8Array, options: PutOptions = {}): Promise<void> {
    await this.#again(
      `writing ${key}`,
      options,
      async (signal) => {
        await this.#put(key, bytes, options, signal, false)
      },
      bytes.length,
    )
  }

  /** Puts an object where there is none: of all who try, one does. Once, without asking again. */
  async putOnce(key: string, bytes: Uint8Array, options: PutOptions = {}): Promise<PutOutcome> {
    const doing = `writing ${key}`
    throwIfAborted(options.signal)
    const limit = withDeadline(options.signal, bytes.length)
    try {
      return { kind: 'put', etag: await this.#put(key, bytes, options, limit.signal, true) }
    } catch (error) {
      if (isTaken(error)) return { kind: 'taken' }
      const timely = limit.passed() ? timeout() : error
      const told = bucketError(timely, this.location, doing)
      if (isPassing(timely) || told.code === 'aborted') return { kind: 'unclear', error: told }
      throw told
    } finally {
      limit.end()
    }
  }

  /** Whether the server looks at the checksum that comes with an object. Leaves nothing behind if it does. */
  async refusesWrongChecksum(key: string, options: RequestOptions = {}): Promise<boolean> {
    const command = new PutObjectCommand({
      ...objectAt(this.#address, key),
      Body: Buffer.from('damaged on its way'),
      ChecksumSHA256: createHash('sha256').update('as it was sent').digest('base64'),
    })
    return await this.#again(`writing ${key}`, options, async (signal) => {
      try {
        await this.#send('put', () => this.#client.send(command, { abortSignal: signal }))
        return false
      } catch (error) {
        if (answerOf(error).status === 400) return true
        throw error
      }
    })
  }

  async list(under: string, options: ListOptions = {}): Promise<Listing> {
    const objects: ObjectInfo[] = []
    const folders: string[] = []
    for await (const page of this.pages(under, options)) {
      objects.push(...page.objects)
      folders.push(...page.folders)
    }
    return { objects, folders }
  }

  /** In the order of the keys, a page at a time. */
  async *pages(under: string, options: ListOptions = {}): AsyncGenerator<Listing> {
    const { after, limit = Infinity, folders = false } = options
    let left = limit
    let token: string | undefined
    do {
      const command = new ListObjectsV2Command({
        ...bucketOf(this.#address),
        Prefix: this.#full(under),
        MaxKeys: Math.min(left, LIST_PAGE),
        ...(after === undefined ? {} : { StartAfter: this.#full(after) }),
        ...(folders ? { Delimiter: '/' } : {}),
        ...(token === undefined ? {} : { ContinuationToken: token }),
      })
      const answer = await this.#again(`listing ${under}`, options, async (signal) => {
        const page = await this.#send('list', () =>
          this.#client.send(command, { abortSignal: signal }),
        )
        if (!isWholePage(page) || isCircle(page, page.NextContinuationToken, token))
          throw cutOff(under, this.location)
        return page
      })
      const objects = (answer.Contents ?? []).map(
        ({ Key = '', Size = 0, ETag = '', LastModified }) => ({
          key: Key.slice(this.#address.prefix.length),
          size: Size,
          etag: ETag,
          modified: LastModified?.getTime() ?? 0,
        }),
      )
      left -= objects.length
      const names = (answer.CommonPrefixes ?? []).map(({ Prefix = '' }) =>
        Prefix.slice(this.#full(under).length),
      )
      yield { objects, folders: names }
      token = answer.IsTruncated === true ? answer.NextContinuationToken : undefined
    } while (token !== undefined && left > 0)
  }

  /** What is not there is no matter. */
  async delete(keys: readonly string[], options: EffectOptions = {}): Promise<void> {
    for (let at = 0; at < keys.length; at += LIST_PAGE) {
      const some = keys.slice(at, at + LIST_PAGE)
      const command = new DeleteObjectsCommand({
        ...bucketOf(this.#address),
        Delete: { Quiet: true, Objects: some.map((key) => ({ Key: this.#full(key) })) },
      })
      if (options.guard !== undefined) {
        command.middlewareStack.add(guarding(options.guard), BEHIND_SIGNATURE)
      }
      await this.#again(`deleting ${some[0] ?? ''}`, options, async (signal) => {
        const { Errors = [] } = await this.#send('delete', () =>
          this.#client.send(command, { abortSignal: signal }),
        )
        const [first] = Errors.filter(({ Code }) => Code !== 'NoSuchKey')
        if (first !== undefined) throw notDeleted(first.Key ?? '', first.Code ?? '', this.location)
      })
    }
  }

  /** Answers the upload's id. Parts are numbered from 1, all but the last have 5 MiB at least. */
  async beginUpload(key: string, options: PutOptions = {}): Promise<string> {
    const command = new CreateMultipartUploadCommand({
      ...objectAt(this.#address, key),
      ChecksumAlgorithm: 'SHA256',
      ...this.#described(options),
    })
    const { UploadId } = await this.#again(`beginning to write ${key}`, options, (signal) =>
      this.#send('put', () => this.#client.send(command, { abortSignal: signal })),
    )
    return UploadId ?? ''
  }

  async uploadPart(
    key: string,
    upload: string,
    number: number,
    bytes: Uint8Array,
    options: RequestOptions = {},
  ): Promise<UploadedPart> {
    const sha256 = createHash('sha256').update(bytes).digest('base64')
    const command = new UploadPartCommand({
      ...objectAt(this.#address, key),
      UploadId: upload,
      PartNumber: number,
      Body: bytes,
      ContentLength: bytes.length,
      ChecksumSHA256: sha256,
    })
    const { ETag = '' } = await this.#again(
      `writing part ${number} of ${key}`,
      options,
      (signal) => {
        this.#bytesOut += bytes.length
        return this.#send('put', () => this.#client.send(command, { abortSignal: signal }))
      },
      bytes.length,
    )
    return { number, etag: ETag, size: bytes.length, sha256 }
  }

  /** The parts that are there; undefined when there is no such upload. */
  async uploadedParts(
    key: string,
    upload: string,
    options: RequestOptions = {},
  ): Promise<UploadedPart[] | undefined> {
    const parts: UploadedPart[] = []
    let marker: string | undefined
    do {
      const command = new ListPartsCommand({
        ...objectAt(this.#address, key),
        UploadId: upload,
        ...(marker === undefined ? {} : { PartNumberMarker: marker }),
      })
      const answer = await this.#again(`listing the parts of ${key}`, options, async (signal) => {
        try {
          const page = await this.#send('list', () =>
            this.#client.send(command, { abortSignal: signal }),
          )
          if (isCircle(page, page.NextPartNumberMarker, marker)) throw cutOff(key, this.location)
          return page
        } catch (error) {
          if (isMissing(error)) return undefined
          throw error
        }
      })
      if (answer === undefined) return undefined
      for (const { PartNumber = 0, ETag = '', Size = 0, ChecksumSHA256 = '' } of answer.Parts ??
        []) {
        parts.push({ number: PartNumber, etag: ETag, size: Size, sha256: ChecksumSHA256 })
      }
      marker = answer.IsTruncated === true ? answer.NextPartNumberMarker : undefined
    } while (marker !== undefined)
    return parts
  }

  /**
   * The uploads under a prefix that were neither finished nor dropped. Some servers, such as MinIO, answer for
   * a whole key alone, and for the empty prefix of a whole bucket.
   */
  async uploads(under: string, options: RequestOptions = {}): Promise<UnfinishedUpload[]> {
    const found: UnfinishedUpload[] = []
    let marker: { readonly key: string | undefined; readonly id: string | undefined } | undefined
    do {
      const command = new ListMultipartUploadsCommand({
        ...bucketOf(this.#address),
        Prefix: this.#full(under),
        ...(marker === undefined ? {} : { KeyMarker: marker.key, UploadIdMarker: marker.id }),
      })
      const answer = await this.#again(
        `listing the uploads of ${under}`,
        options,
        async (signal) => {
          const page = await this.#send('list', () =>
            this.#client.send(command, { abortSignal: signal }),
          )
          const next = uploadPlace(page.NextKeyMarker, page.NextUploadIdMarker)
          if (isCircle(page, next, uploadPlace(marker?.key, marker?.id)))
            throw cutOff(under, this.location)
          return page
        },
      )
      for (const { Key = '', UploadId = '', Initiated } of answer.Uploads ?? []) {
        const key = Key.slice(this.#address.prefix.length)
        found.push({ key, id: UploadId, begun: Initiated?.getTime() ?? 0 })
      }
      const { IsTruncated, NextKeyMarker: key, NextUploadIdMarker: id } = answer
      marker = IsTruncated === true ? { key, id } : undefined
    } while (marker !== undefined)
    return found
  }

  async endUpload(
    key: string,
    upload: string,
    parts: readonly UploadedPart[],
    options: RequestOptions = {},
  ): Promise<void> {
    const command = new CompleteMultipartUploadCommand({
      ...objectAt(this.#address, key),
      UploadId: upload,
      MultipartUpload: {
        Parts: parts.map(({ number, etag, sha256 }) => ({
          PartNumber: number,
          ETag: etag,
          ...(sha256 === '' ? {} : { ChecksumSHA256: sha256 }),
        })),
      },
    })
    await this.#again(`finishing ${key}`, options, (signal) =>
      this.#send('put', () => this.#client.send(command, { abortSignal: signal })),
    )
  }

  async dropUpload(key: string, upload: string, options: RequestOptions = {}): Promise<void> {
    const command = new AbortMultipartUploadCommand({
      ...objectAt(this.#address, key),
      UploadId: upload,
    })
    await this.#again(`dropping the upload of ${key}`, options, async (signal) => {
      try {
        await this.#send('delete', () => this.#client.send(command, { abortSignal: signal }))
      } catch (error) {
        if (!isMissing(error)) throw error
      }
    })
  }

  close(): void {
    this.#client.destroy()
  }

  #full(key: string): string {
    return this.#address.prefix + key
  }

  async #put(
    key: string,
    bytes: Uint8Array,
    options: PutOptions,
    signal: AbortSignal,
    ifAbsent: boolean,
  ): Promise<string> {
    const command = new PutObjectCommand({
      ...objectAt(this.#address, key),
      Body: bytes,
      ContentLength: bytes.length,
      ChecksumSHA256: createHash('sha256').update(bytes).digest('base64'),
      ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
      ...this.#described(options),
    })
    if (options.guard !== undefined) {
      command.middlewareStack.add(guarding(options.guard), BEHIND_SIGNATURE)
    }
    this.#bytesOut += bytes.length
    const answer = await this.#send('put', () =>
      this.#client.send(command, { abortSignal: signal }),
    )
    return answer.ETag ?? ''
  }

  #described({ metadata, contentType, standardClass }: PutOptions): {
    readonly ContentType: string
    readonly Metadata?: Record<string, string>
    readonly StorageClass?: StorageClass
  } {
    const storageClass = standardClass === true ? undefined : this.#address.storageClass
    return {
      ContentType: contentType ?? 'application/octet-stream',
      ...(metadata === undefined ? {} : { Metadata: { ...metadata } }),
      ...(storageClass === undefined ? {} : { StorageClass: storageClass as StorageClass }),
    }
  }

  async #get(
    key: string,
    range: { readonly from: number; readonly length: number } | undefined,
    options: GetOptions,
  ): Promise<GotObject | undefined> {
    const command = new GetObjectCommand({
      ...objectAt(this.#address, key),
      ...(range
        ? { Range: `bytes=${range.from}-${range.from + range.length - 1}` }
        : { ChecksumMode: 'ENABLED' }),
    })
    return await this.#again(
      `reading ${key}`,
      options,
      async (signal) => {
        let answer: GetObjectCommandOutput
        try {
          answer = await this.#send('get', () =>
            this.#client.send(command, { abortSignal: signal }),
          )
        } catch (error) {
          if (isMissing(error)) return undefined
          throw error
        }
        // A server may give all where a range was asked for.
        const bytes = await bytesWithin(answer, range?.length ?? options.limit ?? Infinity)
        if (bytes === undefined) throw tooLarge(key, this.location)
        this.#bytesIn += bytes.length
        const size = Number(/\/(\d+)$/.exec(answer.ContentRange ?? '')?.[1] ?? bytes.length)
        const expected = range ? Math.min(range.length, size - range.from) : answer.ContentLength
        // A connection that ended early looks like the end of the object.
        if (expected !== undefined && bytes.length !== expected) throw cutOff(key, this.location)
        return {
          bytes,
          etag: answer.ETag ?? '',
          size,
          modified: answer.LastModified?.getTime() ?? 0,
        }
      },
      range?.length,
    )
  }

  async #send<T extends { readonly $metadata: object }>(
    kind: RequestKind,
    send: () => Promise<T>,
  ): Promise<T> {
    this.#requests[kind] += 1
    return await send()
  }

  /** For requests that may be made again, whatever became of the first. */
  async #again<T>(
    doing: string,
    { signal }: RequestOptions,
    request: (signal: AbortSignal) => Promise<T>,
    bytes = 0,
  ): Promise<T> {
    const giveUpAt = performance.now() + this.#retryMs
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      throwIfAborted(signal)
      const limit = withDeadline(signal, bytes)
      try {
        return await request(limit.signal)
      } catch (error) {
        throwIfAborted(signal)
        const timely = limit.passed() ? timeout() : error
        const over = performance.now() + pause > giveUpAt
        if (over || !isPassing(timely)) throw bucketError(timely, this.location, doing)
      } finally {
        limit.end()
      }
      await sleep(pause * (0.5 + Math.random()))
    }
  }
}

/** Apart from the class of the same name, which the compiler takes such a key for. */
const bucketOf = ({ bucket }: BucketAddress): { readonly Bucket: string } => ({ Bucket: bucket })

function objectAt(
  address: BucketAddress,
  key: string,
): { readonly Bucket: string; readonly Key: string } {
  return { ...bucketOf(address), Key: address.prefix + key }
}

interface Deadline {
  readonly signal: AbortSignal
  /** Whether it is what ended the request. */
  passed(): boolean
  end(): void
}

function withDeadline(outer: AbortSignal | undefined, bytes: number): Deadline {
  const own = new AbortController()
  let passed = false
  const timer = setTimeout(
    () => {
      passed = true
      own.abort()
    },
    REQUEST_MS + bytes / SLOWEST_BYTES_PER_MS,
  )
  const abort = (): void => own.abort()
  outer?.addEventListener('abort', abort, { once: true })
  return {
    signal: own.signal,
    passed: () => passed,
    end() {
      clearTimeout(timer)
      outer?.removeEventListener('abort', abort)
    },
  }
}

/** The parser is content with half a document. What a page says of itself comes first in it. */
function isWholePage(page: ListObjectsV2CommandOutput): boolean {
  const { IsTruncated, KeyCount, Contents = [], CommonPrefixes = [] } = page
  if (IsTruncated === undefined) return false
  return KeyCount === undefined || KeyCount === Contents.length + CommonPrefixes.length
}

/** A page that says that more follows, but not where, or where it was itself. */
function isCircle(
  { IsTruncated }: { readonly IsTruncated?: boolean | undefined },
  next: string | undefined,
  asked: string | undefined,
): boolean {
  return IsTruncated === true && (next === undefined || next === asked)
}

const uploadPlace = (key: string | undefined, id = ''): string | undefined =>
  key === undefined ? undefined : `${key} ${id}`

/** undefined: there is more than `most`. What an answer says of its length may be wrong, or missing. */
async function bytesWithin(
  { Body, ContentLength = 0 }: GetObjectCommandOutput,
  most: number,
): Promise<Uint8Array | undefined> {
  if (Body === undefined) return new Uint8Array(0)
  if (ContentLength > most) {
    if ('destroy' in Body) Body.destroy()
    return undefined
  }
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of Body as AsyncIterable<Uint8Array>) {
    size += piece.length
    if (size > most) return undefined
    pieces.push(piece)
  }
  const bytes = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

function timeout(): Error {
  const error = new Error('no answer in time')
  error.name = 'TimeoutError'
  return error
}

/** Between the signature and the wire. */
const BEHIND_SIGNATURE = { step: 'deserialize', priority: 'low' } as const

const guarding =
  (guard: () => void) =>
  <A, O>(next: (args: A) => Promise<O>) =>
  async (args: A): Promise<O> => {
    guard()
    return await next(args)
  }

function tooLarge(key: string, location: string): CairnError {
  return new CairnError('backend_refused', `The object ${key} of ${location} is too large.`, {
    hint: 'Cairn did not write it; move it away.',
    key,
  })
}

function cutOff(key: string, location: string): CairnError {
  return new CairnError('backend_unavailable', `An answer of ${location} was cut off.`, {
    hint: 'Is the way to it sound?',
    key,
  })
}

function notDeleted(key: string, code: string, location: string): CairnError {
  const passing = code === 'SlowDown' || code === 'InternalError'
  return new CairnError(
    passing ? 'backend_unavailable' : 'access_denied',
    `${location} did not delete ${key}: ${code}.`,
    { hint: 'Cairn needs to get, put, delete and list in the bucket.', key },
  )
}
