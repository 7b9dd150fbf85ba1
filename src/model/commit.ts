/**
 * Commit: one numbered, immutable value of a dataset's index pointer. FORMAT.md, "Commit".
 *
 * Canonical JSON on every backend (keys sorted, no white space), its CID that of a raw block. The
 * fields are a superset of `arke/index-pointer@v1`, so that people and older programs can read it.
 *
 * Invariants, checked by `validate` and by reading back: `recent_count` is 0 exactly when `recent_chain_head` is null;
 * `next` >= `chain_first` + `recent_count`; `ts` and `next` never go back from commit to commit.
 */
import { createHash } from 'node:crypto'
import { CairnError, isCairnError } from '../errors.ts'
import { bytesEqual, parseCid, printCid, rawCidOf, type CidBytes } from './cid.ts'
import type { Generation } from './generation.ts'
import { Fields, type IpldMap } from './ipld.ts'
import {
  replicationOf,
  replicationRecord,
  type Replication,
  type ReplicationRecord,
} from './replication.ts'
import { COMMIT_SCHEMA } from './schema.ts'
import {
  areSettingsPossible,
  isDatasetName,
  readSettings,
  settingsRecord,
  type DatasetSettings,
  type SettingsRecord,
} from './settings.ts'

/** While it lasts, only its owner commits: a bulk load's guard, void when its time has passed. */
export interface Exclusive {
  readonly owner: string
  readonly reason: string
  readonly until: number
}

export interface Commit extends Replication {
  readonly number: number
  /** The CID of the commit before this one. */
  readonly prev: CidBytes | null
  readonly ts: number
  /** Names the process that committed, at random; makes every commit's bytes unique. */
  readonly writer: string
  readonly reason: string
  readonly dataset: string
  readonly identity: string
  /** The identities that blocks may carry which came from elsewhere: of what was restored under another name. */
  readonly origins: readonly string[]
  readonly generation: Generation
  readonly settings: DatasetSettings

  readonly snapshot: CidBytes
  readonly snapshotSeq: number
  readonly snapshotTs: number
  /** Live entities of the snapshot. */
  readonly snapshotCount: number

  /** The newest block of the recent chain; null: the chain is empty. */
  readonly head: CidBytes | null
  /** Where the walk from the head stops: the block folded last; null: at the beginning. */
  readonly base: CidBytes | null
  readonly recentCount: number
  /** The position of the first entry of the recent chain; `next` when it is empty. */
  readonly chainFirst: number
  /** The position that the next entry gets. */
  readonly next: number
  /** The ordinal that the next chain block gets. */
  readonly nextOrdinal: number
  /** The number that the next snapshot gets; after a rollback it is not `snapshotSeq` + 1. */
  readonly nextSeq: number
  /** The oldest position that is kept. */
  readonly floor: number
  /** The lowest number of a commit that is kept. A store may have some below, which mean nothing. */
  readonly oldest: number

  /** The newest page of the kept snapshots. */
  readonly kept: CidBytes
  readonly keptCount: number
  /** Live entities, those of the recent chain included. */
  readonly totalCount: number
  readonly exclusive: Exclusive | null
}

export interface EncodedCommit {
  readonly commit: Commit
  readonly bytes: Uint8Array
  readonly cid: CidBytes
}

const printOrNull = (cid: CidBytes | null): string | null => (cid === null ? null : printCid(cid))

/**
 * The commit as the record that is stored, shown by `status` and mirrored for other programs. CIDs and dates are
 * text; what each field means is said at `Commit`.
 */
export interface CommitRecord extends ReplicationRecord {
  readonly schema: typeof COMMIT_SCHEMA
  readonly number: number
  readonly prev: string | null
  readonly ts: number
  readonly last_updated: string
  readonly writer: string
  readonly reason: string
  readonly dataset: string
  readonly identity: string
  readonly origins: readonly string[]
  readonly generation: Generation
  readonly settings: SettingsRecord
  readonly latest_snapshot_cid: string
  readonly snapshot_seq: number
  readonly snapshot_ts: string
  readonly snapshot_count: number
  readonly recent_chain_head: string | null
  readonly chain_base: string | null
  readonly recent_count: number
  readonly chain_first: number
  readonly next: number
  readonly next_ordinal: number
  readonly next_seq: number
  readonly floor: number
  readonly oldest: number
  readonly kept: string
  readonly kept_count: number
  readonly total_count: number
  readonly exclusive: Exclusive | null
}

export function commitRecord(commit: Commit): CommitRecord {
  const { settings, generation } = commit
  return {
    schema: COMMIT_SCHEMA,
    number: commit.number,
    prev: printOrNull(commit.prev),
    ts: commit.ts,
    last_updated: new Date(commit.ts).toISOString(),
    writer: commit.writer,
    reason: commit.reason,
    dataset: commit.dataset,
    identity: commit.identity,
    origins: commit.origins,
    generation: { number: generation.number, tag: generation.tag },
    settings: settingsRecord(settings),
    latest_snapshot_cid: printCid(commit.snapshot),
    snapshot_seq: commit.snapshotSeq,
    snapshot_ts: new Date(commit.snapshotTs).toISOString(),
    snapshot_count: commit.snapshotCount,
    recent_chain_head: printOrNull(commit.head),
    chain_base: printOrNull(commit.base),
    recent_count: commit.recentCount,
    chain_first: commit.chainFirst,
    next: commit.next,
    next_ordinal: commit.nextOrdinal,
    next_seq: commit.nextSeq,
    floor: commit.floor,
    oldest: commit.oldest,
    kept: printCid(commit.kept),
    kept_count: commit.keptCount,
    total_count: commit.totalCount,
    exclusive: commit.exclusive,
    ...replicationRecord(commit),
  }
}

