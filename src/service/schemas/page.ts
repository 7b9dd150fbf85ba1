/** Pages of entities, and the moment that a read is about. */
import type { EntryRecord } from '../../model/entry-record.ts'
import {
  Count,
  EntityId,
  flag,
  integer,
  Limit,
  list,
  matching,
  MOST,
  nullable,
  oneOf,
  optional,
  schemaOf,
  Selector,
  strict,
  Text,
  TimeText,
  type ObjectSchema,
} from './common.ts'
import { Entry } from './entry.ts'

/** At most one of these. */
export interface MomentQuery {
  readonly at_snapshot?: string | undefined
  readonly at_commit?: number | undefined
  readonly at_time?: string | undefined
}

export const MomentQuery: ObjectSchema<MomentQuery> = strict({
  at_snapshot: optional(Selector),
  at_commit: optional(integer(0, MOST, 'a commit by number')),
  at_time: optional(TimeText),
})

export interface PageQuery extends MomentQuery {
  readonly limit: number
  readonly offset?: number | undefined
  readonly cursor?: string | undefined
  readonly order: 'asc' | 'desc'
  readonly prefix?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
}

export const PageQuery: ObjectSchema<PageQuery> = strict({
  limit: Limit(10_000, 100),
  offset: optional(integer(0, MOST, 'how many entities to pass over; not together with a cursor')),
  cursor: optional(matching('^[A-Za-z0-9_-]{1,800}$', '`next_cursor` of the page before')),
  order: oneOf(['asc', 'desc'], { default: 'desc', description: 'by the bytes of ids' }),
  prefix: optional(EntityId),
  from: optional(schemaOf<string>({ ...EntityId, description: 'the lowest id, itself included' })),
  to: optional(
    schemaOf<string>({ ...EntityId, description: 'the end of the range, not included' }),
  ),
  ...MomentQuery.properties,
})

export interface PageRecord {
  readonly items: readonly EntryRecord[]
  readonly total_count: number
  readonly has_more: boolean
  readonly next_cursor: string | null
}

export const Page: ObjectSchema<PageRecord> = strict({
  items: list(Entry),
  total_count: Count,
  has_more: flag(),
  next_cursor: nullable(Text),
})
