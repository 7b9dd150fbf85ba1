/**
 * Checkpoint: the root of an exported CAR. FORMAT.md, "Checkpoint".
 *
 * It links to the snapshot header and, by a list of Links in blocks of at most 10,000, to every block
 * of the recent chain: all that a restore needs, up to the moment of the export. The same state and
 * content mode give the same bytes. `since` and `base` are weak: what they name is not in the CAR.
 *
 * It may come from anybody, and a restored dataset goes on from what it says. So what no dataset can
 * have is refused here: a name or settings that none can be made with, numbers with no room to count on.
 */
import { CID } from 'multiformats/cid'
import { CairnError } from '../errors.ts'
import { cborBlock, cidKey, type Block, type CidBytes } from './cid.ts'
import type { Generation } from './generation.ts'
import { DAMAGED_HINT, Fields, checkCanonical, decodeIpldMap, encodeIpld } from './ipld.ts'
import { MAX_BLOCK_BYTES } from './node.ts'
import { CHAIN_LIST_SCHEMA, CHECKPOINT_SCHEMA } from './schema.ts'
import {
  areSettingsPossible,
  isDatasetName,
  readSettings,
  settingsRecord,
  type DatasetSettings,
} from './settings.ts'
import type { SnapshotHeader } from './snapshot.ts'

/** How much of the content is in a CAR: none, the tips' own blocks, or everything under them. */
export type CarContent = 'index' | 'tips' | 'full'

/** Where the log stands, and the chain in it. */
export interface LogPlace {
  readonly base: CidBytes | null
  readonly recentCount: number
  readonly chainFirst: number
  readonly next: number
  readonly nextOrdinal: number
  readonly nextSeq: number
  readonly totalCount: number
}

export interface Checkpoint extends LogPlace {
  /** The dataset's name where it was exported. */
  readonly dataset: string
  readonly identity: string
  readonly origins: readonly string[]
  readonly generation: Generation
  readonly settings: DatasetSettings
  readonly content: CarContent
  readonly snapshot: CidBytes
  /** A delta: the snapshot that a store must have. */
  readonly since: CidBytes | null
  /** The list of the chain's blocks, oldest first; null: the chain is empty. */
  readonly chain: CidBytes | null
}

/** As it was when the snapshot was built, without any chain over it. */
export function placeAfter({ head, upto, seq, live }: SnapshotHeader): LogPlace {
  return {
    base: head,
    recentCount: 0,
    chainFirst: upto,
    next: upto,
    // A block has an entry at least, so no ordinal is above its first position.
    nextOrdinal: upto,
    nextSeq: seq + 1,
    totalCount: live,
  }
}

function checkpointBytes(checkpoint: Checkpoint): Uint8Array {
  const { settings, generation } = checkpoint
  return encodeIpld({
    schema: CHECKPOINT_SCHEMA,
    dataset: checkpoint.dataset,
    identity: checkpoint.identity,
    origins: checkpoint.origins,
    generation: { number: generation.number, tag: generation.tag },
    settings: settingsRecord(settings),
    content: checkpoint.content,
    snapshot: CID.decode(checkpoint.snapshot),
    since: checkpoint.since,
    // After `snapshot` in the order of the encoding, and so in the CAR.
    recent_chain: checkpoint.chain === null ? null : CID.decode(checkpoint.chain),
    base: checkpoint.base,
    recent_count: checkpoint.recentCount,
    chain_first: checkpoint.chainFirst,
    next: checkpoint.next,
    next_ordinal: checkpoint.nextOrdinal,
    next_seq: checkpoint.nextSeq,
    total_count: checkpoint.totalCount,
  })
}

export function encodeCheckpoint(checkpoint: Checkpoint): Block {
  return cborBlock(checkpointBytes(checkpoint))
}

