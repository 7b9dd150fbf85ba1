/** What is said between a service that holds a replica and who brings it up to date. */
import {
  Cid,
  CidText,
  Count,
  DatasetName,
  MOST,
  Text,
  integer,
  list,
  matching,
  nullable,
  oneOf,
  optional,
  schemaOf,
  strict,
  text,
  type ObjectSchema,
  type Schema,
} from './common.ts'

/** Blocks that may be asked for at once, in either direction. */
const MOST_BLOCKS = 512
/** A commit has a few hundred bytes, and what it says of forks. */
const MOST_COMMIT_CHARS = 64 << 10

const LOG_TEXT =
  'where one block of the log is wanted: those before it come along, down to this position'

export const BlocksBody: ObjectSchema<{ cids: readonly string[]; log_from?: number }> = strict({
  cids: list(Cid, { minItems: 1, maxItems: MOST_BLOCKS }),
  log_from: optional(integer(0, MOST, LOG_TEXT)),
})

/** Of a sync. */
const ID_PATTERN = '^[0-9a-f]{32}$'

export const SyncBody: ObjectSchema<{ from: string; commit: string; key?: string }> = strict({
  from: text(1, 512, 'where it comes from, to tell people', {
    pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+$',
  }),
  commit: text(2, MOST_COMMIT_CHARS, 'the newest commit, as the store holds it'),
  key: optional(
    matching(
      ID_PATTERN,
      'its id, made at random: sent again, it begins no other while this one runs',
    ),
  ),
})

const SyncId: Schema<string> = matching(ID_PATTERN, 'the id of a sync')

export const SyncParams: ObjectSchema<{ dataset: string; sync: string }> = strict({
  dataset: DatasetName,
  sync: SyncId,
})

export const StepParams: ObjectSchema<{ dataset: string; sync: string; step: number }> = strict({
  dataset: DatasetName,
  sync: SyncId,
  step: integer(1, MOST, 'the question that is answered'),
})

export const StepQuery: ObjectSchema<{ count?: number }> = strict({
  count: optional(
    integer(
      1,
      MOST_BLOCKS,
      'of how many of the CIDs asked for, from the first on, the body has the blocks that there are',
    ),
  ),
})

interface SyncReportRecord {
  readonly status: 'synced' | 'already_synced'
  readonly dataset: string
  readonly source: string
  readonly from: number
  readonly commit: number
  readonly generation: number
  readonly next: number
  readonly seq: number
  readonly total_count: number
  readonly snapshots: number
  readonly blocks: number
  readonly bytes: number
  readonly requests: number
  readonly found: number
}

const SyncReport = strict({
  status: oneOf<'synced' | 'already_synced'>(['synced', 'already_synced']),
  dataset: Text,
  source: Text,
  from: Count,
  commit: Count,
  generation: Count,
  next: Count,
  seq: Count,
  total_count: Count,
  snapshots: Count,
  blocks: Count,
  bytes: Count,
  requests: Count,
  found: Count,
})

export interface SyncFailureRecord {
  readonly code: string
  readonly message: string
  readonly hint?: string
}

const SyncFailure = strict({ code: Text, message: Text, hint: optional(Text) })

export interface SyncStateRecord {
  readonly sync: string
  readonly wants: 'newest' | 'blocks' | 'nothing'
  readonly step: number
  readonly cids: readonly string[]
  readonly log_from: number | null
  readonly report: SyncReportRecord | null
  readonly error: SyncFailureRecord | null
}

export const SyncState: ObjectSchema<SyncStateRecord> = strict({
  sync: Text,
  wants: oneOf<SyncStateRecord['wants']>(['newest', 'blocks', 'nothing'], {
    description:
      'what to send next; nothing: it is at work, or has ended with a report or an error',
  }),
  step: schemaOf<number>({ type: 'integer', minimum: 0, description: 'the question to answer' }),
  cids: list(CidText, { description: 'the blocks that are wanted' }),
  log_from: schemaOf<number | null>({
    type: ['integer', 'null'],
    minimum: 0,
    description: LOG_TEXT,
  }),
  report: nullable(SyncReport),
  error: nullable(SyncFailure),
})

export const SyncEnded: ObjectSchema<{ sync: string }> = strict({ sync: Text })

/** One of a stream of commits; `data` is JSON. */
export const CommitEvent: ObjectSchema<{ id: string; event: 'commit'; data: string }> = strict({
  id: matching('^\\d{1,16}$', 'its number'),
  event: oneOf<'commit'>(['commit']),
  data: schemaOf<string>({ type: 'string', contentMediaType: 'application/json' }),
})
