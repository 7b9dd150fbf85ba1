/**
 * Leases: records of who is at work on the store, so that a sweep waits for them or keeps what they
 * need. A lease is renewed while its holder lives. It is void when its process is dead, or when it was
 * not renewed for an hour. Only its holder removes it, or a sweep that finds it void; so whoever must
 * know that it still holds (a commit) looks for the record, and not at a clock.
 */
import { randomUUID } from 'node:crypto'
import { CairnError } from '../../errors.ts'
import type { Staging } from '../../store/backend.ts'
import { stagingVoid } from '../refused.ts'
import type { Environment } from './environment.ts'
import { isAlive, startOf } from './process-life.ts'
import type { Tables } from './tables.ts'

const VOID_AFTER_MS = 3_600_000
const RENEW_EVERY_MS = 300_000

type LeaseKind = 'staging' | 'reader' | 'sweep'

interface LeaseRecord {
  readonly kind: LeaseKind
  readonly note: string
  readonly pid: number
  /** When the process started: a number of a process may be given again. */
  readonly started: string
  readonly since: number
  readonly renewed: number
}

export interface ListedLease extends LeaseRecord {
  readonly id: string
  readonly bytes: Buffer
}

export interface HeldLease {
  readonly id: string
  /** Settles when the record is on disk. */
  readonly written: Promise<void>
  /** Never rejects: a record that cannot be removed now is void in an hour. */
  release(): Promise<void>
}

/** Writes a lease, and renews it until it is released. `onError` hears what of that fails. */
export function holdLease(
  environment: Environment,
  kind: LeaseKind,
  note: string,
  onError: (error: unknown) => void,
): HeldLease {
  const id = randomUUID()
  const since = environment.now()
  const record = { kind, note, pid: process.pid, started: startOf(process.pid), since }
  const encoded = (): Buffer =>
    Buffer.from(JSON.stringify({ ...record, renewed: environment.now() } satisfies LeaseRecord))
  if (kind === 'sweep') environment.sweeping.add(id)
  const written = environment.write('backend_unavailable', ({ leases }) => {
    void leases.put(id, encoded())
  })
  const renew = async (): Promise<void> => {
    await environment.write('backend_unavailable', ({ leases }) => {
      if (leases.getBinaryFast(id) !== undefined) void leases.put(id, encoded())
    })
  }
  const timer = setInterval(() => void renew().catch(onError), RENEW_EVERY_MS).unref()
  const remove = async (): Promise<void> => {
    clearInterval(timer)
    environment.sweeping.delete(id)
    await Promise.allSettled([written])
    await environment
      .write('backend_unavailable', ({ leases }) => void leases.remove(id))
      .catch(onError)
  }
  let released: Promise<void> | undefined
  // Who waits for it is told; a failure that nobody waited for is told by the commit.
  written.catch(() => undefined)
  return { id, written, release: async () => await (released ??= remove()) }
}

/** The leases as of the latest moment, or inside a write transaction as of that. */
export function listLeases({ leases }: Tables): ListedLease[] {
  return Array.from(leases.getRange({}), ({ key, value }) => {
    const bytes = Buffer.from(value)
    return { ...(JSON.parse(bytes.toString()) as LeaseRecord), id: key, bytes }
  })
}

export function isVoid({ pid, started, renewed }: LeaseRecord, now: number): boolean {
  return now - renewed > VOID_AFTER_MS || !isAlive(pid, started)
}

/** Inside a write transaction: those of `found` that nobody has renewed or removed since. */
export function stillThere({ leases }: Tables, found: readonly ListedLease[]): string[] {
  return found
    .filter(({ id, bytes }) => {
      const now = leases.getBinaryFast(id)
      return now !== undefined && bytes.equals(now.subarray(0, now.length))
    })
    .map(({ id }) => id)
}

export function leaseIdOf(staging: Staging): string {
  if ('leaseId' in staging && typeof staging.leaseId === 'string') return staging.leaseId
  throw new CairnError('usage', 'The staging of a commit must be one of the same store.')
}

/** Inside a write transaction, before anything is put. */
export function checkStaging({ leases }: Tables, leaseId: string | undefined): void {
  if (leaseId === undefined || leases.getBinaryFast(leaseId) !== undefined) return
  throw stagingVoid()
}
