/**
 * What the store says of sweeps: how many have begun, and which one is under way.
 *
 * While one is, every block with a number below its `cut` that is written again, or that somebody
 * relies on, is written into the table `touched`, in the transaction that finds it there. What frees
 * blocks looks into that table in the transaction that deletes. Since there is one writer at a time,
 * a block is either deleted before it is looked for, and then it is missing, or touched before, and
 * then it stays. docs/adr/0008-sweeping-in-lmdb.md has the whole argument.
 */
import { numberBytes, readNumber } from './keys.ts'
import type { Table, Tables } from './tables.ts'

const SWEEPS = Buffer.from('sweeps')
const UNDER_WAY = Buffer.from('sweep')
const TOUCHED = Buffer.from([1])

export interface UnderWay {
  /** The lease of who sweeps. Without that lease the sweep is nobody's. */
  readonly owner: string
  /** Blocks from this number on were written since the sweep began. */
  readonly cut: number
}

export function countSweeps(meta: Table): number {
  const count = meta.getBinaryFast(SWEEPS)
  return count === undefined ? 0 : readNumber(count, 0)
}

export function sweepUnderWay(meta: Table): UnderWay | undefined {
  const shared = meta.getBinaryFast(UNDER_WAY)
  if (shared === undefined) return undefined
  const cut = readNumber(shared, 0)
  return { owner: shared.toString('latin1', 8, shared.length), cut }
}

/** Inside a write transaction. */
export function markBegun({ meta, touched }: Tables, { owner, cut }: UnderWay): void {
  const count = countSweeps(meta)
  void meta.put(SWEEPS, numberBytes(count + 1))
  void meta.put(UNDER_WAY, Buffer.concat([numberBytes(cut), Buffer.from(owner, 'latin1')]))
  void touched.clearAsync()
}

/** Inside a write transaction: ends the sweep, if it is still this owner's. */
export function markEnded({ meta, touched }: Tables, owner: string): void {
  if (sweepUnderWay(meta)?.owner !== owner) return
  void meta.remove(UNDER_WAY)
  void touched.clearAsync()
}

/** Inside a write transaction, for a block that may be there. */
export function touch({ digests, touched }: Tables, digest: Uint8Array, cut: number): void {
  const number = digests.getBinaryFast(digest)
  if (number === undefined || readNumber(number, 0) >= cut) return
  void touched.put(numberBytes(readNumber(number, 0)), TOUCHED)
}

/** Whether a sweep that frees up to `cut` could still take the block. */
export function isExposed({ digests, touched }: Tables, digest: Uint8Array, cut: number): boolean {
  const shared = digests.getBinaryFast(digest)
  if (shared === undefined) return false
  const number = readNumber(shared, 0)
  return number < cut && touched.getBinaryFast(numberBytes(number)) === undefined
}
