/** Blocks and commits for tests of the Kubo backend, different at every call. */
import { randomBytes } from 'node:crypto'
import { encode } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { cborBlock, type Block } from '../../src/model/cid.ts'
import type { CommitRequest, HeldBlock, Hold } from '../../src/store/backend.ts'
import { askNode } from './kubo-node.ts'

export const leaf = (): Block => cborBlock(encode(randomBytes(40)))

export function linking(hold: Hold, ...links: readonly Block[]): HeldBlock {
  const value = { links: links.map(({ cid }) => CID.decode(cid)), nonce: randomBytes(8) }
  return { ...cborBlock(encode(value)), hold }
}

export function request(number: number, more: Partial<CommitRequest> = {}): CommitRequest {
  const bytes = Buffer.from(JSON.stringify({ nonce: randomBytes(8).toString('hex') }))
  return { dataset: 'main', number, bytes, blocks: [], ...more }
}

/** The CIDs with a pin of this type, asked of the node itself. */
export async function pinsOf(url: string, type: 'recursive' | 'direct'): Promise<string[]> {
  const answer = JSON.parse(await askNode(url, 'pin/ls', { type })) as { Keys?: object }
  return Object.keys(answer.Keys ?? {})
}
