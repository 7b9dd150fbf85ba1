/**
 * One operation, with one thing going wrong at one step: what became of it, and whether the store is as it
 * may be. Afterwards the operation is made again, and must come to what it comes to undisturbed.
 */
import { isCairnError, type ErrorCode } from '../../src/errors.ts'
import type { Backend } from '../../src/store/backend.ts'
import type { Ground, Grounds } from './ground.ts'
import { engineOn } from './material.ts'
import { compareRoots, observe, verified, type Seen } from './observe.ts'
import type { Operation } from './operations.ts'
import { Steps, type Plan, type StepKind } from './steps.ts'

/** An operation that nobody disturbed. */
export interface Undisturbed {
  readonly steps: readonly StepKind[]
  /** The store before each step; the last one is the store after all. */
  readonly seen: readonly Seen[]
}

export type Outcome = 'took effect' | 'did not' | 'in part'

export interface Case {
  readonly operation: string
  readonly step: string
  readonly plan: Plan
  /** How it ended for its caller: an error's code, or what is no error. */
  readonly ended: ErrorCode | 'done' | 'dead' | 'no coded error'
  readonly outcome: Outcome
  readonly problems: readonly string[]
}

/** Errors by which an operation may say that a store failed it. */
const HONEST: ReadonlySet<string> = new Set<ErrorCode>([
  'backend_unavailable',
  'backend_timeout',
  'backend_refused',
  'commit_unknown',
])

export async function undisturbed(
  grounds: Grounds,
  operation: Operation,
  { watched }: { watched: boolean },
): Promise<Undisturbed> {
  const ground = await grounds.make()
  try {
    const seen: Seen[] = []
    const look = async (): Promise<void> => {
      const backend = await ground.open()
      seen.push(await observe(backend, ground.clock))
      await backend.close()
    }
    const steps = new Steps(undefined, watched ? look : undefined)
    const { backend } = await ground.openStepped(steps)
    const cairn = engineOn(backend, ground.clock)
    await operation.run({ cairn, backend, material: ground.material })
    steps.end()
    await look()
    await backend.close()
    return { steps: steps.trace, seen }
  } finally {
    await ground.dispose()
  }
}

export async function runCase(
  grounds: Grounds,
  operation: Operation,
  plan: Plan,
  expected: Pick<Undisturbed, 'seen'>,
): Promise<Case> {
  const ground = await grounds.make()
  const run = new Run(ground, operation, plan, expected.seen)
  try {
    return await run.whole()
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return run.result([`afterwards: ${text}`])
  } finally {
    await run.close()
    await ground.dispose()
  }
}

class Run {
  readonly #ground: Ground
  readonly #operation: Operation
  readonly #plan: Plan
  readonly #seen: readonly Seen[]
  readonly #steps: Steps
  readonly #open: Backend[] = []
  #ended: Case['ended'] = 'done'
  #outcome: Outcome = 'did not'

  constructor(ground: Ground, operation: Operation, plan: Plan, seen: readonly Seen[]) {
    this.#ground = ground
    this.#operation = operation
    this.#plan = plan
    this.#seen = seen
    this.#steps = new Steps(plan)
  }

