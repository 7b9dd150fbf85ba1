/**
 * Snapshot header: what names one state of all entities. FORMAT.md, "Snapshot".
 *
 * `root` is its only Link. `prev` and `head` are weak, so that a pin, an export or a collection that
 * follows links finds this snapshot and not its ancestors.
 */
import { CID } from 'multiformats/cid'
import { CairnError } from '../errors.ts'
import { cborBlock, type Block, type CidBytes } from './cid.ts'
import type { ContentMode } from './entry.ts'
import {
  DAMAGED_HINT,
  checkCanonical,
  decodeIpldMap,
  encodeIpld,
  Fields,
  isPlain,
  type IpldMap,
} from './ipld.ts'
import { MAX_CHUNK_SIZE, MIN_CHUNK_SIZE } from './node.ts'
import { SNAPSHOT_SCHEMA } from './schema.ts'

export interface SnapshotHeader {
  /** The dataset's identity. */
  readonly dataset: string
  /** 0 is the empty genesis snapshot. */
  readonly seq: number
  readonly ts: number
  readonly root: CidBytes
  /** Entries in the tree, and those whose tip is not null. */
  readonly entries: number
  readonly live: number
  readonly chunkCount: number
  /** Every entry at a position below this one is folded in. */
  readonly upto: number
  readonly chunkSize: number
  readonly content: ContentMode
  readonly reason: string
  readonly tags: readonly string[]
  readonly meta: IpldMap
  readonly prev: CidBytes | null
  /** The chain block up to which it has folded. */
  readonly head: CidBytes | null
}

const MAX_TAGS = 64
const MAX_HEADER_BYTES = 256 * 1024

function snapshotBytes(header: SnapshotHeader): Uint8Array {
  const { root, chunkCount, chunkSize, ...same } = header
  return encodeIpld({
    schema: SNAPSHOT_SCHEMA,
    ...same,
    root: CID.decode(root),
    chunk_count: chunkCount,
    chunk_size: chunkSize,
  })
}

export function encodeSnapshot(header: SnapshotHeader): Block {
  const { meta, reason, tags } = header
  if (!isPlain([meta, reason, tags])) {
    throw new CairnError('usage', 'The metadata of a snapshot cannot be stored.', {
      hint: 'Use text, safe whole numbers, fractions, booleans, null, lists and maps: no Links, no bytes.',
    })
  }
  const bytes = snapshotBytes(header)
  if (isTooLarge(header, bytes)) {
    throw new CairnError('too_large', 'The metadata of a snapshot is too large.', {
      hint: `At most ${MAX_TAGS} tags; reason, tags and metadata share ${MAX_HEADER_BYTES} bytes. Put larger things into an entity.`,
    })
  }
  return cborBlock(bytes)
}

const isTooLarge = ({ tags }: SnapshotHeader, bytes: Uint8Array): boolean =>
  tags.length > MAX_TAGS || bytes.length > MAX_HEADER_BYTES

export function decodeSnapshot(bytes: Uint8Array): SnapshotHeader {
  const fields = new Fields(decodeIpldMap(bytes, SNAPSHOT_SCHEMA), 'a snapshot')
  const header: SnapshotHeader = {
    dataset: fields.text('dataset'),
    seq: fields.uint('seq'),
    ts: fields.uint('ts'),
    root: fields.link('root'),
    entries: fields.uint('entries'),
    live: fields.uint('live'),
    chunkCount: fields.uint('chunk_count'),
    upto: fields.uint('upto'),
    chunkSize: fields.uint('chunk_size'),
    content: fields.oneOf('content', ['linked', 'external']),
    reason: fields.text('reason'),
    tags: fields.texts('tags'),
    meta: fields.map('meta'),
    prev: fields.weakCidOrNull('prev'),
    head: fields.weakCidOrNull('head'),
  }
  const { meta, reason, tags } = header
  if (!isPlain([meta, reason, tags])) {
    throw new CairnError(
      'invalid_block',
      'The metadata of a snapshot holds Links, bytes or worse.',
      {
        hint: DAMAGED_HINT,
      },
    )
  }
  checkCanonical(bytes, snapshotBytes(header), 'A snapshot')
  const { entries, live, chunkCount, chunkSize } = header
  if (isTooLarge(header, bytes)) {
    throw new CairnError('invalid_block', 'The metadata of a snapshot is too large.', {
      hint: DAMAGED_HINT,
    })
  }
  if (
    live > entries ||
    chunkCount === 0 ||
    chunkSize < MIN_CHUNK_SIZE ||
    chunkSize > MAX_CHUNK_SIZE
  ) {
    throw new CairnError('invalid_block', 'The counts of a snapshot are impossible.', {
      hint: DAMAGED_HINT,
    })
  }
  return header
}
