/**
 * State: the automation of one dataset as plain JSON, for the API, for people, and as the file that
 * survives a restart. What comes from a file is checked field by field.
 */
import { JOB_KINDS, type JobError, type JobKind } from '../jobs/job.ts'
import {
  freshMemory,
  type AutomationMemory,
  type LastRun,
  type RunMemory,
  type ScheduleMemory,
} from './memory.ts'
import { SCHEDULED, type ScheduledKind } from './policy.ts'

const STATE_SCHEMA = 'cairn/automation@v1'

export interface RunState {
  readonly last: {
    readonly job: string | null
    readonly state: LastRun['state']
    readonly reason: string
    readonly reasons: readonly string[]
    readonly started_at: string | null
    readonly finished_at: string
    readonly result: LastRun['result']
    readonly error: JobError | null
  } | null
  readonly last_success_at: string | null
  /** In a row. */
  readonly failures: number
  readonly retry_at: string | null
  readonly begun_at: string | null
}

export interface ScheduleState {
  readonly cron: string
  readonly time_zone: string
  readonly since: string
}

/** What is to come by itself, if nothing changes. */
export interface NextState {
  readonly kind: JobKind
  readonly at: string
  readonly reason: string
}

export interface AutomationState {
  readonly schema: typeof STATE_SCHEMA
  readonly dataset: string
  readonly updated_at: string
  readonly runs: Readonly<Partial<Record<JobKind, RunState>>>
  readonly schedules: Readonly<Partial<Record<ScheduledKind, ScheduleState>>>
  /** The soonest first. */
  readonly next: readonly NextState[]
}

export interface Next {
  readonly kind: JobKind
  readonly at: number
  readonly reason: string
}

export function printState(
  { dataset, runs, schedules }: AutomationMemory,
  next: readonly Next[],
  now: number,
): AutomationState {
  return {
    schema: STATE_SCHEMA,
    dataset,
    updated_at: iso(now),
    runs: mapValues(runs, runState),
    schedules: mapValues(schedules, ({ cron, timeZone, since }) => ({
      cron,
      time_zone: timeZone,
      since: iso(since),
    })),
    next: next.map(({ kind, at, reason }) => ({ kind, at: iso(at), reason })),
  }
}

function runState({ last, successAt, failures, retryAt, begunAt }: RunMemory): RunState {
  return {
    last: last && {
      job: last.job,
      state: last.state,
      reason: last.reason,
      reasons: last.reasons,
      started_at: isoOrNull(last.startedAt),
      finished_at: iso(last.finishedAt),
      result: last.result,
      error: last.error,
    },
    last_success_at: isoOrNull(successAt),
    failures,
    retry_at: isoOrNull(retryAt),
    begun_at: isoOrNull(begunAt),
  }
}

function mapValues<K extends string, A, B>(
  map: Readonly<Partial<Record<K, A>>>,
  of: (one: A) => B,
): Partial<Record<K, B>> {
  const entries = Object.entries(map) as [K, A][]
  return Object.fromEntries(entries.map(([key, one]) => [key, of(one)])) as Partial<Record<K, B>>
}

const iso = (ms: number): string => new Date(ms).toISOString()
const isoOrNull = (ms: number | null): string | null => (ms === null ? null : iso(ms))

/** Throws an Error that says which field is wrong. */
export function parseState(text: string, dataset: string): AutomationMemory {
  const map = mapOf(JSON.parse(text), 'the file')
  if (map['schema'] !== STATE_SCHEMA) throw wrong('schema')
  if (map['dataset'] !== dataset) throw wrong('dataset')
  return {
    ...freshMemory(dataset),
    runs: parseEach(map, 'runs', JOB_KINDS, parseRun),
    schedules: parseEach(map, 'schedules', SCHEDULED, parseSchedule),
  }
}

type Fields = Readonly<Record<string, unknown>>

/** The known names of a map; what a later version added is passed over. */
function parseEach<K extends string, T>(
  map: Fields,
  field: string,
  names: readonly K[],
  parse: (map: Fields) => T,
): Partial<Record<K, T>> {
  const each = mapOf(map[field], field)
  const found: Partial<Record<K, T>> = {}
  for (const name of names)
    if (each[name] !== undefined) found[name] = parse(mapOf(each[name], `${field}.${name}`))
  return found
}

function parseRun(map: Fields): RunMemory {
  return {
    last: map['last'] === null ? null : parseLast(mapOf(map['last'], 'last')),
    successAt: timeOrNull(map, 'last_success_at'),
    failures: countOf(map, 'failures'),
    retryAt: timeOrNull(map, 'retry_at'),
    begunAt: timeOrNull(map, 'begun_at'),
  }
}

const STATES: readonly LastRun['state'][] = ['succeeded', 'failed', 'cancelled', 'interrupted']

function parseLast(map: Fields): LastRun {
  const state = STATES.find((one) => one === map['state'])
  const reasons = map['reasons']
  if (state === undefined) throw wrong('state')
  if (!Array.isArray(reasons)) throw wrong('reasons')
  return {
    job: map['job'] === null ? null : textOf(map, 'job'),
    state,
    reason: textOf(map, 'reason'),
    reasons: reasons.map(String),
    startedAt: timeOrNull(map, 'started_at'),
    finishedAt: timeOf(map, 'finished_at'),
    result: map['result'] === null ? null : parseResult(mapOf(map['result'], 'result')),
    error: map['error'] === null ? null : parseError(mapOf(map['error'], 'error')),
  }
}

function parseResult(map: Fields): NonNullable<LastRun['result']> {
  const fields = Object.entries(map).map(([name, value]) => {
    if (typeof value === 'object' && value !== null) throw wrong(`result.${name}`)
    return [name, value as string | number | boolean | null] as const
  })
  return Object.fromEntries(fields)
}

function parseError(map: Fields): JobError {
  const error = { code: textOf(map, 'code'), message: textOf(map, 'message') }
  return map['hint'] === undefined ? error : { ...error, hint: textOf(map, 'hint') }
}

function parseSchedule(map: Fields): ScheduleMemory {
  return {
    cron: textOf(map, 'cron'),
    timeZone: textOf(map, 'time_zone'),
    since: timeOf(map, 'since'),
  }
}

function mapOf(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw wrong(what)
}

function textOf(map: Fields, field: string): string {
  const value = map[field]
  if (typeof value === 'string') return value
  throw wrong(field)
}

function countOf(map: Fields, field: string): number {
  const value = map[field]
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw wrong(field)
}

function timeOf(map: Fields, field: string): number {
  const value = map[field]
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (Number.isSafeInteger(ms) && ms >= 0) return ms
  throw wrong(field)
}

function timeOrNull(map: Fields, field: string): number | null {
  return map[field] === null ? null : timeOf(map, field)
}

const wrong = (what: string): Error => new Error(`${what} is not what it should be`)
