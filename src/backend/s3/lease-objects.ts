/**
 * Leases: small objects that say that somebody is alive, of three kinds: what an owner of a backend asked
 * for, stagings, sweeps. Rewritten every ten minutes; void when nobody rewrote one for an hour, by the
 * server's clock, and twenty minutes more, by which the reader may be wrong about that.
 *
 * Its owner stops relying on one after half an hour without a renewal: a request that is sent then was
 * signed with the time, and no server takes one that was signed over fifteen minutes ago; so it has
 * come to its end before anybody takes the lease for void.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CairnError } from '../../errors.ts'
import type { Bucket, ObjectInfo, RequestOptions } from '../../s3/bucket.ts'
import type { Clock } from './clock.ts'
import { timedName } from './layout.ts'

const VOID_MS = 80 * 60 * 1000
const RENEW_MS = 10 * 60 * 1000
const SOUND_MS: number = 30 * 60 * 1000
const MAX_NOTE_BYTES = 64 * 1024

export type LeaseKind = 'reader' | 'staging' | 'sweep'

export interface BucketLease {
  readonly key: string
  /** Whether what is asked for now is done under the lease. Once it was not, it never is again. */
  sound(): boolean
  /** No more renewals; the object goes. What could not be removed is void in time. */
  release(): Promise<void>
  /** No more renewals; it is void in time. */
  abandon(): void
}

export class LeaseObjects {
  readonly #bucket: Bucket
  readonly #clock: Clock
  readonly #onError: (error: unknown) => void
  readonly #held = new Set<BucketLease>()

  constructor(bucket: Bucket, clock: Clock, onError: (error: unknown) => void) {
    this.#bucket = bucket
    this.#clock = clock
    this.#onError = onError
  }

  /** Durable when it returns. */
  async take(kind: LeaseKind, note: string, options?: RequestOptions): Promise<BucketLease> {
    const key = `leases/${kind}/${timedName(this.#clock.server)}`
    const bytes = Buffer.from(JSON.stringify({ note }))
    let renewed = this.#clock.moment
    let lost = false
    let writing: Promise<void> = Promise.resolve()
    const sound = (): boolean => !(lost ||= this.#clock.since(renewed) > SOUND_MS)
    const timer = setInterval(() => {
      if (!sound()) return
      const began = this.#clock.moment
      writing = this.#bucket.put(key, bytes).then(() => void (renewed = began), this.#onError)
    }, RENEW_MS)
    timer.unref()
    const abandon = (): void => {
      clearInterval(timer)
      lost = true
      this.#held.delete(lease)
    }
    const release = async (): Promise<void> => {
      abandon()
      // A renewal that lands behind the removal would bring it back.
      await writing
      await this.#bucket.delete([key])
    }
    const lease: BucketLease = { key, sound, release, abandon }
    this.#held.add(lease)
    try {
      await this.#bucket.put(key, bytes, options)
    } catch (error) {
      await release().catch(this.#onError)
      throw error
    }
    return lease
  }

  /** Does it under a lease of its own. `guard` is for its last effect: nobody takes the lease for void before. */
  async under<T>(
    kind: LeaseKind,
    note: string,
    work: (guard: () => void) => Promise<T>,
    options?: RequestOptions,
  ): Promise<T> {
    const lease = await this.take(kind, note, options)
    try {
      return await work(() => checkSound(lease))
    } finally {
      await lease.release().catch(this.#onError)
    }
  }

  /** Those that are not void. */
  async live(kind: LeaseKind, options?: RequestOptions): Promise<ObjectInfo[]> {
    const { objects } = await this.#bucket.list(`leases/${kind}/`, options)
    return objects.filter(({ modified }) => this.#clock.server - modified <= VOID_MS)
  }

  async isLive(key: string, options?: RequestOptions): Promise<boolean> {
    const head = await this.#bucket.head(key, options)
    return head !== undefined && this.#clock.server - head.modified <= VOID_MS
  }

  async notes(kind: LeaseKind, options?: RequestOptions): Promise<string[]> {
    const notes: string[] = []
    for (const { key, size } of await this.live(kind, options)) {
      if (size > MAX_NOTE_BYTES) throw unreadable(key)
      const got = await this.#bucket.get(key, { ...options, limit: MAX_NOTE_BYTES })
      // It ended meanwhile.
      if (got !== undefined) notes.push(noteOf(got.bytes, key))
    }
    return notes
  }

  async releaseAll(): Promise<void> {
    await Promise.all(Array.from(this.#held, (lease) => lease.release().catch(this.#onError)))
  }
}

export function checkSound(lease: BucketLease): void {
  if (lease.sound()) return
  throw new CairnError('conflict', 'This process was not heard of for too long.', {
    hint: 'Begin again: what it was about to do was not done.',
  })
}

/** Waits, and hears an abort at once. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(ms, undefined, signal && { signal }).catch(() => {})
}

function noteOf(bytes: Uint8Array, key: string): string {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(bytes).toString())
    if (typeof parsed === 'object' && parsed !== null && 'note' in parsed) {
      if (typeof parsed.note === 'string') return parsed.note
    }
  } catch {
    // Told below.
  }
  throw unreadable(key)
}

function unreadable(key: string): CairnError {
  return new CairnError('busy', `What ${key} keeps from being freed cannot be read.`, {
    hint: 'It counts for eighty minutes after it was last written; remove the object if it is nobody’s.',
    key,
  })
}
