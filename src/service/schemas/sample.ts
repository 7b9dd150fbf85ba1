/** The figures behind the charts. */
import { WINDOWS, type Window } from '../samples.ts'
import {
  Count,
  list,
  nullable,
  oneOf,
  schemaOf,
  strict,
  Text,
  type ObjectSchema,
  type Schema,
} from './common.ts'

const Moment: Schema<string> = schemaOf({ type: 'string', description: 'RFC 3339 in UTC' })

export interface SampleRecord {
  readonly ts: string
  readonly total_count: number
  readonly recent_count: number
  readonly store_bytes: number | null
  readonly memory_bytes: number
}

export interface SamplesRecord {
  readonly dataset: string
  readonly checked_at: string
  readonly every_ms: number
  readonly items: readonly SampleRecord[]
}

const Sample: ObjectSchema<SampleRecord> = strict({
  ts: Moment,
  total_count: Count,
  recent_count: Count,
  store_bytes: nullable(Count),
  memory_bytes: schemaOf<number>({ ...Count, description: 'of the process that serves' }),
})

export const SamplesAnswer: ObjectSchema<SamplesRecord> = strict({
  dataset: Text,
  checked_at: Moment,
  every_ms: Count,
  items: list(Sample),
})

export interface SamplesQuery {
  readonly window: Window
}

export const SamplesQuery: ObjectSchema<SamplesQuery> = strict({
  window: oneOf([...WINDOWS], {
    default: 'recent',
    description: 'recent: the last half hour, every ten seconds; day: the last day, by the minute',
  }),
})
