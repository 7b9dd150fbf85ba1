/**
 * Takes a CARv1 apart as its bytes come, by the rules of `car/frame.ts`. The blocks are views of the
 * pieces that came, so keeping one of them keeps its neighbours.
 */
import { headerBytes, parseHeader, SECTION_HEAD_BYTES, SectionFrame } from '../../car/frame.ts'
import type { Block } from '../../model/cid.ts'

/** The blocks of each piece that came, unhashed. An `invalid_car` when the stream is not a whole CAR. */
export async function* carBlocks(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Block[]> {
  const sections = sectionReader()
  let waiting: Uint8Array[] = []
  let size = 0
  for await (const piece of pieces) {
    waiting.push(piece)
    size += piece.length
    if (size < sections.needed()) continue
    const rest = sections.take(waiting.length === 1 ? piece : Buffer.concat(waiting, size), false)
    waiting = rest.length === 0 ? [] : [rest]
    size = rest.length
    const blocks = sections.taken()
    if (blocks.length > 0) yield blocks
  }
  sections.take(Buffer.concat(waiting, size), true)
  const blocks = sections.taken()
  if (blocks.length > 0) yield blocks
}

interface SectionReader {
  /** So many bytes must there be before `take` finds more than it did. */
  needed(): number
  /** Answers what is left of `bytes`, which begin where the last call's left. */
  take(bytes: Uint8Array, ended: boolean): Uint8Array
  /** The blocks since the last time. */
  taken(): Block[]
}

function sectionReader(): SectionReader {
  const frame = new SectionFrame()
  let blocks: Block[] = []
  let offset = 0
  let headerSeen = false
  let needed = SECTION_HEAD_BYTES

  const skipHeader = (bytes: Uint8Array, left: number): number => {
    const length = headerBytes(bytes, 0, left)
    if (length > bytes.length) return length
    parseHeader(bytes.subarray(0, length), 0)
    headerSeen = true
    return length
  }
  return {
    needed: () => needed,
    taken() {
      const those = blocks
      blocks = []
      return those
    },
    take(bytes, ended) {
      const left = ended ? bytes.length : Infinity
      let at = 0
      needed = SECTION_HEAD_BYTES
      if (!headerSeen) {
        at = skipHeader(bytes, left)
        if (!headerSeen) {
          needed = at
          return bytes
        }
      }
      while (at < bytes.length && (ended || bytes.length - at >= SECTION_HEAD_BYTES)) {
        frame.parse(bytes, at, offset + at, offset + left)
        if (frame.end > bytes.length) {
          needed = frame.end - at
          break
        }
        const cid = bytes.subarray(frame.cidAt, frame.blockAt)
        blocks.push({ cid, bytes: bytes.subarray(frame.blockAt, frame.end) })
        at = frame.end
      }
      offset += at
      return bytes.subarray(at)
    },
  }
}
