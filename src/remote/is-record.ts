/** What is the engine's own among blocks: the rest is content. */
import { decodeChainBlock } from '../model/chain-block.ts'
import { isEngineCid, type CidBytes } from '../model/cid.ts'
import { decodeKeptPage } from '../model/kept.ts'
import { decodeNode } from '../model/node.ts'
import { CHAIN_SCHEMA, KEPT_SCHEMA, NODE_SCHEMA, SNAPSHOT_SCHEMA } from '../model/schema.ts'
import { decodeSnapshot } from '../model/snapshot.ts'

/** The kinds that a dataset consists of. */
const DECODERS: readonly (readonly [schema: string, decode: (bytes: Uint8Array) => unknown])[] = [
  [NODE_SCHEMA, decodeNode],
  [CHAIN_SCHEMA, decodeChainBlock],
  [SNAPSHOT_SCHEMA, decodeSnapshot],
  [KEPT_SCHEMA, decodeKeptPage],
]

/** Whether a block has exactly the fields of a record; not, whether the bytes are those of the CID. */
export function isRecord(cid: CidBytes, bytes: Uint8Array): boolean {
  if (!isEngineCid(cid)) return false
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  // Looked for first, since to find that a large block is none of another kind takes long.
  return DECODERS.some(([schema, decode]) => block.includes(schema) && succeeds(decode, bytes))
}

function succeeds(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): boolean {
  try {
    decode(bytes)
    return true
  } catch {
    return false
  }
}
