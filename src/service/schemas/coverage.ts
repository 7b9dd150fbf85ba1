/** Which moments could be brought back, and what the automation of a dataset does. */
import type { AutomationState } from '../../automation/state.ts'
import type { CoverageFinding } from '../../health/coverage.ts'
import type { CoverageReport, OffsiteCoverage } from '../../health/coverage-report.ts'
import {
  Count,
  flag,
  list,
  nullable,
  oneOf,
  optional,
  schemaOf,
  strict,
  Text,
  TimeText,
  type ObjectSchema,
  type Schema,
} from './common.ts'

const Moment: Schema<string> = schemaOf({ type: 'string', description: 'RFC 3339 in UTC' })

type IntervalRecord = CoverageReport['intervals'][number]
type RecoveryRecord = NonNullable<IntervalRecord['store']>

const Recovery: ObjectSchema<RecoveryRecord> = strict({
  by: oneOf(['commit', 'snapshot', 'car']),
  name: nullable(Text),
  exact: flag('every moment of the interval, or only the one of `state_of`'),
  state_of: nullable(Moment),
  loses_ms: Count,
  proved_at: nullable(Moment),
  proved_by: schemaOf({ type: ['string', 'null'], enum: ['verify', 'drill', 'export', null] }),
})

const Interval: ObjectSchema<IntervalRecord> = strict({
  from: Moment,
  to: Moment,
  store: nullable(Recovery),
  cars: nullable(Recovery),
})

const CoverageProblem: ObjectSchema<CoverageFinding> = strict({
  kind: oneOf(['hole', 'no_car', 'unproved', 'offsite']),
  level: oneOf(['warning', 'critical']),
  from: Moment,
  to: Moment,
  message: Text,
  hint: Text,
})

const Offsite: ObjectSchema<OffsiteCoverage> = strict({
  place: Text,
  status: oneOf(['ok', 'stale', 'none', 'unknown']),
  copies: nullable(Count),
  newest: nullable(Text),
  newest_at: nullable(Moment),
  complete: schemaOf({
    type: ['boolean', 'null'],
    description: 'the newest has every entry',
  }),
})

export const Coverage: ObjectSchema<CoverageReport> = strict({
  dataset: Text,
  checked_at: Moment,
  from: Moment,
  to: Moment,
  covered: flag('there is no hole, and a CAR besides the store'),
  intervals: list(Interval),
  offsite: nullable(Offsite),
  findings: list(CoverageProblem),
})

export interface CoverageQuery {
  readonly since?: string | undefined
}

export const CoverageQuery: ObjectSchema<CoverageQuery> = strict({
  since: optional(
    schemaOf<string>({
      ...TimeText,
      description: 'from this time on, not as far as the retention rules reach',
    }),
  ),
})

type RunState = NonNullable<AutomationState['runs']['build']>
type ScheduleState = NonNullable<AutomationState['schedules']['build']>
type LastState = NonNullable<RunState['last']>

const JobFailure: ObjectSchema<NonNullable<LastState['error']>> = strict({
  code: Text,
  message: Text,
  hint: optional(Text),
})

const Last: ObjectSchema<LastState> = strict({
  job: nullable(Text),
  state: oneOf(['succeeded', 'failed', 'cancelled', 'interrupted']),
  reason: Text,
  reasons: list(Text),
  started_at: nullable(Moment),
  finished_at: Moment,
  result: schemaOf<LastState['result']>({
    type: ['object', 'null'],
    additionalProperties: { type: ['string', 'number', 'boolean', 'null'] },
  }),
  error: nullable(JobFailure),
})

const Run: ObjectSchema<RunState> = strict({
  last: nullable(Last),
  last_success_at: nullable(Moment),
  failures: schemaOf({ ...Count, description: 'in a row' }),
  retry_at: nullable(Moment),
  begun_at: nullable(Moment),
})

const Schedule: ObjectSchema<ScheduleState> = strict({ cron: Text, time_zone: Text, since: Moment })

/** By the kind of a job. */
const each = <T>(one: unknown): Schema<T> => schemaOf({ type: 'object', additionalProperties: one })

export const AutomationStatus: ObjectSchema<AutomationState> = strict({
  schema: schemaOf({ type: 'string', const: 'cairn/automation@v1' }),
  dataset: Text,
  updated_at: Moment,
  runs: each<AutomationState['runs']>(Run),
  schedules: each<AutomationState['schedules']>(Schedule),
  next: list(
    strict({
      kind: schemaOf<AutomationState['next'][number]['kind']>({ type: 'string' }),
      at: Moment,
      reason: Text,
    }),
  ),
})
