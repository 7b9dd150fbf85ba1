/** What must hold between blocks, beyond what each block's own decoder checks. Pure. */
import type { LoadedBlock } from '../chain/walk.ts'
import { CairnError } from '../errors.ts'
import { decodeChainBlock, encodeChainBlock, type ChainBlock } from '../model/chain-block.ts'
import type { Checkpoint } from '../model/checkpoint.ts'
import { bytesEqual, printCid, sameCid, type CidBytes } from '../model/cid.ts'
import type { ContentMode } from '../model/entry.ts'
import { DAMAGED_HINT } from '../model/ipld.ts'
import { branchOf, decodeNode, leafOf, summarize, type Child, type Node } from '../model/node.ts'
import type { SnapshotHeader } from '../model/snapshot.ts'
import { checkSummary } from '../tree/node-store.ts'

/** A chain as its head and its base say, or a checkpoint. */
export interface ChainFacts {
  readonly identities: readonly string[]
  readonly content: ContentMode
  readonly base: CidBytes | null
  readonly recentCount: number
  readonly chainFirst: number
  readonly next: number
  /** The ordinal of the block that comes next, where that is known. */
  readonly nextOrdinal?: number | undefined
}

export function checkedNode(
  bytes: Uint8Array,
  cid: CidBytes,
  parent: { readonly child: Child; readonly level: number } | undefined,
): Node {
  const node = decodeNode(bytes)
  if (parent === undefined) return node
  if (node.level !== parent.level) {
    if (parent.level === 0) leafOf(node)
    else branchOf(node)
    throw misplaced('The tree node', cid)
  }
  checkSummary(summarize(node, cid), parent.child)
  return node
}

export function checkedChainBlock(
  bytes: Uint8Array,
  cid: CidBytes,
  before: LoadedBlock | undefined | 'unknown',
  facts: ChainFacts,
): ChainBlock {
  const block = decodeChainBlock(bytes)
  if (!bytesEqual(encodeChainBlock(block, facts.content), bytes)) {
    throw contradiction(
      `The chain block ${printCid(cid)} is not in its canonical form, or a tip in it is not ${facts.content}.`,
    )
  }
  const follows = before === 'unknown' || followsOn(block, before, facts)
  if (!follows || !facts.identities.includes(block.dataset)) throw misplaced('The chain block', cid)
  return block
}

/** A chain block names the one before it, and its number and its entries come behind that one's. */
function followsOn(block: ChainBlock, before: LoadedBlock | undefined, facts: ChainFacts): boolean {
  if (before === undefined)
    return sameCid(block.prev, facts.base) && block.first === facts.chainFirst
  const isBehind = block.first >= endOf(before) && block.ordinal > before.block.ordinal
  return sameCid(block.prev, before.cid) && isBehind
}

function endOf({ block }: LoadedBlock): number {
  return block.first + block.entries.length
}

export function checkChainCounts(
  last: LoadedBlock | undefined,
  count: number,
  facts: ChainFacts,
): void {
  if (count !== facts.recentCount)
    throw contradiction(`The chain holds ${count} entries, not ${facts.recentCount}.`)
  if (last === undefined) return
  if (endOf(last) > facts.next || last.block.ordinal >= (facts.nextOrdinal ?? Infinity))
    throw contradiction('The chain goes beyond where it is said to go on.')
}

export function checkAgreement(checkpoint: Checkpoint, header: SnapshotHeader): void {
  const { settings, identity, origins, next, recentCount, totalCount, nextSeq } = checkpoint
  const agrees =
    [identity, ...origins].includes(header.dataset) &&
    settings.chunkSize === header.chunkSize &&
    settings.content === header.content &&
    header.upto <= next &&
    header.seq < nextSeq &&
    Math.abs(totalCount - header.live) <= recentCount
  if (!agrees) throw contradiction('The checkpoint does not agree with its snapshot.')
}

export function checkCounts(header: SnapshotHeader, root: Child, leaves: number): void {
  const { entries, live, chunkCount } = header
  if (root.count === entries && root.live === live && leaves === chunkCount) return
  throw contradiction(
    `The snapshot counts ${entries} entries, ${live} live, in ${chunkCount} chunks; its tree holds ${root.count}, ${root.live} and ${leaves}.`,
  )
}

export function misplaced(what: string, cid: CidBytes): CairnError {
  return contradiction(`${what} ${printCid(cid)} does not belong where it stands.`)
}

function contradiction(message: string): CairnError {
  return new CairnError('invalid_block', message, { hint: DAMAGED_HINT })
}

/** The error with the CID of the block it is about. */
export function named(error: CairnError, cid: CidBytes): CairnError {
  if (error.details['cid'] !== undefined || cid.length === 0) return error
  const { code, message, hint, cause, details } = error
  return new CairnError(code, message, {
    ...details,
    ...(hint === undefined ? {} : { hint }),
    cause,
    cid: printCid(cid),
  })
}
