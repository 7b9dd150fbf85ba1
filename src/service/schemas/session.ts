/** The session of a dataset: who is connected, and what is asked of it. */
import type { Job as JobValue } from '../../jobs/job.ts'
import {
  Count,
  flag,
  integer,
  JsonObject,
  list,
  nullable,
  optional,
  Reason,
  schemaOf,
  strict,
  Text,
  text,
  TimeOut,
  type ObjectSchema,
  type Schema,
} from './common.ts'
import { Job } from './job.ts'

const User: Schema<string> = text(1, 100, 'the name of a user, in one line', {
  pattern: '^(?!__proto__$)[^\\u0000-\\u001f\\u007f]*$',
})

const MONTH_MS = 30 * 86_400_000
const Timeout: Schema<number> = integer(
  100,
  MONTH_MS,
  'who is not heard of for so long is disconnected, in milliseconds; without it nobody is',
)
const TimeoutOut = nullable(schemaOf<number>({ type: 'integer' }))

export interface UserRecord {
  readonly user: string
  readonly since: string | number
  readonly timeout_ms: number | null
}

const UserRecord: ObjectSchema<UserRecord> = strict({
  user: Text,
  since: TimeOut,
  timeout_ms: TimeoutOut,
})

export interface SessionAnswer {
  readonly initialized: boolean
  readonly user_count: number
  readonly users: readonly UserRecord[]
  readonly metadata: Readonly<Record<string, unknown>>
}

export const SessionAnswer: ObjectSchema<SessionAnswer> = strict({
  initialized: flag('once true it stays so, also after a restart'),
  user_count: Count,
  users: list(UserRecord, { description: 'by name' }),
  metadata: JsonObject,
})

export const Initialized: ObjectSchema<{ initialized: boolean; changed: boolean }> = strict({
  initialized: flag(),
  changed: flag('false when it was so before'),
})

export const ConnectRequest: ObjectSchema<{ user: string; timeout_ms?: number | undefined }> =
  strict({ user: User, timeout_ms: optional(Timeout) })

export interface ConnectedRecord extends UserRecord {
  readonly user_count: number
  readonly initialized: boolean
}

export const Connected: ObjectSchema<ConnectedRecord> = strict({
  ...UserRecord.properties,
  user_count: Count,
  initialized: flag(),
})

export const UserRequest: ObjectSchema<{ user: string }> = strict({ user: User })

export const Beaten: ObjectSchema<{ user: string; timeout_ms: number | null }> = strict({
  user: Text,
  timeout_ms: TimeoutOut,
})

export const SaveQuery: ObjectSchema<{ wait: boolean }> = strict({
  wait: schemaOf<boolean>({
    type: 'boolean',
    default: true,
    description: 'answer when the save is done; false: answer its job at once',
  }),
})

export const SaveRequest: ObjectSchema<{ reason?: string | undefined }> = strict({
  reason: optional(Reason),
})

export interface SavedRecord {
  /** The job has succeeded: a snapshot holds all that was written before. */
  readonly saved: boolean
  readonly job: JobValue
}

const isSaved = flag('a snapshot holds all that was written before; else the job says why not')

export const Saved: ObjectSchema<SavedRecord> = strict({ saved: isSaved, job: Job })

export interface DisconnectedRecord {
  readonly user: string
  /** False: they were not connected, and nothing was saved. */
  readonly disconnected: boolean
  readonly user_count: number
  readonly saved: boolean
  readonly job: JobValue | null
}

export const Disconnected: ObjectSchema<DisconnectedRecord> = strict({
  user: Text,
  disconnected: flag('false when they were not connected: then nothing is saved'),
  user_count: Count,
  saved: isSaved,
  job: nullable(Job),
})

export const Metadata: Schema<Readonly<Record<string, unknown>>> = JsonObject

export const Changed: ObjectSchema<{ changed: boolean }> = strict({
  changed: flag('false when it was so before'),
})
