/**
 * The steps of an operation, numbered as they come, and the one at which something goes wrong.
 *
 *   before   the step rejects and was not made
 *   after    it was made, and rejects all the same
 *   unsure   it was not made, and rejects as if it might have been
 *   gone     as before, and so does every later step, until the store is there again
 *   cut      as after, and then nothing answers any more, until the store is there again
 *   dead     the process has died before the step: nothing of it happens any more
 */
import { CairnError, type ErrorCode } from '../../src/errors.ts'

export const FAULTS = ['before', 'after', 'unsure', 'gone', 'cut', 'dead'] as const
export type Fault = (typeof FAULTS)[number]

export interface Plan {
  /** The number of the step, from 0. */
  readonly at: number
  readonly fault: Fault
}

export interface StepKind {
  readonly name: string
  /** Whether the store may be another one after it. */
  readonly effect: boolean
  /** False where its failure alone is no reason for anything to stay reserved. */
  readonly reserves?: boolean
  /** The code by which the step says that it may have been made. */
  readonly unclear: ErrorCode
}

export class Steps {
  readonly trace: StepKind[] = []
  /** Settles when the process has died. */
  readonly died: Promise<'dead'>
  readonly #plan: Plan | undefined
  readonly #onStep: () => Promise<void>
  #die = (): void => {}
  /** What the steps of the dead wait for. */
  readonly #limbo: Promise<never>
  #abandon = (): void => {}
  #state: 'armed' | 'gone' | 'dead' | 'over' = 'armed'

  /** `onStep` is called before each step, and once more by `end`. */
  constructor(plan?: Plan, onStep: () => Promise<void> = () => Promise.resolve()) {
    this.#plan = plan
    this.#onStep = onStep
    this.died = new Promise((resolve) => (this.#die = () => resolve('dead')))
    this.#limbo = new Promise((_resolve, reject) => {
      this.#abandon = () => reject(new CairnError('closed', 'The process that asked is dead.'))
    })
    this.#limbo.catch(() => {})
  }

  /** Whether the plan's step came. */
  get struck(): boolean {
    return this.#plan !== undefined && this.trace.length > this.#plan.at
  }

  /** What happens to the step that begins now. */
  next(kind: StepKind): Fault | 'pass' {
    if (this.#state === 'over') return 'pass'
    if (this.#state !== 'armed') return this.#state
    const at = this.trace.push(kind) - 1
    if (at !== this.#plan?.at) return 'pass'
    const { fault } = this.#plan
    if (fault === 'gone' || fault === 'cut') this.#state = 'gone'
    if (fault === 'dead') {
      this.#state = 'dead'
      this.#die()
    }
    return fault
  }

  async take<T>(kind: StepKind, work: () => Promise<T>): Promise<T> {
    if (this.#state === 'armed') await this.#onStep()
    const fate = this.next(kind)
    if (fate === 'dead') return this.#limbo
    if (fate === 'before' || fate === 'gone') throw injected('backend_unavailable', kind, fate)
    if (fate === 'unsure') throw injected(kind.unclear, kind, fate)
    const answer = await work()
    if (fate === 'after' || fate === 'cut') throw injected(kind.unclear, kind, fate)
    return answer
  }

  /** From now on nothing goes wrong, and nothing is counted: the store is there again. */
  end(): void {
    if (this.#state !== 'dead') this.#state = 'over'
  }

  /** Ends what the dead wait for, so that it can be closed; nothing of it takes effect. */
  abandon(): void {
    this.#abandon()
  }
}

function injected(code: ErrorCode, { name }: StepKind, fault: Fault): CairnError {
  return new CairnError(code, `A test made the step "${name}" fail (${fault}).`, {
    hint: 'Try again.',
    sent: fault !== 'before',
  })
}

/** The faults that a step can have. */
export function faultsOf({ effect, unclear }: StepKind): readonly Fault[] {
  if (!effect) return ['before', 'gone']
  if (unclear === 'commit_unknown') return FAULTS
  return FAULTS.filter((fault) => fault !== 'unsure')
}
