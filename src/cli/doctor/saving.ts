/** Checks of live state: the session of the dataset, and whether what is new is saved. */
import type { Dataset } from '../../engine/dataset.ts'
import type { DatasetStatus } from '../../engine/status.ts'
import { isCairnError } from '../../errors.ts'
import { factsOf } from '../../health/observe.ts'
import type { DatasetFacts } from '../../health/observation.ts'
import { ageText } from '../../health/words.ts'
import type { SessionRecord } from '../../live/session-record.ts'
import { readSession } from '../../live/session-store.ts'
import { formatTime } from '../../model/time.ts'
import { counted, formatCount } from '../format.ts'
import { failedWith, ok, skipped, warning, type CheckResult, type Report } from './check.ts'

/** A session saves every two minutes, unless its program says otherwise. */
const SESSION_UNSAVED_MS = 15 * 60_000

export interface Looking {
  readonly dataset: Dataset
  readonly now: number
  readonly signal: AbortSignal
  /** Where the dataset has no session. */
  readonly maxSnapshotAgeMs: number
}

/** Whether the dataset has a session, which is saved and backed up more often than an archive. */
export async function checkSaving(
  looking: Looking,
  status: DatasetStatus,
  report: Report,
): Promise<boolean> {
  const { dataset, now, signal } = looking
  const facts = factsOf(status)
  const session = await lookAtSession(looking, status)
  await report(session.result)
  const since = await waitingSince(dataset, facts.next - facts.recentCount, facts, signal)
  const patience = session.isThere ? SESSION_UNSAVED_MS : looking.maxSnapshotAgeMs
  await report(unsavedResult({ count: facts.recentCount, since, now, patience }))
  return session.isThere
}

interface FoundSession {
  readonly isThere: boolean
  readonly result: CheckResult
}

async function lookAtSession(
  { dataset, signal }: Looking,
  { pointer }: DatasetStatus,
): Promise<FoundSession> {
  const name = 'session'
  const none = { isThere: false, result: skipped(name, 'the dataset has none') }
  if (pointer.settings.content === 'external') return none
  try {
    const found = await readSession(dataset, { signal })
    return found === undefined ? none : { isThere: true, result: sessionResult(found) }
  } catch (error) {
    if (isCairnError(error, 'invalid_content'))
      return { ...none, result: skipped(name, 'an entity of that name is another program’s') }
    return { isThere: true, result: failedWith(name, error) }
  }
}

function sessionResult({ initialized, users }: SessionRecord): CheckResult {
  const connected = `${counted(Object.keys(users).length, 'user')} connected`
  if (initialized) return ok('session', `active, ${connected}`)
  return warning(
    'session',
    `It was never initialized; ${connected}.`,
    'Its program calls `initialize()` once, when there is something to keep; until then it begins anew at each start.',
  )
}

/** When the first entry was made that lies at `from` or behind it; of what is no longer known, when the snapshot was. */
export async function waitingSince(
  dataset: Dataset,
  from: number,
  { next, snapshotTs }: DatasetFacts,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (from >= next) return undefined
  try {
    const { items } = await dataset.log({ since: from, limit: 1, signal })
    return items[0]?.entry.ts
  } catch (error) {
    if (isCairnError(error, 'history_gone')) return snapshotTs
    throw error
  }
}

interface Unsaved {
  readonly count: number
  /** When the oldest of them was made. */
  readonly since: number | undefined
  readonly now: number
  readonly patience: number
}

export function unsavedResult({ count, since, now, patience }: Unsaved): CheckResult {
  const name = 'snapshots'
  if (since === undefined) return ok(name, 'the newest one has everything')
  const waiting = `${formatCount(count)} recent entries are in no snapshot yet`
  if (now - since <= patience) return ok(name, waiting)
  return warning(
    name,
    `${waiting}, the oldest since ${formatTime(since)}, ${ageText(now - since)} ago.`,
    'Nothing is lost, but nothing saves: does the program run, with autosave on, in this folder? `cairn build-snapshot` saves now.',
  )
}
