/**
 * A bucket: whole objects in and out, by keys under one prefix. Answers are checked for their length. Whoever
 * needs to know what a lost answer meant uses `putOnce`.
 */
import { createHash } from 'node:crypto'
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type GetObjectCommandOutput,
  type ListObjectsV2CommandOutput,
} from '@aws-sdk/client-s3'
import { CairnError, throwIfAborted } from '../errors.ts'
import type { BucketAddress } from './address.ts'
import { bytesWithin } from './body.ts'
import {
  Connection,
  cutOff,
  isCircle,
  timeout,
  withDeadline,
  type EffectOptions,
  type PutOptions,
  type RequestCounts,
  type RequestOptions,
} from './connection.ts'
import { answerOf, bucketError, isMissing, isPassing, isTaken } from './errors.ts'
import { Uploads } from './uploads.ts'

export type { RequestCounts, RequestOptions, PutOptions, EffectOptions } from './connection.ts'
export type { UnfinishedUpload, UploadedPart } from './uploads.ts'

const LIST_PAGE = 1_000

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

export interface GetOptions extends RequestOptions {
  /** A larger object is an error, before it is read. */
  readonly limit?: number
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

export class Bucket {
  readonly location: string
  readonly uploads: Uploads
  readonly #connection: Connection

  constructor(address: BucketAddress, options: { readonly retryMs?: number } = {}) {
    this.#connection = new Connection(address, options)
    this.location = this.#connection.location
    this.uploads = new Uploads(this.#connection)
  }

  get clockOffset(): number {
    return this.#connection.clockOffset
  }

  get counts(): RequestCounts {
    return this.#connection.counts
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
    return await this.#connection.again(`looking at ${key}`, options, async (signal) => {
      try {
        const command = new HeadObjectCommand({
          ...this.#connection.at(key),
          ChecksumMode: 'ENABLED',
        })
        const answer = await this.#connection.send('head', () =>
          this.#connection.client.send(command, { abortSignal: signal }),
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
    await this.#connection.again(
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
      ...this.#connection.at(key),
      Body: Buffer.from('damaged on its way'),
      ChecksumSHA256: createHash('sha256').update('as it was sent').digest('base64'),
    })
    return await this.#connection.again(`writing ${key}`, options, async (signal) => {
      try {
        await this.#connection.send('put', () =>
          this.#connection.client.send(command, { abortSignal: signal }),
        )
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
        ...this.#connection.place,
        Prefix: this.#connection.full(under),
        MaxKeys: Math.min(left, LIST_PAGE),
        ...(after === undefined ? {} : { StartAfter: this.#connection.full(after) }),
        ...(folders ? { Delimiter: '/' } : {}),
        ...(token === undefined ? {} : { ContinuationToken: token }),
      })
      const answer = await this.#connection.again(`listing ${under}`, options, async (signal) => {
        const page = await this.#connection.send('list', () =>
          this.#connection.client.send(command, { abortSignal: signal }),
        )
        if (!isWholePage(page) || isCircle(page, page.NextContinuationToken, token))
          throw cutOff(under, this.location)
        return page
      })
      const objects = (answer.Contents ?? []).map(
        ({ Key = '', Size = 0, ETag = '', LastModified }) => ({
          key: Key.slice(this.#connection.address.prefix.length),
          size: Size,
          etag: ETag,
          modified: LastModified?.getTime() ?? 0,
        }),
      )
      left -= objects.length
      const names = (answer.CommonPrefixes ?? []).map(({ Prefix = '' }) =>
        Prefix.slice(this.#connection.full(under).length),
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
        ...this.#connection.place,
        Delete: { Quiet: true, Objects: some.map((key) => ({ Key: this.#connection.full(key) })) },
      })
      if (options.guard !== undefined) {
        command.middlewareStack.add(guarding(options.guard), BEHIND_SIGNATURE)
      }
      await this.#connection.again(`deleting ${some[0] ?? ''}`, options, async (signal) => {
        const { Errors = [] } = await this.#connection.send('delete', () =>
          this.#connection.client.send(command, { abortSignal: signal }),
        )
        const [first] = Errors.filter(({ Code }) => Code !== 'NoSuchKey')
        if (first !== undefined) throw notDeleted(first.Key ?? '', first.Code ?? '', this.location)
      })
    }
  }

  close(): void {
    this.#connection.client.destroy()
  }

  async #put(
    key: string,
    bytes: Uint8Array,
    options: PutOptions,
    signal: AbortSignal,
    ifAbsent: boolean,
  ): Promise<string> {
    const command = new PutObjectCommand({
      ...this.#connection.at(key),
      Body: bytes,
      ContentLength: bytes.length,
      ChecksumSHA256: createHash('sha256').update(bytes).digest('base64'),
      ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
      ...this.#connection.described(options),
    })
    if (options.guard !== undefined) {
      command.middlewareStack.add(guarding(options.guard), BEHIND_SIGNATURE)
    }
    this.#connection.noteOut(bytes.length)
    const answer = await this.#connection.send('put', () =>
      this.#connection.client.send(command, { abortSignal: signal }),
    )
    return answer.ETag ?? ''
  }

  async #get(
    key: string,
    range: { readonly from: number; readonly length: number } | undefined,
    options: GetOptions,
  ): Promise<GotObject | undefined> {
    const command = new GetObjectCommand({
      ...this.#connection.at(key),
      ...(range
        ? { Range: `bytes=${range.from}-${range.from + range.length - 1}` }
        : { ChecksumMode: 'ENABLED' }),
    })
    return await this.#connection.again(
      `reading ${key}`,
      options,
      async (signal) => {
        let answer: GetObjectCommandOutput
        try {
          answer = await this.#connection.send('get', () =>
            this.#connection.client.send(command, { abortSignal: signal }),
          )
        } catch (error) {
          if (isMissing(error)) return undefined
          throw error
        }
        // A server may give all where a range was asked for.
        const bytes = await bytesWithin(answer, range?.length ?? options.limit ?? Infinity)
        if (bytes === undefined) throw tooLarge(key, this.location)
        this.#connection.noteIn(bytes.length)
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
}

/** The parser is content with half a document. What a page says of itself comes first in it. */
function isWholePage(page: ListObjectsV2CommandOutput): boolean {
  const { IsTruncated, KeyCount, Contents = [], CommonPrefixes = [] } = page
  if (IsTruncated === undefined) return false
  return KeyCount === undefined || KeyCount === Contents.length + CommonPrefixes.length
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

function notDeleted(key: string, code: string, location: string): CairnError {
  const passing = code === 'SlowDown' || code === 'InternalError'
  return new CairnError(
    passing ? 'backend_unavailable' : 'access_denied',
    `${location} did not delete ${key}: ${code}.`,
    { hint: 'Cairn needs to get, put, delete and list in the bucket.', key },
  )
}