  get #final(): Seen {
    return this.#seen.at(-1) ?? { state: '', exact: '', entries: new Map() }
  }

  result(problems: readonly string[]): Case {
    const { trace } = this.#steps
    const step = trace[this.#plan.at]?.name ?? 'never came'
    const { name: operation } = this.#operation
    const [plan, ended, outcome] = [this.#plan, this.#ended, this.#outcome]
    return { operation, step, plan, ended, outcome, problems }
  }

  async close(): Promise<void> {
    this.#steps.abandon()
    for (const backend of this.#open) await backend.close().catch(() => {})
  }

  async whole(): Promise<Case> {
    const stepped = await this.#ground.openStepped(this.#steps)
    const cairn = engineOn(stepped.backend, this.#ground.clock)
    const given = { cairn, backend: stepped.backend, material: this.#ground.material }
    const work = this.#operation.run(given)
    const ended = work.then(
      () => undefined,
      (error: unknown) => ({ error }),
    )
    const failure = await Promise.race([ended, this.#steps.died])
    this.#steps.end()
    const dead = failure === 'dead'
    this.#open.push(stepped.backend)
    if (dead) this.#ended = 'dead'
    else if (failure !== undefined)
      this.#ended = isCairnError(failure.error) ? failure.error.code : 'no coded error'
    const told = dead || failure === undefined ? '' : String(failure.error)
    const problems = [...this.#judgeEnd(told), ...(await this.#look())]
    if (dead) await this.#bury()
    const again = dead ? await this.#another() : given
    problems.push(...(await this.#again(again)))
    await this.#bury()
    problems.push(...(await this.#afterwards()))
    return this.result(problems)
  }

  async #another(): Promise<Parameters<Operation['run']>[0]> {
    const backend = await this.#ground.open()
    this.#open.push(backend)
    const cairn = engineOn(backend, this.#ground.clock)
    return { cairn, backend, material: this.#ground.material }
  }

  #buried = false

  async #bury(): Promise<void> {
    if (this.#buried) return
    this.#buried = true
    await this.#ground.bury()
  }

  #judgeEnd(told: string): string[] {
    const ended = this.#ended
    if (ended === 'done' || ended === 'dead' || HONEST.has(ended)) return []
    return [`it failed with ${ended}, which says something else: ${told}`]
  }

  /** The store as it was left. */
  async #look(): Promise<string[]> {
    if (this.#operation.mends === true) return []
    await this.#ground.collect()
    const { backend } = await this.#another()
    const found = await observe(backend, this.#ground.clock)
    const problems = await verified(backend, this.#ground.clock, { swept: false })
    const first = this.#seen[0]?.state
    const { state } = this.#final
    if (found.state === state) this.#outcome = 'took effect'
    else if (found.state !== first) this.#outcome = 'in part'
    if (this.#outcome === 'in part' && this.#seen.every((one) => one.state !== found.state))
      problems.push('the store is in a state that was never meant')
    if (state !== first) problems.push(...this.#judgeClaim())
    return problems
  }

  /** What its caller was told must be so. */
  #judgeClaim(): string[] {
    if (this.#ended === 'done' && this.#outcome !== 'took effect')
      return ['it was acknowledged, and is not there']
    const step = this.#steps.trace[this.#plan.at]
    const definite =
      this.#ended !== 'done' && this.#ended !== 'dead' && this.#ended !== 'commit_unknown'
    if (definite && this.#operation.endsWithCommit && this.#outcome === 'took effect')
      return [`it failed with ${this.#ended}, which says that it was not made, and is there`]
    if (definite && this.#plan.fault === 'cut' && step?.unclear === 'commit_unknown')
      return [`it failed with ${this.#ended}, but whether its commit was made is not known to it`]
    return []
  }

  /** Whether something may stay reserved: the store did not come back in time, or could not be told. */
  get #mayBeBusy(): boolean {
    const { at, fault } = this.#plan
    const passes = fault === 'before' || fault === 'after' || fault === 'unsure'
    return !passes || this.#steps.trace[at]?.reserves !== false
  }

  /** By the same process where it lives. What stands in the way of it is void in two hours. */
  async #again(given: Parameters<Operation['run']>[0]): Promise<string[]> {
    const problems: string[] = []
    try {
      await this.#operation.run(given)
    } catch (error) {
      if (!isCairnError(error, 'busy')) throw error
      if (!this.#mayBeBusy) problems.push(`made again, it was refused: ${error.message}`)
      await this.#bury()
      await this.#operation.run(given)
    }
    const { backend } = await this.#another()
    const found = await observe(backend, this.#ground.clock)
    if (found.state !== this.#final.state)
      problems.push('made again, it did not come to what it comes to undisturbed')
    return problems
  }

  /** Appends go on, a prune frees what was left behind and nothing else, roots are what they should be. */
  async #afterwards(): Promise<string[]> {
    const given = await this.#another()
    const { cairn, backend } = given
    const { clock, counts } = this.#ground
    const leases = await backend.leases()
    const problems = leases.map((note) => `a lease is left: ${note}`)
    for (const name of await cairn.datasets()) {
      const dataset = await cairn.dataset(name)
      await dataset.append({ pi: 'afterwards', ver: 1, tip: null, ts: clock.now, exp: null })
      await dataset.prune({ policy: { last: 2 }, waitMs: 1000 })
    }
    await this.#ground.collect()
    problems.push(...(await verified(backend, clock, { swept: counts })))
    const { entries } = await observe(backend, clock)
    for (const [name, before] of this.#final.entries) {
      const now = entries.get(name)?.length
      if (now !== before.length + 1) problems.push(`${name} has ${now} entries after a prune`)
    }
    return [...problems, ...(await compareRoots(cairn))]
  }
}
