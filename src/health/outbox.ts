/**
 * The notices of one dataset on their way to people: kept on disk until they were taken, each channel in
 * its own order. One that fails is tried again and again, ever more seldom; a death between sending and
 * noting it sends once more, never less.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../engine/logger.ts'
import { toCairnError } from '../errors.ts'
import type { AlertMemory, Channel, Unsent } from './alert-memory.ts'
import type { AlertState, Notice } from './alerts.ts'

export type Send = (notice: Notice, signal: AbortSignal) => Promise<void>
export type Senders = Readonly<Partial<Record<Channel, Send>>>

export interface OutboxOptions {
  readonly dataset: string
  readonly memory: AlertMemory
  readonly save: (memory: AlertMemory) => Promise<void>
  readonly senders: () => Senders
  readonly log: Logger
  /** Nothing more is begun. */
  readonly stop: AbortSignal
  /** What is under way is cut off. */
  readonly cut: AbortSignal
  readonly firstRetryMs?: number
}

const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 15 * 60_000
/** For each channel; older ones are given up when it was down for so long. */
const MOST_UNSENT = 100

export class Outbox {
  readonly #options: OutboxOptions
  readonly #sending = new Map<Channel, Promise<void>>()
  #memory: AlertMemory
  #saving: Promise<void> = Promise.resolve()

  constructor(options: OutboxOptions) {
    this.#options = options
    this.#memory = options.memory
  }

  get state(): AlertState {
    return this.#memory.state
  }

  /** Resolves when it is on disk; sending goes on behind it. */
  async post(state: AlertState, notice: Notice | undefined): Promise<void> {
    const channels = Object.keys(this.#options.senders()) as Channel[]
    const fresh = notice === undefined ? [] : channels.map((channel) => ({ channel, notice }))
    const unsent = channels.flatMap((channel) =>
      [...this.#memory.unsent, ...fresh]
        .filter((one) => one.channel === channel)
        .slice(-MOST_UNSENT),
    )
    await this.#set({ state, unsent })
    this.send()
  }

  /** Sends what is unsent, unless that is under way. */
  send(): void {
    for (const channel of new Set(this.#memory.unsent.map((one) => one.channel))) {
      if (this.#sending.has(channel)) continue
      const sending = this.#sendAll(channel).finally(() => this.#sending.delete(channel))
      this.#sending.set(channel, sending)
    }
  }

  /** When nothing is being sent or saved any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#sending.values())
    await this.#saving.catch(() => undefined)
  }

  async #sendAll(channel: Channel): Promise<void> {
    const { stop, firstRetryMs = FIRST_RETRY_MS } = this.#options
    let wait = firstRetryMs
    for (;;) {
      const next = this.#memory.unsent.find((one) => one.channel === channel)
      const send = this.#options.senders()[channel]
      if (next === undefined || send === undefined || stop.aborted) return
      if (await this.#trySend(next, send)) {
        wait = firstRetryMs
        continue
      }
      const stopped = await delay(wait, false, { signal: stop, ref: false }).catch(() => true)
      if (stopped) return
      wait = Math.min(wait * 2, LAST_RETRY_MS)
    }
  }

  async #trySend(one: Unsent, send: Send): Promise<boolean> {
    const { dataset, log, cut } = this.#options
    const { channel, notice } = one
    try {
      await send(notice, cut)
    } catch (error) {
      if (cut.aborted) return false
      const { message } = toCairnError(error)
      log.error('alert.failed', { dataset, channel, message, at: notice.at })
      return false
    }
    log.info('alert.sent', { dataset, channel, at: notice.at })
    const unsent = this.#memory.unsent.filter((other) => other !== one)
    await this.#set({ state: this.#memory.state, unsent })
    return true
  }

  /** What cannot be saved is told all the same, and again after a restart. */
  async #set(memory: AlertMemory): Promise<void> {
    if (JSON.stringify(memory) === JSON.stringify(this.#memory)) return
    this.#memory = memory
    const { save, log, dataset } = this.#options
    this.#saving = this.#saving
      .then(() => save(this.#memory))
      .catch((error: unknown) => {
        const { message } = toCairnError(error)
        log.error('alerts.not_saved', { dataset, message })
      })
    await this.#saving
  }
}
