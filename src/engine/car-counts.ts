/** How many blocks of each kind a walk over a state has met. */
import type { BlockKind } from '../reach/met.ts'

export type CarCounts = Readonly<Record<BlockKind, number>>

export function noCounts(): Record<BlockKind, number> {
  return {
    checkpoint: 0,
    snapshot: 0,
    branch: 0,
    leaf: 0,
    'chain list': 0,
    chain: 0,
    content: 0,
  }
}
