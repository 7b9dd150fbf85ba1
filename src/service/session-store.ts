/**
 * The session of each dataset, changed by compare-and-set: whoever else changes it meanwhile, in this process
 * or another, loses nothing. Changes that are asked for while one is written share the next write.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { isCairnError, toCairnError, type CairnError } from '../errors.ts'
import type { Dataset } from '../engine/dataset.ts'
import { SESSION_ID } from '../live/layout.ts'
import { readValue } from '../live/load.ts'
import { NEW_SESSION, parseSessionRecord, type SessionRecord } from '../live/session-record.ts'
import { bytesEqual, type CidBytes } from '../model/cid.ts'
import { requireLinked } from './requests/map-writes.ts'

/** Answers the very same record where it changes nothing; what it throws is its own failure alone. */
export type SessionEdit = (record: SessionRecord) => SessionRecord

export interface SessionChange {
  readonly before: SessionRecord
  readonly after: SessionRecord
}

export interface SessionStore {
  /** One that was never written is a new one. */
  readonly read: (dataset: string) => Promise<SessionRecord>
  /** Resolves when it is durable. */
  readonly change: (dataset: string, edit: SessionEdit) => Promise<SessionChange>
}

interface SessionStoreOptions {
  readonly dataset: (name: string) => Promise<Dataset>
  /** Something was written. */
  readonly onChange: (dataset: string) => void
}

interface Waiting {
  readonly edit: SessionEdit
  readonly done: (change: SessionChange) => void
  readonly fail: (error: CairnError) => void
}

interface Known {
  readonly tip: CidBytes | null
  readonly record: SessionRecord
}

/** As often somebody else may be faster. */
const MAX_ROUNDS = 100
/** So many records are kept decoded. */
const MAX_KNOWN = 32

export function createSessionStore({ dataset, onChange }: SessionStoreOptions): SessionStore {
  const queues = new Map<string, Waiting[]>()
  const known = new Map<string, Known>()

  const read = async (name: string): Promise<Known> => {
    const opened = await dataset(name)
    const tip = (await opened.get(SESSION_ID))?.tip ?? null
    if (tip === null) return { tip, record: NEW_SESSION }
    const last = known.get(name)
    if (last?.tip && bytesEqual(last.tip, tip)) return last
    const now = { tip, record: parseSessionRecord(await readValue(opened, tip)) }
    remember(known, name, now)
    return now
  }

  const commit = async (name: string, edits: readonly Waiting[]): Promise<void> => {
    for (let round = 1; ; round++) {
      const { tip, record } = await read(name)
      const { after, settle } = applied(record, edits)
      try {
        if (after !== record) await write(await dataset(name), after, tip)
      } catch (error) {
        if (!isCairnError(error, 'conflict') || round === MAX_ROUNDS || !isAboutSession(error))
          throw error
        await delay(Math.random() * Math.min(round, 10) * 5)
        continue
      }
      if (after !== record) onChange(name)
      settle()
      return
    }
  }

  /** Where a shared write fails, each is tried alone: one that is too much does not fail the others. */
  const commitEach = async (name: string, edits: readonly Waiting[]): Promise<void> => {
    try {
      await commit(name, edits)
    } catch (error) {
      if (edits.length === 1) edits[0]?.fail(toCairnError(error))
      else for (const one of edits) await commitEach(name, [one])
    }
  }

  const run = async (name: string, queue: Waiting[]): Promise<void> => {
    while (queue.length > 0) await commitEach(name, queue.splice(0))
    queues.delete(name)
  }

  return {
    read: async (name) => (await read(name)).record,
    change: (name, edit) =>
      new Promise((done, fail) => {
        const waiting = { edit, done, fail }
        const queue = queues.get(name)
        if (queue !== undefined) return void queue.push(waiting)
        const made = [waiting]
        queues.set(name, made)
        void run(name, made)
      }),
  }
}

/** One edit after the other; `settle` tells each of them, when it is durable. */
function applied(
  record: SessionRecord,
  edits: readonly Waiting[],
): { readonly after: SessionRecord; readonly settle: () => void } {
  const tell: (() => void)[] = []
  let now = record
  for (const { edit, done, fail } of edits) {
    try {
      const [before, after] = [now, edit(now)]
      now = after
      tell.push(() => done({ before, after }))
    } catch (error) {
      tell.push(() => fail(toCairnError(error)))
    }
  }
  return { after: now, settle: () => tell.forEach((one) => one()) }
}

async function write(dataset: Dataset, record: SessionRecord, tip: CidBytes | null): Promise<void> {
  await requireLinked(dataset)
  await dataset.put(SESSION_ID, record, { expectTip: tip })
}

const isAboutSession = ({ details }: CairnError): boolean => details['pi'] === SESSION_ID

function remember(known: Map<string, Known>, name: string, now: Known): void {
  known.delete(name)
  known.set(name, now)
  const [oldest] = known.keys()
  if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest)
}
