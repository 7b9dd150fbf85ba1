/** Whether a node looks like one that lost its MFS: blocks of Cairn are pinned, and no dataset is there. */
import { CODEC_DAG_CBOR, cidParts, type CidBytes } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import { knownCid, mapOf } from './answers.ts'
import { getBlocks } from './blocks.ts'
import type { KuboClient } from './client.ts'
import { looksLikeHolder } from './holder.ts'
import { linesOf } from './lines.ts'
import { createMfs } from './mfs.ts'
import { DATASETS } from './paths.ts'

/** Of each type. A node that is Cairn's has hardly others. */
const PINS_LOOKED_AT = 32
const MARK = Buffer.from('cairn/')

const isOurs = (bytes: Uint8Array): boolean =>
  Buffer.from(bytes).includes(MARK) || looksLikeHolder(bytes)

export async function looksLost(client: KuboClient, options?: CallOptions): Promise<boolean> {
  const datasets = await createMfs(client).list(DATASETS, options)
  if ((datasets ?? []).length > 0) return false
  for (const type of ['recursive', 'direct']) {
    const blocks = await getBlocks(client, await somePins(client, type, options), options)
    if (blocks.some((bytes) => bytes !== undefined && isOurs(bytes))) return true
  }
  return false
}

/** By the codec of the blocks that Cairn pins. */
async function somePins(
  client: KuboClient,
  type: string,
  options?: CallOptions,
): Promise<CidBytes[]> {
  const cids: CidBytes[] = []
  for await (const line of linesOf(client.stream('pin/ls', { type, stream: true }, options))) {
    const cid = knownCid(mapOf('pin/ls', line)['Cid'])
    if (cid !== undefined && cidParts(cid).codec === CODEC_DAG_CBOR) cids.push(cid)
    if (cids.length === PINS_LOOKED_AT) break
  }
  return cids
}
