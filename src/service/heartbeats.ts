/**
 * Heartbeats: when something was last heard of each connected user with a timeout, in memory. Who was not
 * heard of for so long is disconnected, and that is saved. After a start, and after a restore or a rollback,
 * the time of everybody who is in the record begins anew.
 *
 * The disconnect is a durable commit before its save begins. A process that dies in between has lost nothing:
 * the next one saves what it finds without a snapshot, as it does with any other change.
 */
import { isCairnError, toCairnError } from '../errors.ts'
import type { Logger } from '../engine/logger.ts'
import {
  disconnectReason,
  withoutUsers,
  type ConnectedUser,
  type SessionRecord,
} from '../live/session-record.ts'
import type { Sessions } from './sessions.ts'

export interface Heartbeats {
  /** Begins to look after those whom the records name. */
  readonly start: () => void
  /** The user was heard of just now. */
  readonly hear: (dataset: string, user: string, connected: ConnectedUser) => void
  readonly forget: (dataset: string, user: string) => void
}

export interface HeartbeatOptions {
  readonly sessions: Sessions
  readonly datasets: () => Promise<readonly string[]>
  /** Another one after a restore or a rollback. */
  readonly generation: (dataset: string) => Promise<string>
  readonly save: (dataset: string, reason: string) => Promise<unknown>
  readonly log: Logger
  /** Ends it. */
  readonly stop: AbortSignal
  /** Milliseconds that only go forward. */
  readonly clock?: () => number
}

interface Heard {
  readonly since: number
  readonly timeoutMs: number
  at: number
}

/** How often it is looked for records that were brought back. */
const ROUND_MS = 15_000
const LEAST_MS = 20
/** A bell that rang so late: this process was deaf, and what it did not hear says nothing. All begins anew. */
const DEAF_MS = 1000
const RETRY_MS = 2000

export function createHeartbeats(options: HeartbeatOptions): Heartbeats {
  const watch = new Watch(options)
  return {
    start: () => watch.start(),
    hear: (dataset, user, connected) => watch.hear(dataset, user, connected),
    forget: (dataset, user) => watch.forget(dataset, user),
  }
}

class Watch implements Heartbeats {
  readonly #options: HeartbeatOptions
  readonly #clock: () => number
  readonly #heard = new Map<string, Map<string, Heard>>()
  /** Of the datasets whose records were looked at. */
  readonly #generations = new Map<string, string>()
  #bell: { readonly at: number; readonly timer: NodeJS.Timeout } | undefined

  constructor(options: HeartbeatOptions) {
    this.#options = options
    this.#clock = options.clock ?? (() => performance.now())
  }

