/** Making a dataset: its first commit, with an empty snapshot, so that it always has one. */
import { base32 } from 'multiformats/bases/base32'
import { CairnError } from '../errors.ts'
import { encodeCommit } from '../model/commit.ts'
import type { IpldMap } from '../model/ipld.ts'
import { encodeKeptPage, keep } from '../model/kept.ts'
import { EMPTY_LEAF, EMPTY_LEAF_CID, MAX_CHUNK_SIZE, MIN_CHUNK_SIZE } from '../model/node.ts'
import { MAX_CHAIN_LIMIT, isDatasetName, type DatasetSettings } from '../model/settings.ts'
import { encodeSnapshot } from '../model/snapshot.ts'
import type { Context } from './context.ts'
import { commitSurely } from './next-commit.ts'
import { checkNotes } from './notes.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const DEFAULT_CHAIN_LIMIT = 10_000

export interface InitOptions {
  readonly content?: DatasetSettings['content'] | undefined
  /** Entries in a leaf at most: 64 to 10,000, which is the default. */
  readonly chunkSize?: number | undefined
  /** Entries in the recent chain at most; 10,000 unless given. */
  readonly chainLimit?: number | undefined
  /** How long a deletion is remembered; 30 days unless given. */
  readonly deletedMs?: number | undefined
  readonly meta?: IpldMap | undefined
  readonly tags?: readonly string[] | undefined
}

export function parseDatasetName(name: string): string {
  if (isDatasetName(name)) return name
  throw new CairnError('usage', `"${name.slice(0, 100)}" cannot be the name of a dataset.`, {
    hint: 'Use 1 to 64 lower-case letters, digits, "-" and "_".',
  })
}

export function settingsOf(options: InitOptions): DatasetSettings {
  const {
    content = 'linked',
    chunkSize = MAX_CHUNK_SIZE,
    chainLimit = DEFAULT_CHAIN_LIMIT,
  } = options
  const { deletedMs = 30 * DAY_MS } = options
  if (content !== 'linked' && content !== 'external') {
    throw new CairnError('usage', `Content cannot be "${String(content)}".`, {
      hint: 'It is linked (held by the store) or external.',
    })
  }
  checkRange('chunk size', chunkSize, MIN_CHUNK_SIZE, MAX_CHUNK_SIZE)
  checkRange('chain limit', chainLimit, 1, MAX_CHAIN_LIMIT)
  checkRange('time of remembering deletions', deletedMs, 0, Number.MAX_SAFE_INTEGER)
  return { content, chunkSize, chainLimit, deletedMs }
}

function checkRange(what: string, value: number, least: number, most: number): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return
  throw new CairnError('usage', `A ${what} of ${value} is not possible.`, {
    hint: `Use a whole number from ${least} to ${most}.`,
  })
}

/** Commits the genesis snapshot. `false`: the dataset had been made by someone else meanwhile. */
export async function createDataset(
  context: Context,
  name: string,
  options: InitOptions,
): Promise<boolean> {
  const settings = settingsOf(options)
  checkNotes(options)
  const ts = context.now()
  const identity = base32.encode(context.randomBytes(16))
  const reason = 'init'
  const tags = options.tags ?? []
  const snapshot = encodeSnapshot({
    dataset: identity,
    seq: 0,
    ts,
    root: EMPTY_LEAF_CID,
    entries: 0,
    live: 0,
    chunkCount: 1,
    upto: 0,
    chunkSize: settings.chunkSize,
    content: settings.content,
    reason,
    tags,
    meta: options.meta ?? {},
    prev: null,
    head: null,
  })
  const kept = encodeKeptPage(
    keep(undefined, { cid: snapshot.cid, seq: 0, ts, entries: 0, live: 0, reason, tags }),
  )
  const { bytes } = encodeCommit({
    number: 0,
    prev: null,
    ts,
    writer: context.writer,
    reason,
    dataset: name,
    identity,
    origins: [],
    generation: { number: 1, tag: Buffer.from(context.randomBytes(8)).toString('hex') },
    settings,
    snapshot: snapshot.cid,
    snapshotSeq: 0,
    snapshotTs: ts,
    snapshotCount: 0,
    head: null,
    base: null,
    recentCount: 0,
    chainFirst: 0,
    next: 0,
    nextOrdinal: 0,
    nextSeq: 1,
    floor: 0,
    oldest: 0,
    kept: kept.cid,
    keptCount: 1,
    totalCount: 0,
    exclusive: null,
  })
  const outcome = await commitSurely(context, {
    dataset: name,
    number: 0,
    bytes,
    blocks: [
      { cid: EMPTY_LEAF_CID, bytes: EMPTY_LEAF, hold: 'self' },
      { ...snapshot, hold: 'self' },
      { ...kept, hold: 'self' },
    ],
  })
  return outcome === 'committed'
}
