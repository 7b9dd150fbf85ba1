/**
 * The Links of a block that its decoder has taken, as they are written there. The decoders make the usual CID
 * of one whose version 0 is spelled out, which other tools refuse: what is relied on is what is written.
 */
import type { CidBytes } from '../model/cid.ts'

const BYTES = 2
const TEXT = 3
const TAG = 6
const LINK_TAG = 42

/** What tag 42 holds. */
export function cborLinks(bytes: Uint8Array): CidBytes[] {
  const links: CidBytes[] = []
  let isTagged = false
  for (let at = 0; at < bytes.length;) {
    const head = bytes[at++] ?? 0
    const major = head >> 5
    const info = head & 0x1f
    const size = info < 24 ? 0 : 1 << (info - 24)
    let value = size === 0 ? info : 0
    for (const end = at + size; at < end; at++) value = value * 256 + (bytes[at] ?? 0)
    const end = major === BYTES || major === TEXT ? at + value : at
    if (isTagged && major === BYTES) links.push(bytes.slice(at + 1, end))
    isTagged = major === TAG && value === LINK_TAG
    at = end
  }
  return links
}

const LINKS_FIELD = 2

/** The hashes, which are the first field of each link. */
export function pbLinks(bytes: Uint8Array): CidBytes[] {
  const links: CidBytes[] = []
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++] ?? 0
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const field = varint() >> 3
    const length = varint()
    const end = at + length
    if (field === LINKS_FIELD) {
      varint()
      const hash = varint()
      links.push(bytes.slice(at, at + hash))
    }
    at = end
  }
  return links
}
