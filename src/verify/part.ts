/**
 * What is proved at a time. Whatever a kept state needs belongs to one part:
 *
 *   pointer   the newest commit, the kept list, the recent chain as the commit counts it
 *   spine     the header and the branches of a kept snapshot
 *   leaf      a leaf, whichever snapshots share it, with the content of its entries
 *   chain     a stretch of the log, named by its newest block, with the content of its entries
 */
import { bytesEqual, printCid, type CidBytes } from '../model/cid.ts'
import type { Child } from '../model/node.ts'

interface Named {
  readonly id: string
}

export interface PointerPart extends Named {
  readonly kind: 'pointer'
}

export interface SpinePart extends Named {
  readonly kind: 'spine'
  readonly cid: CidBytes
}

export interface LeafPart extends Named {
  readonly kind: 'leaf'
  readonly cid: CidBytes
  /** What its parent says of it; undefined when the leaf is a tree of its own. */
  readonly child: Child | undefined
}

export interface ChainPart extends Named {
  readonly kind: 'chain'
  readonly cid: CidBytes
  /** The position that its entries stand before. */
  readonly follows: number
  /** Where the next part, or what is not kept, begins; null: as yet unknown, or nowhere. */
  readonly stop: CidBytes | null
  /** Kept down to this position, whatever the log's floor is. */
  readonly floor?: number
}

export type Part = PointerPart | SpinePart | LeafPart | ChainPart

export const POINTER: PointerPart = { kind: 'pointer', id: 'pointer' }

export function spinePart(cid: CidBytes): SpinePart {
  return { kind: 'spine', id: `spine:${printCid(cid)}`, cid }
}

export function leafPart(cid: CidBytes, child?: Child): LeafPart {
  return { kind: 'leaf', id: `leaf:${printCid(cid)}`, cid, child }
}

export function chainPart(cid: CidBytes, follows: number, stop: CidBytes | null): ChainPart {
  return { kind: 'chain', id: `chain:${printCid(cid)}`, cid, follows, stop }
}

/** A stretch of the log has the blocks whose first entries have positions in one such range. */
const STRETCH_POSITIONS = 4096

export function stretchOf(first: number): number {
  return Math.floor(first / STRETCH_POSITIONS)
}

export function isSame(a: CidBytes | null, b: CidBytes | null): boolean {
  return a !== null && b !== null && bytesEqual(a, b)
}
