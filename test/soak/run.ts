/** A soak: rounds of deaths on one store, until the time is over or something does not hold. */
import { Random } from '../helpers/random.ts'
import { openGround, type BackendName, type Ground } from './ground.ts'
import type { Seen } from './look.ts'
import type { Built } from './member.ts'
import { Positions } from './model.ts'
import { rollbackRound, workRound, type Death, type Round } from './round.ts'

export interface Plan {
  readonly backend: BackendName
  readonly ms: number
  readonly seed: number
  /** Below this it was no test: a slow machine goes on past `ms`, up to LONGEST times as long. */
  readonly atLeast?: { readonly deaths: number; readonly acked: number }
  readonly onRound?: (round: Round, number: number) => void
}

export interface Outcome {
  readonly rounds: number
  readonly deaths: readonly Death[]
  readonly acked: number
  /** Nodes that did not start again. */
  readonly lostNodes: number
  readonly problems: readonly string[]
}

const NOTHING: Seen = { world: new Map(), snapshots: new Map(), problems: [] }
/** One round in so many is a rollback's. */
const ROLLBACK_EVERY = 4
/** Kubo itself, killed, now and then leaves a root of MFS that it cannot read, and refuses to start. */
const NODE_LOST = /error loading filesroot/
/** One node in so many that were killed, and one more. */
const MOST_LOST = 50

const LONGEST = 4

const textOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error)

export async function soak(built: Built, plan: Plan): Promise<Outcome> {
  const random = new Random(plan.seed)
  const start = performance.now()
  const sum = { rounds: 0, acked: 0, lostNodes: 0, deaths: [] as Death[] }
  const goesOn = (): boolean => {
    const { deaths, acked } = plan.atLeast ?? { deaths: 0, acked: 0 }
    const enough = sum.deaths.length >= deaths && sum.acked >= acked
    return performance.now() - start < plan.ms * (enough ? 1 : LONGEST)
  }
  while (sum.rounds === 0 || goesOn()) {
    const ground = await openGround(plan.backend)
    try {
      const problems = await onGround(ground)
      if (problems.length > 0) return { ...sum, problems }
    } catch (error) {
      const killed = sum.deaths.filter(({ role }) => role === 'node').length
      if (!NODE_LOST.test(String(error)) || ++sum.lostNodes > 1 + killed / MOST_LOST)
        return { ...sum, problems: [textOf(error)] }
    } finally {
      await ground.dispose()
    }
  }
  return { ...sum, problems: [] }

  async function onGround(ground: Ground): Promise<readonly string[]> {
    const positions = new Positions()
    let before = NOTHING
    do {
      const number = sum.rounds++
      const setting = { built, number, ground, random, before, positions }
      const round = await (number % ROLLBACK_EVERY === ROLLBACK_EVERY - 1
        ? rollbackRound(setting)
        : workRound(setting))
      sum.deaths.push(...round.deaths)
      sum.acked += round.acked
      plan.onRound?.(round, number)
      if (round.problems.length > 0) return round.problems
      before = round.seen
    } while (goesOn())
    return []
  }
}
