/**
 * Where a tree node ends. FORMAT.md, "Where a node ends", is the specification; the rule looks at ids
 * alone, so the same entities make the same nodes whatever the order they came in.
 *
 *   weight   of an entry 76 + its id's bytes, of a child record 100 + its id's bytes
 *   limit    chunk_size records, or weight 1,040,000, whichever comes first
 *   window   from the record that reaches a quarter of either to the last one within the limit
 *   end      after the first record in the window with hash < 2^32 * 4 / chunk_size (the threshold);
 *            if none is and a further record follows, after the lowest hash in the window (the first
 *            on a tie); what is left at the end is the last node
 *   hash     murmur3-32 of the id's bytes, seeded with the node's level
 */
import { ENTRY_OVERHEAD } from '../model/entry.ts'
import { CHILD_OVERHEAD } from '../model/node.ts'

export const MAX_WEIGHT = 1_040_000
const THRESHOLD_SCALE = 2 ** 34

export function recordOverhead(level: number): number {
  return level === 0 ? ENTRY_OVERHEAD : CHILD_OVERHEAD
}

/** hash < 2^32 * 4 / chunkSize, without the fraction. */
export function belowThreshold(hash: number, chunkSize: number): boolean {
  return hash * chunkSize < THRESHOLD_SCALE
}

/** murmur3-32 of `bytes[start..end)`. */
export function murmur3(bytes: Uint8Array, start: number, end: number, seed: number): number {
  const length = end - start
  const tail = start + (length & ~3)
  let hash = seed
  let at = start
  for (; at < tail; at += 4) {
    const word =
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24)
    hash ^= scramble(word)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let rest = 0
  for (let i = end - 1; i >= at; i--) rest = (rest << 8) | (bytes[i] ?? 0)
  if (end > at) hash ^= scramble(rest)
  hash ^= length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function scramble(word: number): number {
  const mixed = Math.imul(word, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}

/** The hash of a key held as a string. */
export function hashKey(key: string, level: number): number {
  return murmur3(Buffer.from(key, 'latin1'), 0, key.length, level)
}
