/**
 * What one walk of a proof meets. It ends at the first problem. A leaf, and content under a leaf or a chain
 * block, counts as proved when all under it was met and not before: of what a walk was in when it ended, it
 * has not seen everything.
 */
import type { CairnError } from '../errors.ts'
import { bytesEqual, type CidBytes } from '../model/cid.ts'
import { branchOf, decodeNode } from '../model/node.ts'
import { EntriesDone } from '../reach/entries-done.ts'
import { seenIn, type Met, type Seen, type Visitor } from '../reach/met.ts'
import { DigestMap } from '../util/digest-map.ts'
import type { LongOptions } from './context.ts'

/** What a damaged block is to the state. */
export type DamagedKind = 'kept list' | 'snapshot' | 'branch' | 'leaf' | 'chain' | 'content'

/** So many blocks under one leaf or chain block are remembered; those beyond are proved again. */
const MOST_FRESH = 100_000

export class ProofWatch implements Visitor {
  /** The leaf or the chain block that the walk is in. */
  open: Met | undefined
  /** The block at which the walk has ended. */
  ended: CidBytes | undefined
  /** Content that this walk need not look at. */
  readonly seen: Seen
  readonly #table = new DigestMap()
  readonly #leaves: Seen
  readonly #content: Seen
  readonly #done: EntriesDone
  /** Of each level the branch that was met last. */
  readonly #branches = new Map<number, Met>()
  #fresh: CidBytes[] = []

  constructor(leaves: Seen, content: Seen, { onProgress }: LongOptions) {
    this.#leaves = leaves
    this.#content = content
    this.#done = new EntriesDone((done) => onProgress?.({ step: 'prove', done }))
    const mine = seenIn(this.#table)
    this.seen = {
      has: (cid) => content.has(cid) || mine.has(cid),
      add: (cid) => {
        const isNew = !content.has(cid) && mine.add(cid)
        if (isNew && this.#fresh.length < MOST_FRESH) this.#fresh.push(cid)
        return isNew
      },
    }
  }

  block(met: Met): void {
    if (met.kind === 'leaf' || met.kind === 'chain') this.open = met
    if (met.kind === 'branch') this.#branches.set(decodeNode(met.bytes).level, met)
    this.#done.block(met)
  }

  leave(met: Met): void {
    for (const cid of this.#fresh) this.#content.add(cid)
    this.#fresh = []
    if (met.kind === 'leaf') this.#leaves.add(met.cid)
    this.open = undefined
    this.#done.leave(met)
  }

  problem(error: CairnError, cid: CidBytes): never {
    this.ended = cid
    throw error
  }

  /** What the block of a snapshot is at which the walk has ended. */
  kindOf(cid: CidBytes, snapshot: CidBytes): DamagedKind {
    if (this.open !== undefined) return bytesEqual(this.open.cid, cid) ? 'leaf' : 'content'
    if (bytesEqual(cid, snapshot)) return 'snapshot'
    // Of the lowest branches the one that was met last is the only one whose children may not all be met.
    const lowest = this.#branches.get(1)
    if (lowest === undefined) return 'branch'
    const { children } = branchOf(decodeNode(lowest.bytes))
    return children.some((child) => bytesEqual(child.cid, cid)) ? 'leaf' : 'branch'
  }

  close(): void {
    this.#table.close()
  }
}
