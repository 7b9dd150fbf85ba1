/** Jobs: what each kind may be asked for, and what is told of one. */
import { JOB_KINDS, type Job as JobValue, type JobKind } from '../../jobs/job.ts'
import type { CarContent as CarContentName } from '../../model/checkpoint.ts'
import { CarContent, CarFileName } from './backup.ts'
import {
  Count,
  DatasetName,
  flag,
  integer,
  JsonObject,
  Limit,
  list,
  matching,
  MOST,
  nullable,
  oneOf,
  optional,
  Reason,
  schemaOf,
  Selector,
  strict,
  Tag,
  Text,
  text,
  type ObjectSchema,
  type Schema,
} from './common.ts'

interface Common<K extends JobKind> {
  readonly kind: K
  readonly reason?: string | undefined
}

export interface BuildRequest extends Common<'build'> {
  readonly tags?: readonly string[] | undefined
  readonly meta?: Readonly<Record<string, unknown>> | undefined
  readonly force?: boolean | undefined
}

export interface ExportRequest extends Common<'export'> {
  readonly content?: CarContentName | undefined
  readonly since?: string | undefined
  readonly snapshot?: string | undefined
  readonly version?: 1 | 2 | undefined
  readonly encrypt_to?: readonly string[] | undefined
  readonly force?: boolean | undefined
}

export interface RestoreRequest extends Common<'restore'> {
  readonly backups: readonly string[]
  readonly as?: string | undefined
  readonly at?: string | undefined
  readonly replace?: boolean | undefined
  readonly dry_run?: boolean | undefined
}

export interface PruneRequest extends Common<'prune' | 'prune-cars'> {
  readonly keep?: string | undefined
  readonly dry_run?: boolean | undefined
}

export interface VerifyRequest extends Common<'verify'> {
  readonly mode?: 'full' | 'quick' | 'budget' | undefined
  readonly budget_ms?: number | undefined
}

export interface DrillRequest extends Common<'drill'> {
  readonly sample?: number | undefined
  readonly max_rto_ms?: number | undefined
  readonly max_rpo_ms?: number | undefined
}

export type JobRequest =
  BuildRequest | ExportRequest | RestoreRequest | PruneRequest | VerifyRequest | DrillRequest

const common = <K extends JobKind>(kind: K): { kind: Schema<K>; reason: typeof reason } => ({
  kind: oneOf([kind]),
  reason,
})
const reason = optional(Reason)
const dry_run = optional(flag('say what would happen and change nothing'))

const AMOUNT = '[1-9]\\d{0,5}'
const SPAN = '[1-9]\\d{0,3}[smhdwy]'
const RULE = `(?:(?:last|hourly|daily|weekly|monthly|yearly)=${AMOUNT}|within=${SPAN}|tag=[\\w.-]{1,128})`

const keep = optional(
  matching(
    `^${RULE}(?:,${RULE}){0,15}$`,
    'what to keep, such as last=10,hourly=24,daily=30; as the service is set up unless given',
  ),
)

const REQUESTS = [
  strict({
    ...common('build'),
    tags: optional(list(Tag, { maxItems: 16 })),
    meta: optional(JsonObject),
    force: optional(flag('also when nothing is new')),
  }),
  strict({
    ...common('export'),
    content: optional(CarContent),
    since: optional(Selector),
    snapshot: optional(Selector),
    version: optional(oneOf([1, 2])),
    encrypt_to: optional(
      list(matching('^age1[a-z0-9]{1,2000}$', 'a public key of age'), { maxItems: 16 }),
    ),
    force: optional(flag('also what is there already')),
  }),
  strict({
    ...common('restore'),
    backups: list(CarFileName, { minItems: 1, maxItems: 100 }),
    as: optional(DatasetName),
    at: optional(Selector),
    replace: optional(flag('put it in the place of what the dataset holds now')),
    dry_run,
  }),
  strict({ ...common('prune'), keep, dry_run }),
  strict({ ...common('prune-cars'), keep, dry_run }),
  {
    ...strict({
      ...common('verify'),
      mode: optional(oneOf(['full', 'quick', 'budget'])),
      budget_ms: optional(integer(1, 86_400_000, 'for the mode "budget"')),
    }),
    anyOf: [
      { not: { required: ['budget_ms'] } },
      { required: ['mode'], properties: { mode: { const: 'budget' } } },
    ],
  },
  strict({
    ...common('drill'),
    sample: optional(integer(1, 100_000, 'how many entities are looked at one by one')),
    max_rto_ms: optional(integer(1, MOST, 'fail if the restore takes longer')),
    max_rpo_ms: optional(integer(1, MOST, 'fail if a loss now would cost more')),
  }),
]

/** One of several shapes, by its kind. */
export const JobRequest: Schema<JobRequest> = schemaOf({
  type: 'object',
  required: ['kind'],
  properties: { kind: { type: 'string', enum: JOB_KINDS } },
  discriminator: { propertyName: 'kind' },
  oneOf: REQUESTS,
})

const Progress = strict({ step: Text, done: Count, total: nullable(Count), at: Text })
const Failure = strict({ code: Text, message: Text, hint: optional(Text) })

const Fields: ObjectSchema<JobValue> = strict({
  id: Text,
  dataset: DatasetName,
  kind: oneOf(JOB_KINDS),
  state: oneOf(['queued', 'running', 'succeeded', 'failed', 'cancelled']),
  reason: Text,
  reasons: list(Text),
  created_at: Text,
  started_at: nullable(Text),
  finished_at: nullable(Text),
  progress: nullable(Progress),
  stuck: flag('it makes no progress any more'),
  result: nullable(JsonObject),
  error: nullable(Failure),
})

export const Job: Schema<JobValue> = schemaOf({ ...Fields })

export const JobAnswer: ObjectSchema<{ job: JobValue }> = strict({ job: Job })

export const JobStarted: ObjectSchema<{ job: JobValue; joined: boolean }> = strict({
  job: Job,
  joined: flag('it was there already, with the options of whoever asked first'),
})

export const JobList: ObjectSchema<{ items: readonly JobValue[] }> = strict({ items: list(Job) })

export const JobParams: ObjectSchema<{ dataset: string; id: string }> = strict({
  dataset: DatasetName,
  id: matching('^[0-9a-f]{1,64}$', 'the id of a job'),
})

export interface JobsQuery {
  readonly kind?: JobKind | undefined
  readonly limit: number
}

export const JobsQuery: ObjectSchema<JobsQuery> = strict({
  kind: optional(oneOf(JOB_KINDS)),
  limit: Limit(1000, 100),
})

export const WaitQuery: ObjectSchema<{ wait_ms?: number | undefined }> = strict({
  wait_ms: optional(integer(0, 60_000, 'wait so long for its end')),
})

export const DisconnectRequest: ObjectSchema<{ user: string }> = strict({
  user: text(1, 128, 'who has left', { pattern: '^[^\\u0000-\\u001f\\u007f]*$' }),
})
