/** Extending the chain: new entries as blocks behind its head. Pure. */
import {
  BACK_EVERY,
  encodeChainBlock,
  entriesThatFit,
  type ChainBlock,
} from '../model/chain-block.ts'
import { cborBlock, type CidBytes } from '../model/cid.ts'
import type { Commit } from '../model/commit.ts'
import type { Entry } from '../model/entry.ts'
import type { LoadedBlock } from './walk.ts'

/** What a commit says of the end of its chain. */
export type ChainEnd = Pick<
  Commit,
  'identity' | 'settings' | 'head' | 'base' | 'next' | 'nextOrdinal'
>

export interface EncodedChainBlock extends LoadedBlock {
  readonly bytes: Uint8Array
}

/** The blocks that put `entries` behind a chain, at the positions from `commit.next` on. */
export function chainBlocks(
  commit: ChainEnd,
  chain: readonly LoadedBlock[],
  entries: readonly Entry[],
  at: number,
): EncodedChainBlock[] {
  const blocks: EncodedChainBlock[] = []
  let prev = commit.head ?? commit.base
  for (let from = 0; from < entries.length;) {
    const count = entriesThatFit(entries, from)
    const ordinal = commit.nextOrdinal + blocks.length
    const block: ChainBlock = {
      dataset: commit.identity,
      ordinal,
      first: commit.next + from,
      prev,
      back: ordinal % BACK_EVERY === 0 ? backOf([...chain, ...blocks], ordinal) : [],
      ts: at,
      entries: entries.slice(from, from + count),
    }
    const encoded = cborBlock(encodeChainBlock(block, commit.settings.content))
    blocks.push({ ...encoded, block })
    prev = encoded.cid
    from += count
  }
  return blocks
}

function backOf(chain: readonly LoadedBlock[], ordinal: number): CidBytes[] {
  return chain
    .slice(1 - BACK_EVERY)
    .filter(({ block }) => block.ordinal > ordinal - BACK_EVERY)
    .map(({ cid }) => cid)
}
