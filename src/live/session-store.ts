/**
 * The session's record in its dataset, changed by compare-and-set: whoever else changes it meanwhile, in this
 * process or another, loses nothing. Changes that are asked for while one is written share the next write, so
 * that however many come and go at once, few commits are made; one that is refused is refused alone.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Dataset } from '../engine/dataset.ts'
import { isCairnError, toCairnError, type CairnError } from '../errors.ts'
import { sameCid, type CidBytes } from '../model/cid.ts'
import type { IpldMap } from '../model/ipld.ts'
import type { CallOptions } from '../store/backend.ts'
import { ITEMS_PREFIX, SESSION_ID } from './layout.ts'
import {
  checkSessionRecord,
  NEW_SESSION,
  parseSessionRecord,
  type SessionRecord,
} from './session-record.ts'
import { whenFree } from './when-free.ts'

/** Answers the very same record where it changes nothing; what it throws is its own failure alone. May be asked again. */
export type SessionEdit = (record: SessionRecord) => SessionRecord

export interface SessionChange {
  readonly before: SessionRecord
  readonly after: SessionRecord
}

interface Asked {
  readonly edit: SessionEdit
  readonly done: (change: SessionChange) => void
  readonly fail: (error: CairnError) => void
}

interface Known {
  /** Null: there is no session. */
  readonly tip: CidBytes | null
  readonly record: SessionRecord
}

/** As often somebody else may be faster. */
const MAX_ROUNDS = 100
const RETRY_MS = 1000

export class SessionStore {
  readonly #dataset: () => Promise<Dataset>
  readonly #onChange: () => void
  readonly #asked: Asked[] = []
  #known: Known = { tip: null, record: NEW_SESSION }
  #running = false

  /** `onChange` is called when something was written. */
  constructor(dataset: () => Promise<Dataset>, onChange: () => void = () => {}) {
    this.#dataset = dataset
    this.#onChange = onChange
  }

  /** As it was read or written last. */
  get known(): SessionRecord {
    return this.#known.record
  }

  /** One that was never written is a new one. */
  async read(): Promise<SessionRecord> {
    return (await this.#read(await this.#dataset())).record
  }

  async #read(dataset: Dataset): Promise<Known> {
    const tip = (await dataset.get(SESSION_ID))?.tip ?? null
    if (tip === null) this.#known = { tip, record: NEW_SESSION }
    else if (!sameCid(this.#known.tip, tip))
      this.#known = { tip, record: await recordOf(dataset, tip) }
    return this.#known
  }

  /** Reads it anew when the dataset was rolled back or replaced; until the signal, or the store's end, ends it. */
  async follow(signal: AbortSignal): Promise<void> {
    let known = ''
    while (!signal.aborted) {
      try {
        const dataset = await this.#dataset()
        for await (const { commit } of dataset.commits({ signal })) {
          const { number, tag } = commit.generation
          if (known === `${number} ${tag}`) continue
          // In its turn: what is read now must not take the place of what is written meanwhile.
          await this.change((record) => record)
          known = `${number} ${tag}`
        }
      } catch (error) {
        if (signal.aborted || isCairnError(error, 'closed')) return
        // Whoever reads or writes maps is told of what is wrong; this only comes later.
        await pause(RETRY_MS, undefined, { ref: false, signal }).catch(() => {})
      }
    }
  }

  /** Resolves when it is durable. */
  change(edit: SessionEdit): Promise<SessionChange> {
    return new Promise((done, fail) => {
      this.#asked.push({ edit, done, fail })
      if (!this.#running) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#asked.length > 0) await this.#commitEach(this.#asked.splice(0))
    this.#running = false
  }

  /** Where a shared write fails, each is tried alone: one that is too much does not fail the others. */
  async #commitEach(edits: readonly Asked[]): Promise<void> {
    try {
      await this.#commit(edits)
    } catch (error) {
      if (edits.length === 1) edits[0]?.fail(toCairnError(error))
      else for (const one of edits) await this.#commitEach([one])
    }
  }

  async #commit(edits: readonly Asked[]): Promise<void> {
    const dataset = await this.#dataset()
    for (let round = 1; ; round++) {
      const { tip: expectTip, record } = await this.#read(dataset)
      const { after, settle } = applied(record, edits)
      try {
        if (after !== record) {
          const { tip } = await whenFree(() => dataset.put(SESSION_ID, after, { expectTip }))
          this.#known = { tip, record: after }
          this.#onChange()
        }
      } catch (error) {
        if (!isOvertaken(error) || round === MAX_ROUNDS) throw error
        await pause(Math.random() * Math.min(round, 10) * 5)
        continue
      }
      settle()
      return
    }
  }
}

/** One edit after the other; `settle` tells each of them, when it is durable. */
function applied(
  record: SessionRecord,
  edits: readonly Asked[],
): { readonly after: SessionRecord; readonly settle: () => void } {
  const tell: (() => void)[] = []
  let now = record
  for (const { edit, done, fail } of edits) {
    try {
      const [before, after] = [now, edit(now)]
      if (after !== before) checkSessionRecord(after)
      now = after
      tell.push(() => done({ before, after }))
    } catch (error) {
      tell.push(() => fail(toCairnError(error)))
    }
  }
  return { after: now, settle: () => tell.forEach((one) => one()) }
}

const isOvertaken = (error: unknown): boolean =>
  isCairnError(error, 'conflict') && error.details['pi'] === SESSION_ID

/** A file of another program may lie under that id, of any size: it is not read. */
async function recordOf(
  dataset: Dataset,
  tip: CidBytes,
  options: CallOptions = {},
): Promise<SessionRecord> {
  const content = await dataset.content(tip, options)
  return parseSessionRecord(content.kind === 'value' ? content.value : undefined)
}

/** Undefined where the dataset has no session. */
export async function readSession(
  dataset: Dataset,
  options: CallOptions = {},
): Promise<SessionRecord | undefined> {
  const tip = (await dataset.get(SESSION_ID, options))?.tip ?? null
  return tip === null ? undefined : recordOf(dataset, tip, options)
}

/** What a snapshot says of the session: the older systems' fields. Undefined where there is no session. */
export async function sessionMeta(
  dataset: Dataset,
  options: CallOptions = {},
): Promise<IpldMap | undefined> {
  const session = await readSession(dataset, options)
  if (session === undefined) return undefined
  const nodes = await dataset.count({ prefix: ITEMS_PREFIX, ...options })
  const { users, initialized } = session
  return { user_count: Object.keys(users).length, node_count: nodes, initialized }
}
