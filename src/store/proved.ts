/** Reading blocks that are hashed before they are believed (promise 5), one or many. */
import { CairnError } from '../errors.ts'
import { cidMatches, printCid, type CidBytes } from '../model/cid.ts'
import type { Backend, CallOptions, ReadOptions } from './backend.ts'

export type BlockReader = Pick<Backend, 'getBlocks'>

/** The blocks in the order of `cids`; undefined where the store lacks one. */
export async function getProvedBlocks(
  store: BlockReader,
  cids: readonly CidBytes[],
  options?: ReadOptions,
): Promise<(Uint8Array | undefined)[]> {
  const blocks = await store.getBlocks(cids, options)
  for (const [i, bytes] of blocks.entries()) {
    const cid = cids[i]
    if (bytes !== undefined && cid !== undefined) prove(cid, bytes)
  }
  return blocks
}

/** One block that must be there; `what` names it in the error. */
export async function readProvedBlock(
  store: BlockReader,
  cid: CidBytes,
  what: string,
  options?: CallOptions,
): Promise<Uint8Array> {
  const [bytes] = await getProvedBlocks(store, [cid], options)
  if (bytes === undefined) throw missingBlock(cid, what)
  return bytes
}

function prove(cid: CidBytes, bytes: Uint8Array): void {
  if (cidMatches(cid, bytes)) return
  throw new CairnError('block_mismatch', `The store returned other bytes for ${printCid(cid)}.`, {
    hint: 'The block is damaged; bring it back from a backup or another store.',
    cid: printCid(cid),
  })
}

export function missingBlock(cid: CidBytes, what: string): CairnError {
  return new CairnError('block_missing', `The store lacks ${what} ${printCid(cid)}.`, {
    hint: 'The store is incomplete; bring the block back from a backup or another store.',
    cid: printCid(cid),
  })
}
