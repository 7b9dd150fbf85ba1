/**
 * Walking content DAGs depth-first, in the order of their links, each block once: the order of
 * `ipfs dag export`. Without recursion, since content may be as deep as it likes; what is pending is
 * bounded.
 */
import { linksOf } from '../content/links.ts'
import { CairnError, throwIfAborted, toCairnError } from '../errors.ts'
import { inlineBytes, printCid, type CidBytes } from '../model/cid.ts'
import { problemOf, type Seen, type Visitor } from './met.ts'
import type { SourceBlocks, WalkSource } from './source.ts'

export interface ContentWalk {
  readonly source: WalkSource
  readonly seen: Seen
  readonly visitor: Visitor
  /** False: the blocks that are named alone, and nothing under them. */
  readonly deep: boolean
  /** More links than this may not wait to be followed; four million unless given. */
  readonly mostPending?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** What content may be large: larger blocks do not travel between IPFS nodes. */
const MAX_CONTENT_BYTES = 2 << 20
const MAX_PENDING = 4_000_000

/** Links to walk, and the blocks that were read ahead. */
interface Frame {
  readonly cids: readonly CidBytes[]
  /** What contents begin with are alike, leaf by leaf; what they link to may be anything. */
  readonly alike: object
  at: number
  ahead: SourceBlocks
  aheadFrom: number
}

export async function walkContent(walk: ContentWalk, roots: readonly CidBytes[]): Promise<void> {
  const { source, seen, visitor, deep, mostPending = MAX_PENDING, signal } = walk
  const frames: Frame[] = []
  let pending = 0
  const descend = (cids: readonly CidBytes[], alike: object = cids): void => {
    const fresh = cids.filter((cid) => inlineBytes(cid) !== undefined || !seen.has(cid))
    if (fresh.length === 0) return
    pending += fresh.length
    if (pending > mostPending) throw tooWide(mostPending)
    frames.push({ cids: fresh, alike, at: 0, ahead: [], aheadFrom: 0 })
  }
  const under = (cid: CidBytes, bytes: Uint8Array): void => {
    try {
      if (deep) descend(linksOf(cid, bytes))
    } catch (error) {
      visitor.problem(toCairnError(error), cid)
    }
  }
  descend(roots, source)
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    const index = frame.at++
    const cid = frame.cids[index]
    // A frame goes before its last link is followed, so that a long list of blocks is no deep stack.
    if (frame.at >= frame.cids.length) frames.pop()
    if (cid === undefined) continue
    pending -= 1
    const inline = inlineBytes(cid)
    if (inline !== undefined) {
      under(cid, inline)
      continue
    }
    if (!seen.add(cid)) continue
    if (index >= frame.aheadFrom + frame.ahead.length) {
      throwIfAborted(signal)
      const read = source.read(frame.cids, index, { signal, alike: frame.alike })
      frame.ahead = read instanceof Promise ? await read : read
      frame.aheadFrom = index
    }
    const bytes = frame.ahead[index - frame.aheadFrom]
    const problem = problemOf(cid, bytes, 'content') ?? sizeProblem(cid, bytes)
    if (problem !== undefined || bytes === undefined) {
      if (problem !== undefined) visitor.problem(problem, cid)
      continue
    }
    const wait = visitor.block?.({ cid, bytes, kind: 'content' })
    if (wait instanceof Promise) await wait
    under(cid, bytes)
  }
}

function sizeProblem(cid: CidBytes, bytes: Uint8Array | undefined): CairnError | undefined {
  if (bytes === undefined || bytes.length <= MAX_CONTENT_BYTES) return undefined
  return new CairnError(
    'too_large',
    `The content block ${printCid(cid)} has ${bytes.length} bytes.`,
    {
      hint: `A block may have ${MAX_CONTENT_BYTES} bytes; add the file again with smaller chunks.`,
      cid: printCid(cid),
    },
  )
}

function tooWide(most: number): CairnError {
  return new CairnError(
    'too_large',
    `A content has more than ${most} links that wait to be followed.`,
    { hint: 'It is no content of a real program; leave it out.' },
  )
}