export function encodeCommit(commit: Commit): EncodedCommit {
  validate(commit)
  const record = commitRecord(commit)
  const check = checkOf(canonicalJson(record))
  const bytes = Buffer.from(canonicalJson({ ...record, check }))
  return { commit, bytes, cid: rawCidOf(bytes) }
}

export function decodeCommit(bytes: Uint8Array): EncodedCommit {
  const map = parseJson(bytes)
  let encoded: EncodedCommit
  try {
    encoded = encodeCommit(commitOf(map))
  } catch (cause) {
    if (isCairnError(cause, 'pointer_damaged')) throw cause
    throw damaged(cause instanceof Error ? cause.message : 'a field in it is wrong', cause)
  }
  if (!bytesEqual(encoded.bytes, bytes)) throw damaged('it is not canonical, or has unknown fields')
  return encoded
}

function parseJson(bytes: Uint8Array): IpldMap {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (cause) {
    throw damaged('it is not JSON', cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw damaged('it is not a map')
  const map = value as IpldMap
  const { schema } = map
  if (schema === COMMIT_SCHEMA) return map
  if (typeof schema !== 'string') throw damaged('it has no schema tag')
  throw new CairnError('format_unsupported', `A commit has the format "${schema.slice(0, 64)}".`, {
    hint: `This version of Cairn reads "${COMMIT_SCHEMA}"; use the version that wrote the store.`,
  })
}

function commitOf(map: IpldMap): Commit {
  const fields = new Fields(map, 'a commit')
  const generation = new Fields(fields.map('generation'), 'a generation')
  const cid = (field: string): CidBytes => parseCid(fields.text(field))
  const cidOrNull = (field: string): CidBytes | null => {
    const text = fields.textOrNull(field)
    return text === null ? null : parseCid(text)
  }
  return {
    number: fields.uint('number'),
    prev: cidOrNull('prev'),
    ts: fields.uint('ts'),
    writer: fields.text('writer'),
    reason: fields.text('reason'),
    dataset: fields.text('dataset'),
    identity: fields.text('identity'),
    origins: fields.texts('origins'),
    generation: { number: generation.uint('number'), tag: generation.text('tag') },
    settings: readSettings(fields.map('settings')),
    snapshot: cid('latest_snapshot_cid'),
    snapshotSeq: fields.uint('snapshot_seq'),
    snapshotTs: Date.parse(fields.text('snapshot_ts')),
    snapshotCount: fields.uint('snapshot_count'),
    head: cidOrNull('recent_chain_head'),
    base: cidOrNull('chain_base'),
    recentCount: fields.uint('recent_count'),
    chainFirst: fields.uint('chain_first'),
    next: fields.uint('next'),
    nextOrdinal: fields.uint('next_ordinal'),
    nextSeq: fields.uint('next_seq'),
    floor: fields.uint('floor'),
    oldest: fields.uint('oldest'),
    kept: cid('kept'),
    keptCount: fields.uint('kept_count'),
    totalCount: fields.uint('total_count'),
    exclusive:
      map['exclusive'] === null
        ? null
        : exclusiveOf(new Fields(fields.map('exclusive'), 'a guard')),
    ...replicationOf(map),
  }
}

function exclusiveOf(fields: Fields): Exclusive {
  return { owner: fields.text('owner'), reason: fields.text('reason'), until: fields.uint('until') }
}

function validate(commit: Commit): void {
  if ((commit.head === null) !== (commit.recentCount === 0))
    throw damaged('its chain and count disagree')
  const numbers = [commit.number, commit.next, commit.nextOrdinal, commit.nextSeq]
  if (![...numbers, commit.generation.number].every((one) => Number.isSafeInteger(one)))
    throw damaged('a number in it is too large')
  if (!isTime(commit.ts) || !isTime(commit.snapshotTs)) throw damaged('a time in it is none')
  if (commit.next < commit.chainFirst + commit.recentCount) throw damaged('its positions disagree')
  if (commit.floor > commit.chainFirst) throw damaged('its floor lies inside the chain')
  if (commit.oldest > commit.number) throw damaged('its oldest commit is to come')
  if (commit.prev === null && commit.number > 0) throw damaged('it has no predecessor')
  if (!isDatasetName(commit.dataset) || !areSettingsPossible(commit.settings))
    throw damaged('its name or settings are impossible')
}

/** The times that a date can hold. */
function isTime(ms: number): boolean {
  return Number.isSafeInteger(ms) && ms >= 0 && !Number.isNaN(new Date(ms).getTime())
}

/** What to do about a pointer that cannot be read or contradicts itself. */
export const POINTER_HINT =
  'Do not write to this store; restore it from a backup, or roll back to an earlier commit.'

function damaged(why: string, cause?: unknown): CairnError {
  return new CairnError('pointer_damaged', `The index pointer cannot be read: ${why}.`, {
    hint: POINTER_HINT,
    cause,
  })
}

const CHECK_DIGITS = 16

/**
 * Nothing holds the CID of the newest commit, so it carries a check of its own: a flipped bit in it is
 * found, though not a forgery.
 */
function checkOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, CHECK_DIGITS)
}

/** JSON with sorted keys and no white space: the same value always gives the same bytes. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  const fields = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([key, one]) => `${JSON.stringify(key)}:${canonicalJson(one)}`).join(',')}}`
}
