/**
 * Watch: one dataset under automation. It looks, decides, starts, and remembers how that went.
 *
 * Nothing here throws at those who only pass on an event: what fails is logged and looked at again later.
 */
import type { Cairn } from '../cairn.ts'
import type { Logger } from '../engine/logger.ts'
import { isCairnError } from '../errors.ts'
import { hasEnded, type Job, type JobRun } from '../jobs/job.ts'
import type { Jobs } from '../jobs/jobs.ts'
import type { Backend } from '../store/backend.ts'
import type { TaskResult } from '../tasks/context.ts'
import { Mutex } from '../util/mutex.ts'
import { decide, type DatasetFacts, type Decision, type Start } from './decide.ts'
import {
  lacksCopiesOnly,
  withBegun,
  withDone,
  withEnded,
  withInterrupted,
  withSchedules,
  type AutomationMemory,
} from './memory.ts'
import { memoryFolder, readMemory, writeMemory } from './memory-file.ts'
import { observer, type Seen } from './observe.ts'
import {
  defaultThresholds,
  thresholdsOf,
  type AutomationPolicy,
  type ScheduledKind,
  type Thresholds,
} from './policy.ts'
import { runTask } from './run-task.ts'
import { ChainWarnings, logSave } from './sayings.ts'
import { printState, type AutomationState } from './state.ts'

/** What all datasets share. */
export interface Surroundings {
  readonly cairn: Cairn
  readonly backend: Backend
  readonly jobs: Jobs
  readonly log: Logger
  readonly now: () => number
  readonly random: () => number
  readonly policy: () => AutomationPolicy
  readonly dataDir: string
  readonly backupsDir: () => string
  readonly startedAt: number
  /** Once true, only what is asked for is started. */
  readonly stopped: () => boolean
  /** A watch wants to be looked at earlier than it said before. */
  readonly rearm: () => void
}

const NOTHING_DECIDED: Decision = { start: [], passed: [], wakeAt: null, next: [] }

export class DatasetWatch {
  readonly dataset: string
  readonly #around: Surroundings
  readonly #observe: () => Promise<Seen>
  readonly #writes = new Mutex()
  readonly #warnings: ChainWarnings
  #memory: AutomationMemory
  #seen: Seen | undefined
  #pendingSince: number | null = null
  #lookedAt = 0
  /** When the last look began that saw something. */
  #sawAt = 0
  #changedAt: number | null = null
  #looking: Promise<void> | undefined
  #lookAgain = false
  #trouble: string | undefined
  #decision: Decision = NOTHING_DECIDED
  #writeTrouble = false

  private constructor(around: Surroundings, dataset: string, memory: AutomationMemory) {
    this.dataset = dataset
    this.#around = around
    this.#memory = memory
    this.#observe = observer(around.cairn, dataset)
    this.#warnings = new ChainWarnings(dataset, around.log)
  }

  static async open(around: Surroundings, dataset: string): Promise<DatasetWatch> {
    const folder = memoryFolder(around.dataDir)
    const now = around.now()
    const known = await readMemory(folder, dataset, { log: around.log, now })
    const memory = withInterrupted(known, now, around.random)
    const watch = new DatasetWatch(around, dataset, memory)
    if (memory !== known) await watch.#remember()
    return watch
  }

  /** When it wants to be looked at next; null: at the next round. */
  get wakeAt(): number | null {
    return this.#decision.wakeAt
  }

  /** Something was appended. Costs next to nothing: a look follows soon. */
  noteChange(): void {
    this.#changedAt ??= this.#around.now()
  }

  /** Since when something is known to have changed that was not looked at. */
  get changedAt(): number | null {
    return this.#changedAt
  }

  get lookedAt(): number {
    return this.#lookedAt
  }

  /** It says anew what it wants when the look that is under way has ended. */
  get isLooking(): boolean {
    return this.#looking !== undefined
  }

