/** A candidate: what one place of the old data says an entity's newest version is. And its form on disk. */
import type { CidBytes } from '../model/cid.ts'

/** Where it came from; of equals the first of these counts. */
export const ORIGINS = ['tip file', 'recent', 'snapshot', 'history'] as const
export type Origin = (typeof ORIGINS)[number]

export interface Candidate {
  readonly origin: Origin
  readonly ver: number | undefined
  readonly ts: number | undefined
  readonly tip: CidBytes | undefined
  /** Of the old test network. */
  readonly test: boolean
}

const HEAD = 1 + 8 + 8
const ABSENT = -1
const TEST = 0x80

export function encodeCandidate({ origin, ver, ts, tip, test }: Candidate): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD + (tip?.length ?? 0))
  bytes[0] = ORIGINS.indexOf(origin) | (test ? TEST : 0)
  bytes.writeDoubleLE(ver ?? ABSENT, 1)
  bytes.writeDoubleLE(ts ?? ABSENT, 9)
  if (tip !== undefined) bytes.set(tip, HEAD)
  return bytes
}

export function decodeCandidate(bytes: Buffer): Candidate {
  const number = (at: number): number | undefined => {
    const value = bytes.readDoubleLE(at)
    return value === ABSENT ? undefined : value
  }
  return {
    origin: ORIGINS[(bytes[0] ?? 0) & ~TEST] ?? 'history',
    ver: number(1),
    ts: number(9),
    test: ((bytes[0] ?? 0) & TEST) !== 0,
    tip: bytes.length === HEAD ? undefined : new Uint8Array(bytes.subarray(HEAD)),
  }
}
