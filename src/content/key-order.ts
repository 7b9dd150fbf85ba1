/**
 * The order of a map's keys in DAG-CBOR: shorter ones first, then by their bytes. Maps that were written by
 * one program have few sets of keys between them, so the orders of late are kept, a bounded number of them.
 */
import { writeUint } from '../model/cbor.ts'

interface KeyOrder {
  readonly keys: readonly string[]
  /** In the order to be written: where the key stands in `keys`, and its encoded form in `bytes`. */
  readonly fields: readonly {
    readonly index: number
    readonly start: number
    readonly end: number
  }[]
  readonly bytes: Uint8Array
  /** One of them is `__proto__`. */
  readonly hasProto: boolean
}

const SLOTS = 256
/** Larger maps are rather tables, whose keys are never the same again. */
const MAX_KEPT_KEYS = 64
const MAX_KEPT_BYTES = 2048

const kept: (KeyOrder | undefined)[] = Array.from({ length: SLOTS }, () => undefined)

/** Undefined where a key is not Unicode. */
export function keyOrder(keys: readonly string[]): KeyOrder | undefined {
  if (keys.length > MAX_KEPT_KEYS) return orderOf(keys)
  const slot = slotOf(keys)
  const known = kept[slot]
  if (known !== undefined && sameKeys(known.keys, keys)) return known
  const order = orderOf(keys)
  if (order !== undefined && order.bytes.length <= MAX_KEPT_BYTES) kept[slot] = order
  return order
}

function slotOf(keys: readonly string[]): number {
  let mixed = keys.length
  for (const key of keys) mixed = (Math.imul(mixed, 31) + key.length) | 0
  const first = keys[0]?.charCodeAt(0) ?? 0
  return (mixed + (first << 2)) & (SLOTS - 1)
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

const TEXT = 0x60

function orderOf(keys: readonly string[]): KeyOrder | undefined {
  const sized = keys.map((key, index) => ({ key, index, size: Buffer.byteLength(key) }))
  if (sized.some(({ key, size }) => size !== key.length && !key.isWellFormed())) return undefined
  sized.sort(compareKeys)
  const bytes = Buffer.allocUnsafeSlow(sized.reduce((sum, { size }) => sum + 9 + size, 0))
  let at = 0
  const fields = sized.map(({ key, index, size }) => {
    const start = at
    at = writeUint(bytes, at, size)
    bytes[start] = TEXT | (bytes[start] ?? 0)
    at += bytes.write(key, at)
    return { index, start, end: at }
  })
  return {
    keys,
    fields,
    bytes: new Uint8Array(bytes.subarray(0, at)),
    hasProto: keys.includes('__proto__'),
  }
}

interface SizedKey {
  readonly key: string
  readonly size: number
}

function compareKeys(a: SizedKey, b: SizedKey): number {
  if (a.size !== b.size) return a.size - b.size
  // In ASCII the order of the characters is that of the bytes.
  if (a.size === a.key.length && b.size === b.key.length) return a.key < b.key ? -1 : 1
  return Buffer.compare(Buffer.from(a.key), Buffer.from(b.key))
}