  state(): AutomationState {
    return printState(this.#memory, this.#decision.next, this.#around.now())
  }

  /** Looks at the dataset and does what is to be done. One look at a time; a call during one is one more. */
  look(): Promise<void> {
    if (this.#looking !== undefined) {
      this.#lookAgain = true
      return this.#looking
    }
    this.#looking = this.#lookUntilQuiet().finally(() => {
      this.#looking = undefined
      this.#around.rearm()
    })
    return this.#looking
  }

  async #lookUntilQuiet(): Promise<void> {
    do {
      this.#lookAgain = false
      await this.#lookOnce()
      try {
        this.#act()
      } catch (error) {
        // The next round tries again; what was decided before would only ask for the same at once.
        this.#decision = NOTHING_DECIDED
        this.#around.log.error('automation.failed', {
          dataset: this.dataset,
          message: `The automation of "${this.dataset}" has failed: ${String(error)}`,
        })
      }
    } while (this.#lookAgain && !this.#around.stopped())
  }

  async #lookOnce(): Promise<void> {
    const changedAt = this.#changedAt
    this.#changedAt = null
    const began = this.#around.now()
    try {
      const seen = await this.#observe()
      const since = this.#pending(seen, changedAt ?? this.#sawAt)
      // A time that lies ahead is of a clock that was set back: it began at the latest now.
      this.#pendingSince = since === null ? null : Math.min(since, began)
      this.#seen = seen
      this.#sawAt = began
      if (this.#trouble !== undefined)
        this.#around.log.info('automation.sees_again', { dataset: this.dataset })
      this.#trouble = undefined
    } catch (error) {
      this.#changedAt ??= changedAt
      this.#noteTrouble(error)
    }
    this.#lookedAt = this.#around.now()
  }

  /** Since when something is new, at the latest; the first look of a process cannot know better. */
  #pending(seen: Seen, since: number): number | null {
    if (seen.recentCount === 0) return null
    const before = this.#seen
    if (before === undefined || before.snapshot !== seen.snapshot) return seen.snapshotTs
    return this.#pendingSince ?? since
  }

  /** Once, not at every look. */
  #noteTrouble(error: unknown): void {
    if (this.#around.stopped() && isCairnError(error, 'closed')) return
    const trouble = error instanceof Error ? error.message : String(error)
    if (trouble === this.#trouble) return
    this.#trouble = trouble
    const code = isCairnError(error) ? error.code : 'internal'
    const message = `"${this.dataset}" cannot be looked at: ${trouble}`
    this.#around.log.error('automation.blind', { dataset: this.dataset, code, message })
  }

  #facts(): DatasetFacts | null {
    if (this.#seen === undefined) return null
    const { recentCount, snapshotTs, chainLimit, empty } = this.#seen
    const thresholds = this.#thresholds(chainLimit)
    return { recentCount, snapshotTs, pendingSince: this.#pendingSince, empty, thresholds }
  }

  /** A dataset that the thresholds do not fit follows its own limit; the configured one is refused. */
  #thresholds(chainLimit: number): Thresholds {
    try {
      return thresholdsOf(this.#around.policy(), chainLimit, this.dataset)
    } catch (error) {
      this.#warnings.misfit(error)
      return defaultThresholds(chainLimit)
    }
  }

  /** Throws `config` where the thresholds do not fit. Nothing is known of a dataset that cannot be looked at. */
  checkThresholds(policy: AutomationPolicy): void {
    if (this.#seen !== undefined) thresholdsOf(policy, this.#seen.chainLimit, this.dataset)
  }

  /** Sees what there is, and starts nothing. */
  async firstLook(): Promise<void> {
    await this.#lookOnce()
  }

  #decide(requests: readonly string[]): Decision {
    const { policy, now, jobs, startedAt } = this.#around
    const at = now()
    return decide({
      policy: policy(),
      memory: this.#memory,
      now: at,
      observed: {
        facts: this.#facts(),
        underWay: jobs.underWay(this.dataset),
        requests,
        startedAt: Math.min(startedAt, at),
      },
    })
  }

  #act(): void {
    const { policy, now, stopped } = this.#around
    if (stopped()) return
    const before = this.#memory
    this.#memory = withSchedules(this.#memory, policy(), now())
    const { start, passed } = this.#decide([])
    for (const kind of passed) this.#memory = withDone(this.#memory, kind, now())
    for (const one of start) this.#tryToBegin(one)
    const facts = this.#facts()
    if (facts !== null) this.#warnings.look(facts, this.#seen?.snapshot ?? '')
    this.#decision = { ...this.#decide([]), start: [] }
    if (this.#memory !== before) void this.#remember()
  }

  #tryToBegin(start: Start): void {
    try {
      this.#begin(start)
    } catch (error) {
      // The service ends, and starts nothing more.
      if (!isCairnError(error, 'closed')) throw error
    }
  }

  #begin({ kind, reason, urgent, follow }: Start): Job {
    const { dataset } = this
    const run = kind as ScheduledKind
    const work = (job: JobRun): Promise<TaskResult> => this.#run(run, job)
    return this.#around.jobs.start({ dataset, kind, reason, urgent, follow, work }).job
  }

  async #run(kind: ScheduledKind, { signal, onProgress, reason }: JobRun): Promise<TaskResult> {
    const { cairn, backend, dataDir, backupsDir, now, log, policy } = this.#around
    const copiesOnly = kind === 'export' && lacksCopiesOnly(this.#memory, policy(), now())
    // On disk before the work begins: should that kill the process, the next one knows.
    this.#memory = withBegun(this.#memory, kind, now())
    await this.#remember()
    const context = { cairn, backend, dataset: this.dataset, now, log, signal, onProgress }
    const places = { dataDir, backupsDir: backupsDir() }
    return runTask(kind, { ...context, ...places }, policy(), { reason, copiesOnly })
  }

  /** A build that covers all that was appended before the call. */
  save(reason: string): Job {
    const [start] = this.#decide([reason]).start
    if (start === undefined) throw new Error('a request that starts nothing')
    return this.#begin(start)
  }

  /** A job of this dataset has ended, whoever started it. */
  async ended(job: Job): Promise<void> {
    if (!hasEnded(job)) return
    const { now, random, stopped, log } = this.#around
    const circumstances = { now: now(), random: random(), ending: stopped() }
    this.#memory = withEnded(this.#memory, job, circumstances)
    if (job.kind === 'build') logSave(log, job)
    await this.#remember()
    if (!stopped()) void this.look()
  }

  /** Writes what is remembered, the newest of it where several ask. */
  #remember(): Promise<void> {
    return this.#writes.run(async () => {
      try {
        await writeMemory(memoryFolder(this.#around.dataDir), this.state())
        this.#writeTrouble = false
      } catch (error) {
        if (!this.#writeTrouble) this.#logWriteTrouble(error)
        this.#writeTrouble = true
      }
    })
  }

  #logWriteTrouble(error: unknown): void {
    const message = `What ran last for "${this.dataset}" cannot be written down: ${String(error)}`
    this.#around.log.error('automation.memory_unwritten', { dataset: this.dataset, message })
  }

  /** Until what is remembered is written down. A look that hangs is not waited for. */
  flush(): Promise<void> {
    return this.#writes.run(async () => {})
  }
}
