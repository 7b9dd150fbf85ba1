/**
 * Automation: keeps the datasets of a store safe by itself, whether or not anyone is connected.
 *
 * One timer wakes it: for what a dataset has said it waits for, and for a round in which every dataset is
 * looked at, so that those that other processes made or wrote to are seen as well. Datasets do not wait
 * for each other: one that hangs or fails hinders none of the rest.
 */
import { readdir } from 'node:fs/promises'
import { removeStale } from '../backup/publish.ts'
import type { Values } from '../config/schema.ts'
import type { Cairn } from '../cairn.ts'
import type { Logger } from '../engine/logger.ts'
import { isCairnError } from '../errors.ts'
import type { Job } from '../jobs/job.ts'
import type { Jobs } from '../jobs/jobs.ts'
import type { Backend } from '../store/backend.ts'
import { freshMemory } from './memory.ts'
import { memoryFolder } from './memory-file.ts'
import { policyOf, thresholdsOf, type AutomationPolicy } from './policy.ts'
import { logPolicy } from './sayings.ts'
import { printState, type AutomationState } from './state.ts'
import { DatasetWatch, type Surroundings } from './watch.ts'

export interface Automation {
  /** Looks at every dataset; rejects with `config` where the settings do not fit the configured one. */
  start(): Promise<void>
  /** From here on nothing is decided; what was started goes on, and `save` still works. */
  stop(): Promise<void>
  /** Throws `config`, and keeps the settings it has, where the new ones do not fit. */
  reload(values: Values): void
  /** Something was appended to the dataset. */
  noteChange(dataset: string): void
  /** A build that covers all that was appended before; those who ask while one waits share it. */
  save(dataset: string, reason: string): Promise<Job>
  /** As it is remembered; of a dataset that was not seen yet, nothing is. */
  state(dataset: string): AutomationState
}

export interface AutomationOptions {
  readonly cairn: Cairn
  /** The same store. */
  readonly backend: Backend
  readonly jobs: Jobs
  readonly values: Values
  readonly log: Logger
  readonly now: () => number
  /** Calls once after so many milliseconds, unless what it returns is called before. */
  readonly wake?: ((ms: number, call: () => void) => () => void) | undefined
  /** From 0 up to 1. */
  readonly random?: (() => number) | undefined
}

/** How often every dataset is looked at, whatever was heard of it. */
const ROUND_MS = 15_000
/** A dataset that changes all the time is looked at this often. */
const LOOK_GAP_MS = 1_000
const MAX_TIMER_MS = 2 ** 31 - 1
/** How many datasets are opened at once. */
const OPENED_AT_ONCE = 8
const MAX_REASON = 200

export function createAutomation(options: AutomationOptions): Automation {
  return new Runner(options)
}

class Runner implements Automation {
  readonly #options: AutomationOptions
  readonly #around: Surroundings
  readonly #watches = new Map<string, DatasetWatch>()
  readonly #opening = new Map<string, Promise<DatasetWatch>>()
  #policy: AutomationPolicy
  #values: Values
  #stopped = true
  #nextRound = 0
  #isListing = false
  #trouble: string | undefined
  #timer: { readonly at: number; readonly cancel: () => void } | undefined

  constructor(options: AutomationOptions) {
    const { cairn, backend, jobs, log, now } = options
    this.#options = options
    this.#values = options.values
    this.#policy = policyOf(options.values)
    this.#around = {
      cairn,
      backend,
      jobs,
      log,
      now,
      random: options.random ?? Math.random,
      policy: () => this.#policy,
      dataDir: options.values.data_dir,
      backupsDir: () => this.#values.backups_dir,
      startedAt: now(),
      stopped: () => this.#stopped,
      rearm: () => this.#arm(),
    }
    jobs.onEnd((job) => this.#watches.get(job.dataset)?.ended(job))
  }

