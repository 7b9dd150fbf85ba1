/**
 * Reading blocks. There is no call for many at once, so 16 go at a time over kept connections
 * (2,300 small blocks take 0.2 s). `offline` keeps the node from looking for a block elsewhere.
 */
import { cidMatches, cidParts, printCid, type CidBytes } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import { mapAtOnce } from '../../util/in-order.ts'
import type { KuboClient } from './client.ts'
import { means } from './refusals.ts'

const AT_ONCE = 16

export function getBlocks(
  client: KuboClient,
  cids: readonly CidBytes[],
  options?: CallOptions,
): Promise<(Uint8Array | undefined)[]> {
  return askForEach(client, 'block/get', cids, options)
}

export async function hasBlocks(
  client: KuboClient,
  cids: readonly CidBytes[],
  options?: CallOptions,
): Promise<boolean[]> {
  const answers = await askForEach(client, 'block/stat', cids, options)
  return answers.map((answer) => answer !== undefined)
}

function askForEach(
  client: KuboClient,
  command: string,
  cids: readonly CidBytes[],
  options?: CallOptions,
): Promise<(Uint8Array | undefined)[]> {
  return mapAtOnce(cids, AT_ONCE, async (cid) => {
    cidParts(cid)
    try {
      return await client.read(command, { arg: printCid(cid), offline: true }, options)
    } catch (error) {
      if (means(error, 'blockMissing')) return undefined
      if (means(error, 'blockWrong')) return bytesOtherThan(cid)
      throw error
    }
  })
}

/** Stand for bytes that the node keeps to itself since they are not those of the CID. */
function bytesOtherThan(cid: CidBytes): Uint8Array {
  const none = new Uint8Array(0)
  return cidMatches(cid, none) ? Uint8Array.of(0) : none
}
