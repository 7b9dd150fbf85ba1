/**
 * A connection to a bucket's server: the client library, how often a request is made, and how long it may
 * take. Requests are counted by kind; what may be asked again is asked again for a while.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { S3Client, type StorageClass } from '@aws-sdk/client-s3'
import { CairnError, throwIfAborted } from '../errors.ts'
import { printBucketAddress, type BucketAddress } from './address.ts'
import { bucketError, isPassing } from './errors.ts'

/** How long one request may take; whoever sends a large object has longer. */
const REQUEST_MS = 20_000
const SLOWEST_BYTES_PER_MS = 100
const RETRY_MS = 30_000
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 3_000

export type RequestKind = 'get' | 'head' | 'put' | 'list' | 'delete'

/** What a bucket was asked since it was opened. Each try counts: that is what is paid for. */
export interface RequestCounts {
  readonly requests: Readonly<Record<RequestKind, number>>
  readonly bytesIn: number
  readonly bytesOut: number
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

export interface PutOptions extends EffectOptions {
  readonly metadata?: Readonly<Record<string, string>>
  readonly contentType?: string
  /** Whatever class the address names: for what is small, or must be readable at once. */
  readonly standardClass?: boolean
}

export class Connection {
  readonly location: string
  readonly client: S3Client
  readonly address: BucketAddress
  readonly #requests: Record<RequestKind, number> = { get: 0, head: 0, put: 0, list: 0, delete: 0 }
  readonly #retryMs: number
  #bytesIn = 0
  #bytesOut = 0

  constructor(address: BucketAddress, { retryMs = RETRY_MS }: { readonly retryMs?: number } = {}) {
    const { endpoint, region } = address
    // The library warns of the Node that it will need one day; that is not for those who run this.
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'
    this.location = printBucketAddress(address)
    this.address = address
    this.#retryMs = retryMs
    this.client = new S3Client({
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
    return this.client.config.systemClockOffset
  }

  get counts(): RequestCounts {
    return { requests: { ...this.#requests }, bytesIn: this.#bytesIn, bytesOut: this.#bytesOut }
  }

  /** A key as the server has it. */
  full(key: string): string {
    return this.address.prefix + key
  }

  /**
   * The bucket as a part of a request. Not said within the class `Bucket`: TypeScript 7 writes a property that
   * is named as its class, which has private names, as another.
   */
  get place(): { readonly Bucket: string } {
    return { Bucket: this.address.bucket }
  }

  at(key: string): { readonly Bucket: string; readonly Key: string } {
    return { ...this.place, Key: this.full(key) }
  }

  noteIn(bytes: number): void {
    this.#bytesIn += bytes
  }

  noteOut(bytes: number): void {
    this.#bytesOut += bytes
  }

  /** What is said of an object that is written. */
  described({ metadata, contentType, standardClass }: PutOptions): {
    readonly ContentType: string
    readonly Metadata?: Record<string, string>
    readonly StorageClass?: StorageClass
  } {
    const storageClass = standardClass === true ? undefined : this.address.storageClass
    return {
      ContentType: contentType ?? 'application/octet-stream',
      ...(metadata === undefined ? {} : { Metadata: { ...metadata } }),
      ...(storageClass === undefined ? {} : { StorageClass: storageClass as StorageClass }),
    }
  }

  /** One try, counted. */
  async send<T extends { readonly $metadata: object }>(
    kind: RequestKind,
    send: () => Promise<T>,
  ): Promise<T> {
    this.#requests[kind] += 1
    return await send()
  }

  /** For requests that may be made again, whatever became of the first. */
  async again<T>(
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

export interface Deadline {
  readonly signal: AbortSignal
  /** Whether it is what ended the request. */
  passed(): boolean
  end(): void
}

export function withDeadline(outer: AbortSignal | undefined, bytes: number): Deadline {
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

/** A page that says that more follows, but not where, or where it was itself. */
export function isCircle(
  { IsTruncated }: { readonly IsTruncated?: boolean | undefined },
  next: string | undefined,
  asked: string | undefined,
): boolean {
  return IsTruncated === true && (next === undefined || next === asked)
}

export function timeout(): Error {
  const error = new Error('no answer in time')
  error.name = 'TimeoutError'
  return error
}

export function cutOff(key: string, location: string): CairnError {
  return new CairnError('backend_unavailable', `An answer of ${location} was cut off.`, {
    hint: 'Is the way to it sound?',
    key,
  })
}
