/**
 * A holder keeps many blocks with one pin, each by itself: it links to them by the raw codec, under
 * which a block links to nothing, and Kubo's collector goes by hashes alone. So a batch of content can
 * be held before what it links to is there, in the time of one pin, and let go as fast.
 *
 * Every holder is like no other, so that dropping its pin takes nothing from anybody else.
 */
import { randomBytes } from 'node:crypto'
import { decode, encode } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { cborBlock, CODEC_RAW, cidParts, type Block, type CidBytes } from '../../model/cid.ts'

/** Keeps a holder under 1 MiB. */
const LINKS_A_HOLDER = 20_000
const SHA2_256_HEAD: readonly number[] = [1, CODEC_RAW, 0x12, 32]

export function holdersOf(cids: readonly CidBytes[]): Block[] {
  return holdersOfLinks(cids.flatMap(rawLink))
}

/** Those in `deep` with all that they link to. */
export function deepHoldersOf(alone: readonly CidBytes[], deep: readonly CidBytes[]): Block[] {
  return holdersOfLinks([...alone.flatMap(rawLink), ...deep.map((cid) => CID.decode(cid))])
}

/** What a holder keeps, by the CIDs that it links to; `undefined` where a block is no holder. */
export function heldBy(block: Uint8Array): CidBytes[] | undefined {
  if (!looksLikeHolder(block)) return undefined
  const { links } = decode<{ links: CID[] }>(block)
  return links.map(({ bytes }) => bytes)
}

/** Its last field, as DAG-CBOR sorts them. */
const MARK = encode({ holder: 'cairn' }).subarray(1)

export const looksLikeHolder = (block: Uint8Array): boolean =>
  block[0] === 0xa3 && Buffer.from(block.subarray(-MARK.length)).equals(MARK)

function holdersOfLinks(links: readonly CID[]): Block[] {
  const holders: Block[] = []
  for (let at = 0; at < links.length; at += LINKS_A_HOLDER) {
    const some = links.slice(at, at + LINKS_A_HOLDER)
    holders.push(cborBlock(encode({ holder: 'cairn', nonce: randomBytes(16), links: some })))
  }
  return holders
}

function rawLink(cid: CidBytes): CID[] {
  const { hash, digest } = cidParts(cid)
  if (hash !== 'sha2-256') return []
  return [CID.decode(Uint8Array.from([...SHA2_256_HEAD, ...digest]))]
}
