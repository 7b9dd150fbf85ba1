/** Entries: versions of entities, as they are read and as they are written. */
import type { EntryRecord } from '../../model/entry-record.ts'
import {
  Base64,
  Cid,
  CidText,
  EntityId,
  ExpectedVersion,
  JsonValue,
  list,
  nullable,
  oneOf,
  optional,
  Position,
  schemaOf,
  strict,
  Text,
  Time,
  TimeOut,
  TimeText,
  Version,
  type ObjectSchema,
  type Schema,
} from './common.ts'

export const Entry: ObjectSchema<EntryRecord> = strict(
  { pi: Text, ver: Version, tip: nullable(CidText), ts: TimeOut, exp: nullable(TimeOut) },
  'one version of one entity; a deleted one has no tip',
)

export interface LoggedRecord extends EntryRecord {
  readonly position: number | null
}

const LoggedEntry: ObjectSchema<LoggedRecord> = strict({
  ...Entry.properties,
  position: nullable(Position),
})

export const History: ObjectSchema<{ items: readonly LoggedRecord[] }> = strict({
  items: list(LoggedEntry),
})

/** What was written, or was there already. */
export interface WrittenRecord {
  readonly pi: string
  readonly ver: number
  readonly tip: string | null
  readonly position: number | null
  readonly status: 'appended' | 'already'
}

export const Written: ObjectSchema<WrittenRecord> = strict({
  pi: Text,
  ver: Version,
  tip: nullable(CidText),
  position: nullable(Position),
  status: oneOf(['appended', 'already']),
})

export const WrittenBatch: ObjectSchema<{ entries: readonly WrittenRecord[] }> = strict({
  entries: list(Written),
})

interface Conditions {
  readonly ver?: number | undefined
  readonly ts?: string | number | undefined
  readonly exp?: string | number | null | undefined
  readonly expect_ver?: number | undefined
  readonly expect_tip?: string | null | undefined
}

/** One of tip, value and bytes. */
export interface EntityPut extends Conditions {
  readonly tip?: string | undefined
  readonly value?: unknown
  readonly bytes?: string | undefined
}

/** One of tip (null deletes), value and bytes. */
export interface BatchEntry extends Omit<EntityPut, 'tip'> {
  readonly pi: string
  readonly tip?: string | null | undefined
}

const FIELDS = {
  value: JsonValue,
  bytes: Base64,
  ver: Version,
  ts: Time,
  exp: nullable(Time),
  expect_ver: ExpectedVersion,
  expect_tip: nullable(Cid),
}

const ONE_CONTENT = [{ required: ['tip'] }, { required: ['value'] }, { required: ['bytes'] }]

export const EntityPut: Schema<EntityPut> = schemaOf({
  type: 'object',
  properties: { tip: Cid, ...FIELDS },
  additionalProperties: false,
  oneOf: ONE_CONTENT,
})

const BatchEntry: Schema<BatchEntry> = schemaOf({
  type: 'object',
  properties: { pi: EntityId, tip: nullable(Cid), ...FIELDS },
  required: ['pi'],
  additionalProperties: false,
  oneOf: ONE_CONTENT,
})

const MAX_BATCH = 10_000

export const Batch: ObjectSchema<{ entries: readonly BatchEntry[] }> = strict({
  entries: list(BatchEntry, { minItems: 1, maxItems: MAX_BATCH }),
})

export interface DeleteQuery {
  readonly ver?: number | undefined
  readonly expect_ver?: number | undefined
  readonly expect_tip?: string | undefined
}

export const DeleteQuery: ObjectSchema<DeleteQuery> = strict({
  ver: optional(Version),
  expect_ver: optional(ExpectedVersion),
  expect_tip: optional(Cid),
})

export interface ContentQuery {
  readonly ver?: number | undefined
  readonly ts?: string | undefined
  readonly exp?: string | undefined
}

/** Beside a body that is the content itself; what is expected stands in headers. */
export const ContentQuery: ObjectSchema<ContentQuery> = strict({
  ver: optional(Version),
  ts: optional(TimeText),
  exp: optional(TimeText),
})
