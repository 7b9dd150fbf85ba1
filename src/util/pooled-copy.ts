/** Copies of bytes, of which small ones lie side by side: of a million that are alone most memory is overhead. */

const POOL_BYTES = 16 << 10
const MOST_BYTES = 4 << 10
/** Words of eight bytes. */
const ALIGNMENT = 7

let pool = new ArrayBuffer(POOL_BYTES)
let used = 0

/** The bytes are the caller's, but not the buffer behind them. Who keeps a small one for long keeps a whole pool. */
export function pooledCopy(bytes: Uint8Array): Uint8Array {
  const { length } = bytes
  if (length > MOST_BYTES) return new Uint8Array(bytes)
  if (used + length > POOL_BYTES) {
    pool = new ArrayBuffer(POOL_BYTES)
    used = 0
  }
  const copy = new Uint8Array(pool, used, length)
  copy.set(bytes)
  used = (used + length + ALIGNMENT) & ~ALIGNMENT
  return copy
}
