/**
 * That what was sent is there whole. The node hashes what it takes, but under a CID that it remembers it
 * keeps what it has, also where a bad disk has changed that since (`heal.ts`). So of the blocks that were
 * there before they were sent the bytes are looked at. Content is left to `verify`.
 */
import { cidMatches, type Block } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import { getBlocks, hasBlocks } from './blocks.ts'
import type { KuboClient } from './client.ts'
import { healBlocks } from './heal.ts'

/** Blocks of up to 1 MiB that are in memory at once. */
const AT_ONCE = 32

type MakeWhole = (options?: CallOptions) => Promise<void>

/** To be asked when they are about to be sent, or beside it; the answer is called after. */
export async function lookBefore(
  client: KuboClient,
  blocks: readonly Block[],
  options?: CallOptions,
): Promise<MakeWhole> {
  const had = await hasBlocks(
    client,
    blocks.map(({ cid }) => cid),
    options,
  )
  const before = blocks.filter((_, i) => had[i] === true)
  return async (call) => {
    for (let at = 0; at < before.length; at += AT_ONCE) {
      const some = before.slice(at, at + AT_ONCE)
      const there = await getBlocks(
        client,
        some.map(({ cid }) => cid),
        call,
      )
      const isWrong = ({ cid }: Block, bytes: Uint8Array | undefined): boolean =>
        bytes === undefined || !cidMatches(cid, bytes)
      const wrong = some.filter((block, i) => isWrong(block, there[i]))
      if (wrong.length > 0) await healBlocks(client, wrong, call)
    }
  }
}
