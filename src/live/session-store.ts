/** The session's record in its dataset: reading it, and changing it whoever else does at the same time. */
import type { Dataset } from '../engine/dataset.ts'
import { isCairnError } from '../errors.ts'
import type { CidBytes } from '../model/cid.ts'
import type { CallOptions } from '../store/backend.ts'
import type { IpldMap } from '../model/ipld.ts'
import { ITEMS_PREFIX, SESSION_ID } from './layout.ts'
import { readValue } from './load.ts'
import { NEW_SESSION, parseSessionRecord, type SessionRecord } from './session-record.ts'

const TRIES = 20

/** Undefined where the dataset has no session. */
export async function readSession(
  dataset: Dataset,
  options: CallOptions = {},
): Promise<{ readonly record: SessionRecord; readonly tip: CidBytes } | undefined> {
  const entry = await dataset.get(SESSION_ID, options)
  if (entry === undefined || entry.tip === null) return undefined
  return {
    record: parseSessionRecord(await readValue(dataset, entry.tip, options.signal)),
    tip: entry.tip,
  }
}

/** Durable when it resolves. `change` may be asked again; what it gives back unchanged is not written. */
export async function changeSession(
  dataset: Dataset,
  change: (record: SessionRecord) => SessionRecord,
  options: CallOptions = {},
): Promise<{ readonly record: SessionRecord; readonly changed: boolean }> {
  for (let attempt = 1; ; attempt++) {
    const there = await readSession(dataset, options)
    const before = there?.record ?? NEW_SESSION
    const record = change(before)
    if (record === before && there !== undefined) return { record, changed: false }
    try {
      await dataset.put(SESSION_ID, record, { ...options, expectTip: there?.tip ?? null })
      return { record, changed: true }
    } catch (error) {
      if (!isCairnError(error, 'conflict') || attempt === TRIES) throw error
    }
  }
}

/** What a snapshot says of the session: the older systems' fields. Undefined where there is no session. */
export async function sessionMeta(
  dataset: Dataset,
  options: CallOptions = {},
): Promise<IpldMap | undefined> {
  const session = await readSession(dataset, options)
  if (session === undefined) return undefined
  const nodes = await dataset.count({ prefix: ITEMS_PREFIX, ...options })
  const { users, initialized } = session.record
  return { user_count: Object.keys(users).length, node_count: nodes, initialized }
}
