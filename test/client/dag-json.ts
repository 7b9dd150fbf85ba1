/** A block of DAG-CBOR as the text that JSON has of the client's `Content`, by the reference libraries. */
import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'

export async function valueOf(block: Uint8Array): Promise<{ cid: string; value: unknown }> {
  const text = new TextDecoder().decode(dagJson.encode(dagCbor.decode(block)))
  const cid = CID.createV1(dagCbor.code, await sha256.digest(block)).toString()
  return { cid, value: JSON.parse(text) as unknown }
}
