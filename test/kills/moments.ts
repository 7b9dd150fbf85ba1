/** When to kill: at a moment between first effect and completion, found again by what the process says. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../helpers/random.ts'
import type { Child } from './child.ts'

interface Step {
  readonly name: string
  /** Until the next one, or completion. */
  readonly ms: number
}

/** An operation that nobody disturbed: its steps from the first effect on. */
export type Undisturbed = readonly Step[]

/**
 * So long after a step was begun for the nth time. Said in this way, a moment stays between first effect
 * and completion on a machine that is faster or slower than it was when the operation was measured.
 */
export interface Moment {
  readonly step: string
  readonly nth: number
  readonly afterMs: number
}

/** Half of them uniform in time; half uniform in the names of steps, so that short ones are met, too. */
export function chooseMoment(random: Random, run: Undisturbed): Moment {
  return random.next() < 0.5 ? inTime(random, run) : inNamed(random, run)
}

function inTime(random: Random, run: Undisturbed): Moment {
  let left = random.next() * run.reduce((sum, { ms }) => sum + ms, 0)
  const at = run.findIndex(({ ms }) => (left -= ms) < 0)
  const index = at < 0 ? run.length - 1 : at
  return { ...nthOf(run, index), afterMs: at < 0 ? 0 : left + (run[at]?.ms ?? 0) }
}

function inNamed(random: Random, run: Undisturbed): Moment {
  const names = [...new Set(run.map(({ name }) => name))]
  const name = names[random.int(0, names.length - 1)]
  const places = [...run.keys()].filter((i) => run[i]?.name === name)
  const index = places[random.int(0, places.length - 1)] ?? 0
  // The last one ends with completion, which must not come first.
  const share = index === run.length - 1 ? 0.5 : 1
  return { ...nthOf(run, index), afterMs: random.next() * share * (run[index]?.ms ?? 0) }
}

function nthOf(run: Undisturbed, index: number): Pick<Moment, 'step' | 'nth'> {
  const step = run[index]?.name ?? ''
  return { step, nth: run.slice(0, index + 1).filter(({ name }) => name === step).length }
}

export function undisturbed({ said }: Child, first: string): Undisturbed {
  const begin = said.findIndex(({ at }) => at === first)
  const end = said.findIndex(({ done }) => done !== undefined)
  if (begin < 0 || end < 0) throw new Error(`it did not end well: ${JSON.stringify(said.at(-1))}`)
  return said.slice(begin, end).map(({ at, ms }, i) => ({
    name: at ?? '',
    ms: (said[begin + i + 1]?.ms ?? ms) - ms,
  }))
}

/**
 * Settles at the moment, or when the operation ended before it. Where the step takes less time than when
 * it was measured, the moment is its end.
 */
export async function momentOf(child: Child, first: string, moment: Moment): Promise<void> {
  let began = false
  let seen = 0
  let heard = 0
  await child.until(({ at, done, error }) => {
    heard += 1
    began ||= at === first
    if (began && at === moment.step) seen += 1
    return seen === moment.nth || done !== undefined || error !== undefined
  })
  // A timer takes a millisecond at least.
  if (moment.afterMs < 0.5) return
  let again = 0
  await Promise.race([sleep(moment.afterMs), child.until(() => ++again > heard)])
}

/** The step that a child said last; `before` its first effect, or `after` completion. */
export function whereIs({ said }: Child, first: string): string {
  if (said.some(({ done }) => done !== undefined)) return 'after'
  if (!said.some(({ at }) => at === first)) return 'before'
  return said.findLast(({ at }) => at !== undefined)?.at ?? 'before'
}
