/** A draft as bytes, for the way through the files of an external sort. Never stored. */
import type { Draft } from './draft.ts'

const NUMBERS = 4
const HEAD = 1 + NUMBERS * 8 + 2
const ABSENT = -1
const NULL = -2
const NEEDS_PROOF = 8

const numberOf = (value: number | null | undefined): number =>
  value === undefined ? ABSENT : value === null ? NULL : value

export function encodeDraft(draft: Draft): Buffer {
  const { tip, ver, ts, exp, expectVer, expectTip } = draft
  const tipBytes = tip?.length ?? 0
  const bytes = Buffer.allocUnsafe(HEAD + tipBytes + (expectTip?.length ?? 0))
  bytes[0] =
    (tip === null ? 0 : 1) |
    (expectTip === undefined ? 0 : expectTip === null ? 2 : 4) |
    (draft.needsProof ? NEEDS_PROOF : 0)
  for (const [i, value] of [ver, ts, exp, expectVer].entries())
    bytes.writeDoubleLE(numberOf(value), 1 + i * 8)
  bytes.writeUInt16LE(tipBytes, HEAD - 2)
  if (tip !== null) bytes.set(tip, HEAD)
  if (expectTip !== undefined && expectTip !== null) bytes.set(expectTip, HEAD + tipBytes)
  return bytes
}

export function needsProof(bytes: Buffer): boolean {
  return ((bytes[0] ?? 0) & NEEDS_PROOF) !== 0
}

export function decodeDraft(key: string, bytes: Buffer): Draft {
  const flags = bytes[0] ?? 0
  const number = (index: number): number | undefined => {
    const value = bytes.readDoubleLE(1 + index * 8)
    return value < 0 ? undefined : value
  }
  const tipEnd = HEAD + bytes.readUInt16LE(HEAD - 2)
  const expNull = bytes.readDoubleLE(1 + 2 * 8) === NULL
  return {
    key,
    tip: (flags & 1) === 0 ? null : new Uint8Array(bytes.subarray(HEAD, tipEnd)),
    needsProof: needsProof(bytes),
    ver: number(0),
    ts: number(1),
    exp: expNull ? null : number(2),
    expectVer: number(3),
    expectTip:
      (flags & 4) !== 0
        ? new Uint8Array(bytes.subarray(tipEnd))
        : (flags & 2) !== 0
          ? null
          : undefined,
  }
}