  async start(): Promise<void> {
    const { log, now, cairn } = this.#options
    await this.#sweepFolder()
    const names = await cairn.datasets()
    await this.#openAll(names)
    this.#checkThresholds(this.#values, this.#policy)
    logPolicy(log, 'automation.started', this.#policy)
    this.#stopped = false
    this.#nextRound = now() + ROUND_MS
    // Not waited for: what hangs must not keep the service from starting.
    for (const watch of this.#watches.values()) void watch.look()
    this.#arm()
  }

  /** They must fit the configured dataset. Others, which anyone may make, follow their own limit instead. */
  #checkThresholds({ dataset, chain_limit }: Values, policy: AutomationPolicy): void {
    const watch = this.#watches.get(dataset)
    if (watch === undefined) thresholdsOf(policy, chain_limit, dataset)
    else watch.checkThresholds(policy)
  }

  /** What a process that died left unfinished beside the memories. */
  async #sweepFolder(): Promise<void> {
    const folder = memoryFolder(this.#around.dataDir)
    const there = await readdir(folder).then(
      () => true,
      () => false,
    )
    if (there) await removeStale(folder, this.#options.now()).catch(() => {})
  }

  async #openAll(names: readonly string[]): Promise<void> {
    const waiting = names.filter((name) => !this.#watches.has(name))
    const worker = async (): Promise<void> => {
      for (let name = waiting.pop(); name !== undefined; name = waiting.pop())
        await this.#watchOf(name)
    }
    await Promise.all(Array.from({ length: OPENED_AT_ONCE }, worker))
  }

  #watchOf(dataset: string): Promise<DatasetWatch> {
    const known = this.#watches.get(dataset)
    if (known !== undefined) return Promise.resolve(known)
    const opening = this.#opening.get(dataset) ?? this.#open(dataset)
    this.#opening.set(dataset, opening)
    return opening.finally(() => this.#opening.delete(dataset))
  }

  async #open(dataset: string): Promise<DatasetWatch> {
    const watch = await DatasetWatch.open(this.#around, dataset)
    await watch.firstLook()
    this.#watches.set(dataset, watch)
    return watch
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = undefined
    await Promise.all([...this.#watches.values()].map((watch) => watch.flush()))
  }

  reload(values: Values): void {
    const policy = policyOf(values)
    this.#checkThresholds(values, policy)
    this.#policy = policy
    this.#values = values
    logPolicy(this.#options.log, 'automation.reloaded', policy)
    if (this.#stopped) return
    for (const watch of this.#watches.values()) void watch.look()
  }

  noteChange(dataset: string): void {
    const watch = this.#watches.get(dataset)
    if (watch === undefined) this.#nextRound = Math.min(this.#nextRound, this.#options.now())
    else if (watch.changedAt !== null) return
    else watch.noteChange()
    this.#arm()
  }

  async save(dataset: string, reason: string): Promise<Job> {
    // It must exist; a watch is opened for any name.
    if (!this.#watches.has(dataset)) await this.#options.cairn.dataset(dataset)
    const watch = await this.#watchOf(dataset)
    return watch.save(plainReason(reason))
  }

  state(dataset: string): AutomationState {
    const watch = this.#watches.get(dataset)
    return watch?.state() ?? printState(freshMemory(dataset), [], this.#options.now())
  }

  /** Sets the one timer for what comes next, if it has to ring earlier than it would. */
  #arm(): void {
    if (this.#stopped) return
    const now = this.#options.now()
    let at = this.#nextRound
    for (const watch of this.#watches.values()) at = Math.min(at, wantedAt(watch))
    if (this.#timer !== undefined && this.#timer.at <= at) return
    this.#timer?.cancel()
    const wake = this.#options.wake ?? realWake
    const ms = Math.min(Math.max(0, at - now), MAX_TIMER_MS)
    this.#timer = { at, cancel: wake(ms, () => this.#ring()) }
  }

  #ring(): void {
    this.#timer = undefined
    if (this.#stopped) return
    const now = this.#options.now()
    // A round lies never further ahead than one: the clock may have been set back.
    this.#nextRound = Math.min(this.#nextRound, now + ROUND_MS)
    if (this.#nextRound <= now) {
      this.#nextRound = now + ROUND_MS
      void this.#lookForNew()
      for (const watch of this.#watches.values()) void watch.look()
    } else {
      for (const watch of this.#watches.values()) if (wantedAt(watch) <= now) void watch.look()
    }
    this.#arm()
  }

  /** Datasets that were made since. */
  async #lookForNew(): Promise<void> {
    if (this.#isListing) return
    this.#isListing = true
    try {
      const names = await this.#options.cairn.datasets()
      const known = new Set(this.#watches.keys())
      await this.#openAll(names)
      for (const name of names) if (!known.has(name)) void this.#watches.get(name)?.look()
      this.#trouble = undefined
    } catch (error) {
      const trouble = error instanceof Error ? error.message : String(error)
      if (trouble === this.#trouble || isCairnError(error, 'closed')) return
      this.#trouble = trouble
      const message = `The datasets cannot be listed: ${trouble}`
      this.#options.log.error('automation.blind', { message })
    } finally {
      this.#isListing = false
    }
  }
}

/** One line of a bounded length: names of users are part of it. */
function plainReason(reason: string): string {
  const plain = reason
    .slice(0, MAX_REASON)
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ')
    .trim()
  return plain === '' ? 'manual' : plain
}

/** When a dataset wants to be looked at: when it said, or soon after a change. */
function wantedAt({ isLooking, wakeAt, changedAt, lookedAt }: DatasetWatch): number {
  if (isLooking) return Number.POSITIVE_INFINITY
  const changed = changedAt === null ? Number.POSITIVE_INFINITY : lookedAt + LOOK_GAP_MS
  return Math.min(wakeAt ?? Number.POSITIVE_INFINITY, changed)
}

function realWake(ms: number, call: () => void): () => void {
  const timer = setTimeout(call, ms)
  timer.unref()
  return () => clearTimeout(timer)
}