export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  if (bytes.length > MAX_BLOCK_BYTES) throw impossible('A checkpoint')
  const fields = new Fields(decodeIpldMap(bytes, CHECKPOINT_SCHEMA), 'a checkpoint')
  const generation = new Fields(fields.map('generation'), 'a generation')
  const checkpoint: Checkpoint = {
    dataset: fields.text('dataset'),
    identity: fields.text('identity'),
    origins: fields.texts('origins'),
    generation: { number: generation.uint('number'), tag: generation.text('tag') },
    settings: readSettings(fields.map('settings')),
    content: fields.oneOf('content', ['index', 'tips', 'full']),
    snapshot: fields.link('snapshot'),
    since: fields.weakCidOrNull('since'),
    chain: fields.linkOrNull('recent_chain'),
    base: fields.weakCidOrNull('base'),
    recentCount: fields.uint('recent_count'),
    chainFirst: fields.uint('chain_first'),
    next: fields.uint('next'),
    nextOrdinal: fields.uint('next_ordinal'),
    nextSeq: fields.uint('next_seq'),
    totalCount: fields.uint('total_count'),
  }
  checkCanonical(bytes, checkpointBytes(checkpoint), 'A checkpoint')
  const possible =
    isNamed(checkpoint) && isPlaced(checkpoint) && areSettingsPossible(checkpoint.settings)
  if (possible) return checkpoint
  throw impossible('A checkpoint')
}

const MAX_IDENTITY_BYTES = 512

function isNamed({ dataset, identity, origins }: Checkpoint): boolean {
  const isIdentity = (text: string): boolean =>
    text.length > 0 && Buffer.byteLength(text) <= MAX_IDENTITY_BYTES
  return isDatasetName(dataset) && isIdentity(identity) && origins.every(isIdentity)
}

/** Half of what a number can hold: nothing real comes near it, and the rest is room to go on. */
const MOST_COUNTED = 2 ** 52

function isPlaced(checkpoint: Checkpoint): boolean {
  const { chain, generation, recentCount, chainFirst, next, nextOrdinal, nextSeq } = checkpoint
  const counted = [generation.number, next, nextOrdinal, nextSeq]
  return (
    (chain === null) === (recentCount === 0) &&
    chainFirst + recentCount <= next &&
    generation.number > 0 &&
    counted.every((number) => number <= MOST_COUNTED)
  )
}

const LIST_LINKS = 10_000

/** A list of Links as blocks, children before parents, the root last. */
export function encodeChainList(cids: readonly CidBytes[]): Block[] {
  const blocks: Block[] = []
  let links = cids
  for (let level = 0; level === 0 || links.length > 1; level++) {
    const upper: CidBytes[] = []
    for (let from = 0; from < links.length; from += LIST_LINKS) {
      const block = cborBlock(listBytes(level, links.slice(from, from + LIST_LINKS)))
      blocks.push(block)
      upper.push(block.cid)
    }
    links = upper
  }
  return blocks
}

function listBytes(level: number, links: readonly CidBytes[]): Uint8Array {
  return encodeIpld({
    schema: CHAIN_LIST_SCHEMA,
    level,
    links: links.map((cid) => CID.decode(cid)),
  })
}

/** Of more than 10,000 lists there is no use: no chain has 100 million blocks. */
const MAX_LIST_LEVEL = 1

export interface ChainList {
  /** 0: the links are chain blocks; 1: lists of level 0. */
  readonly level: number
  readonly links: readonly CidBytes[]
}

/**
 * With two levels at most and no link twice in a list, a walk takes no more steps than the lists have
 * bytes, whoever made them.
 */
export function decodeChainList(bytes: Uint8Array): ChainList {
  const fields = new Fields(decodeIpldMap(bytes, CHAIN_LIST_SCHEMA), 'a list of chain blocks')
  const list = { level: fields.uint('level'), links: fields.links('links') }
  checkCanonical(bytes, listBytes(list.level, list.links), 'A list of chain blocks')
  const { level, links } = list
  const least = level === 0 ? 1 : 2
  const filled = links.length >= least && links.length <= LIST_LINKS
  const distinct = new Set(links.map(cidKey)).size === links.length
  if (level <= MAX_LIST_LEVEL && filled && distinct) return list
  throw impossible('A list of chain blocks')
}

function impossible(what: string): CairnError {
  return new CairnError('invalid_block', `${what} says what cannot be.`, { hint: DAMAGED_HINT })
}
