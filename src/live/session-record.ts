/**
 * The session of a dataset: whether its state was initialized, who is connected, and free metadata. It is
 * one entity, written whenever one of these changes, so that it is there after a restart. Pure.
 *
 * A user with `timeout_ms` is taken for lost when nothing was heard for so long; when something was heard
 * last is kept in memory by who serves the session, and not written.
 */
import { CairnError } from '../errors.ts'
import type { IpldMap } from '../model/ipld.ts'
import { SESSION_ID } from './layout.ts'

export const SESSION_SCHEMA = 'cairn/session@1'

export interface ConnectedUser {
  /** Milliseconds since 1970. */
  readonly since: number
  readonly timeout_ms: number | null
}

export interface SessionRecord {
  readonly schema: typeof SESSION_SCHEMA
  /** Once true it stays so: after a restart nobody has to initialize anything. */
  readonly initialized: boolean
  readonly users: Readonly<Record<string, ConnectedUser>>
  readonly metadata: IpldMap
}

export const NEW_SESSION: SessionRecord = {
  schema: SESSION_SCHEMA,
  initialized: false,
  users: {},
  metadata: {},
}

/** About as many as fit its block. */
const MAX_USERS = 5000
const MAX_USER_CHARS = 100

export function withUser(
  record: SessionRecord,
  user: string,
  connected: ConnectedUser,
): SessionRecord {
  checkUser(user)
  const known = Object.hasOwn(record.users, user)
  if (!known && Object.keys(record.users).length >= MAX_USERS) {
    throw new CairnError('too_large', `A session cannot have more than ${MAX_USERS} users.`, {
      hint: 'Disconnect those that are gone, or give timeouts.',
    })
  }
  return { ...record, users: { ...record.users, [user]: connected } }
}

/** The same record where the user is not connected. */
export function withoutUsers(record: SessionRecord, users: readonly string[]): SessionRecord {
  if (!users.some((user) => Object.hasOwn(record.users, user))) return record
  const gone = new Set(users)
  const left = Object.entries(record.users).filter(([user]) => !gone.has(user))
  return { ...record, users: Object.fromEntries(left) }
}

export function checkUser(user: unknown): asserts user is string {
  const fits = typeof user === 'string' && user !== '' && user.length <= MAX_USER_CHARS
  // It stands in reasons and in the log.
  if (fits && user !== '__proto__' && user.isWellFormed() && !/[\u0000-\u001f\u007f]/.test(user))
    return
  throw new CairnError('usage', `A user cannot be named ${JSON.stringify(user).slice(0, 120)}.`, {
    hint: `Give a text of 1 to ${MAX_USER_CHARS} characters in one line.`,
  })
}

/** What a save is called that is made because a user has gone. */
export const disconnectReason = (user: string): string => `user_disconnect:${user}`

export function parseSessionRecord(value: unknown): SessionRecord {
  const { schema, initialized, users, metadata } = (value ?? {}) as Partial<
    Record<keyof SessionRecord, unknown>
  >
  if (
    typeof schema === 'string' &&
    schema !== SESSION_SCHEMA &&
    schema.startsWith('cairn/session@')
  ) {
    throw new CairnError(
      'format_unsupported',
      `The session has the format ${schema.slice(0, 40)}.`,
      {
        hint: 'A newer Cairn wrote it: upgrade this one.',
      },
    )
  }
  if (
    schema === SESSION_SCHEMA &&
    typeof initialized === 'boolean' &&
    isMap(metadata) &&
    areUsers(users)
  )
    return { schema: SESSION_SCHEMA, initialized, users, metadata }
  throw new CairnError('invalid_content', `The entity "${SESSION_ID}" is no session.`, {
    hint: 'Another program wrote it; use another dataset for the session.',
  })
}

/** Refuses what could not be read again: the session would never open any more. */
export function checkSessionRecord({ users, metadata }: SessionRecord): void {
  if (!isMap(metadata)) {
    throw new CairnError('usage', 'The metadata of a session was no object.', {
      hint: 'Give an object; an empty one for none.',
    })
  }
  if (!areUsers(users)) {
    throw new CairnError('usage', 'A user of a session has times that are not possible.', {
      hint: 'A timeout is a whole number of milliseconds above 0, or null for none; so is what the clock says.',
    })
  }
}

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value)

function areUsers(users: unknown): users is SessionRecord['users'] {
  return (
    isMap(users) &&
    Object.values(users).every((one) => {
      const { since, timeout_ms: timeout } = (one ?? {}) as Partial<
        Record<keyof ConnectedUser, unknown>
      >
      const lasts = timeout === null || (Number.isSafeInteger(timeout) && Number(timeout) > 0)
      return Number.isSafeInteger(since) && lasts
    })
  )
}