  start(): void {
    const { stop } = this.#options
    const rounds = setInterval(() => void this.#round(), ROUND_MS)
    rounds.unref()
    const end = (): void => {
      clearInterval(rounds)
      clearTimeout(this.#bell?.timer)
    }
    stop.addEventListener('abort', end, { once: true })
    void this.#round()
  }

  hear(dataset: string, user: string, { since, timeout_ms: timeoutMs }: ConnectedUser): void {
    if (timeoutMs === null) return this.forget(dataset, user)
    this.#usersOf(dataset).set(user, { since, timeoutMs, at: this.#clock() })
    this.#arm(this.#clock() + timeoutMs)
  }

  forget(dataset: string, user: string): void {
    const users = this.#heard.get(dataset)
    users?.delete(user)
    if (users?.size === 0) this.#heard.delete(dataset)
  }

  #usersOf(dataset: string): Map<string, Heard> {
    const users = this.#heard.get(dataset) ?? new Map<string, Heard>()
    this.#heard.set(dataset, users)
    return users
  }

  /** Sets the one bell, if it has to ring earlier than it would. */
  #arm(at: number): void {
    if (this.#options.stop.aborted || (this.#bell !== undefined && this.#bell.at <= at)) return
    clearTimeout(this.#bell?.timer)
    const ms = Math.min(Math.max(LEAST_MS, at - this.#clock()), ROUND_MS)
    const timer = setTimeout(() => this.#ring(), ms)
    timer.unref()
    this.#bell = { at: this.#clock() + ms, timer }
  }

  #ring(): void {
    const now = this.#clock()
    const wasDeaf = now - (this.#bell?.at ?? now) > DEAF_MS
    this.#bell = undefined
    if (this.#options.stop.aborted) return
    let next = Infinity
    for (const [dataset, users] of this.#heard) {
      if (wasDeaf) for (const one of users.values()) one.at = now
      const due = new Map([...users].filter(([, one]) => endOf(one) <= now))
      for (const user of due.keys()) users.delete(user)
      if (due.size > 0) void this.#lapse(dataset, due)
      for (const one of users.values()) next = Math.min(next, endOf(one))
    }
    if (next < Infinity) this.#arm(next)
  }

  async #lapse(dataset: string, due: ReadonlyMap<string, Heard>): Promise<void> {
    try {
      const { before, after } = await this.#options.sessions.change(dataset, (record) =>
        withoutUsers(record, this.#lostOf(dataset, record, due)),
      )
      for (const [user, { timeoutMs }] of due) {
        if (!Object.hasOwn(before.users, user) || Object.hasOwn(after.users, user)) continue
        const message = `Nothing was heard of ${user} for ${timeoutMs} ms: disconnected.`
        const fields = { message, dataset, user, timeout_ms: timeoutMs }
        this.#options.log.info('session.lapsed', fields)
        void this.#save(dataset, user)
      }
    } catch (error) {
      this.#lapseLater(dataset, due, error)
    }
  }

  /** Not who connected anew, here or elsewhere, or was heard of since. */
  #lostOf(dataset: string, { users }: SessionRecord, due: ReadonlyMap<string, Heard>): string[] {
    const heard = this.#heard.get(dataset)
    const lost = [...due].filter(
      ([user, { since }]) => users[user]?.since === since && heard?.has(user) !== true,
    )
    return lost.map(([user]) => user)
  }

  async #save(dataset: string, user: string): Promise<void> {
    try {
      await this.#options.save(dataset, disconnectReason(user))
    } catch (error) {
      const problem = toCairnError(error)
      const message = `That ${user} has gone is durable, and no snapshot was made: ${problem.message}`
      const fields = { ...problem.toJSON(), message, dataset, user }
      this.#options.log.error('session.save_failed', fields)
    }
  }

  #lapseLater(dataset: string, due: ReadonlyMap<string, Heard>, error: unknown): void {
    if (this.#options.stop.aborted || isCairnError(error, 'dataset_not_found')) return
    const problem = toCairnError(error)
    const message = `Users who are gone could not be disconnected: ${problem.message}`
    this.#options.log.error('session.lapse_failed', { ...problem.toJSON(), message, dataset })
    const at = this.#clock() + RETRY_MS
    const users = this.#usersOf(dataset)
    for (const [user, one] of due)
      if (!users.has(user)) users.set(user, { ...one, at: at - one.timeoutMs })
    this.#arm(at)
  }

  /** A store that does not answer is told of by its health. */
  async #round(): Promise<void> {
    const { datasets, log, stop } = this.#options
    const quiet = (error: unknown): void => {
      if (!stop.aborted) log.debug('session.unread', toCairnError(error).toJSON())
    }
    try {
      for (const dataset of await datasets()) await this.#adopt(dataset).catch(quiet)
    } catch (error) {
      quiet(error)
    }
  }

  async #adopt(dataset: string): Promise<void> {
    const generation = await this.#options.generation(dataset)
    if (this.#generations.get(dataset) === generation) return
    const { users } = await this.#options.sessions.read(dataset)
    this.#generations.set(dataset, generation)
    for (const [user, connected] of Object.entries(users))
      if (this.#heard.get(dataset)?.has(user) !== true) this.hear(dataset, user, connected)
  }
}

const endOf = ({ at, timeoutMs }: Heard): number => at + timeoutMs
