/** Nodes of DAG-PB as a test wants them, made by the reference. */
import { createHash } from 'node:crypto'
import { encode } from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { CODEC_DAG_PB, type Block, type CidBytes } from '../../src/model/cid.ts'

export function encodePb(
  links: readonly { readonly name: string; readonly cid: CidBytes }[],
  data?: Uint8Array,
): Block {
  const bytes = encode({
    ...(data === undefined ? {} : { Data: data }),
    Links: links.map(({ name, cid }) => ({ Name: name, Tsize: 1, Hash: CID.decode(cid) })),
  })
  const digest = createHash('sha256').update(bytes).digest()
  return { cid: Uint8Array.from([1, CODEC_DAG_PB, 0x12, 0x20, ...digest]), bytes }
}
