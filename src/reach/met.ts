/** What a walk meets, and whom it tells. */
import { CairnError } from '../errors.ts'
import { cidMatches, cidParts, DIGEST_BYTES, printCid, type CidBytes } from '../model/cid.ts'

/** What a block is to the one that led to it. */
export type BlockKind =
  'checkpoint' | 'snapshot' | 'branch' | 'leaf' | 'chain list' | 'chain' | 'content'

/** A block that is what its CID says. */
export interface Met {
  readonly cid: CidBytes
  readonly bytes: Uint8Array
  readonly kind: BlockKind
  /** How many a leaf or a chain block has. */
  readonly entries?: number
}

export interface Visitor {
  /** A block that was not met before; then all that is under it comes. */
  block?(met: Met): void | Promise<void>
  /** All that is under a leaf or a chain block was met. Also for one whose `block` came before. */
  leave?(met: Met): void | Promise<void>
  /** Something is wrong with a block or missing: throws to end the walk, else that part is passed over. */
  problem(error: CairnError, cid: CidBytes): void
}

export interface Seen {
  has(cid: CidBytes): boolean
  /** True when it was not there before. */
  add(cid: CidBytes): boolean
}

/** The problem of a block that should be `kind`; undefined when it is whole. */
export function problemOf(
  cid: CidBytes,
  bytes: Uint8Array | undefined,
  kind: BlockKind,
): CairnError | undefined {
  if (bytes === undefined) {
    const code = kind === 'content' ? 'content_missing' : 'block_missing'
    return new CairnError(code, `The ${kind} block ${printCid(cid)} is missing.`, {
      hint: 'Bring it back from another copy.',
      cid: printCid(cid),
    })
  }
  if (!cidMatches(cid, bytes)) {
    return new CairnError('block_mismatch', `The ${kind} block ${printCid(cid)} has other bytes.`, {
      hint: 'It is damaged; bring it back from another copy.',
      cid: printCid(cid),
    })
  }
  return undefined
}

interface DigestTable {
  has(key: Uint8Array): boolean
  set(key: Uint8Array, value: number): boolean
}

/**
 * Blocks by their digest and codec: the same bytes link to nothing as a raw block, and to others as
 * DAG-CBOR. The codec is mixed into the digest; that two blocks meet so is as unlikely as any collision.
 */
export function seenIn(table: DigestTable): Seen {
  const key = new Uint8Array(DIGEST_BYTES)
  const keyOf = (cid: CidBytes): Uint8Array => {
    const from = cid.length - DIGEST_BYTES
    for (let i = 0; i < DIGEST_BYTES; i++) key[i] = cid[from + i] ?? 0
    const codec = from === 4 ? (cid[1] ?? 0) : cidParts(cid).codec
    key[0] = (key[0] ?? 0) ^ (codec & 0xff)
    return key
  }
  return { has: (cid) => table.has(keyOf(cid)), add: (cid) => table.set(keyOf(cid), 0) }
}
