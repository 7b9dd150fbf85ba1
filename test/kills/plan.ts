/**
 * Which kills there are: so many on each backend, first of exports, then of restores, then of prunes. One
 * that came before the first effect or after completion is looked at as the others are, and made again.
 */
import { Random } from '../helpers/random.ts'
import type { Built } from './child.ts'
import { kuboGrounds, lmdbGrounds } from './ground.ts'
import { exportOperation } from './kill-export.ts'
import { pruneOperation } from './kill-prune.ts'
import { restoreOperation } from './kill-restore.ts'
import type { Operation } from './operation.ts'
import { isInside, KillSeries, type Killed, type Series, type Victim } from './run.ts'
import type { Amounts } from './material.ts'

export interface Plan {
  readonly backend: 'lmdb' | 'kubo'
  /** So many between first effect and completion. */
  readonly kills: number
  readonly seed: number
  /** Kill only this one. */
  readonly only?: string | undefined
  readonly onKill?: (killed: Killed, number: number) => void
}

export interface Outcome {
  readonly kills: readonly Killed[]
  readonly lostNodes: number
}

interface Sizes {
  readonly large: Amounts
  readonly many: Amounts
  readonly small: Amounts
}

/** Requests to a node take longer than those to a file. */
const SIZES: Readonly<Record<Plan['backend'], Sizes>> = {
  lmdb: {
    large: { entities: 3000, snapshots: 3, textBytes: 1000 },
    many: { entities: 3000, snapshots: 10, textBytes: 400 },
    small: { entities: 300, snapshots: 2, textBytes: 200 },
  },
  kubo: {
    large: { entities: 1500, snapshots: 2, textBytes: 1000 },
    many: { entities: 800, snapshots: 8, textBytes: 2000 },
    small: { entities: 100, snapshots: 2, textBytes: 200 },
  },
}

/** For each kill that is wanted. A machine may be much faster or slower than when it was measured. */
const MOST_TRIES = 4

export async function runKills(built: Built, plan: Plan): Promise<Outcome> {
  const { large, many, small } = SIZES[plan.backend]
  const operations = [
    exportOperation(large),
    await restoreOperation(large, small),
    pruneOperation(many),
  ] as const
  const random = new Random(plan.seed)
  const kills: Killed[] = []
  let lostNodes = 0
  try {
    const wanted = operations.filter(({ name }) => plan.only === undefined || plan.only === name)
    const each = operations.map((one) => {
      const i = wanted.indexOf(one)
      return i < 0 ? 0 : Math.ceil((plan.kills - i) / wanted.length)
    })
    lostNodes += await inSeries(built, plan, operations[0], each[0] ?? 0, random, kills)
    lostNodes += await inSeries(built, plan, operations[1], each[1] ?? 0, random, kills)
    lostNodes += await inSeries(built, plan, operations[2], each[2] ?? 0, random, kills)
  } finally {
    for (const operation of operations) await operation.dispose()
  }
  return { kills, lostNodes }
}

/** Of two kills on a node one is the node's. */
function victimOf({ backend }: Plan, number: number): Victim {
  return backend === 'kubo' && number % 2 === 0 ? 'node' : 'process'
}

async function inSeries<T>(
  built: Built,
  plan: Plan,
  operation: Operation<T>,
  count: number,
  random: Random,
  kills: Killed[],
): Promise<number> {
  if (count === 0) return 0
  const { backend, onKill } = plan
  const fill = (store: Parameters<Operation<T>['fill']>[0]): Promise<T> => operation.fill(store)
  const grounds = backend === 'lmdb' ? await lmdbGrounds(fill) : kuboGrounds(fill)
  const series: Series<T> = { backend, operation, grounds }
  const killing = new KillSeries(built, series)
  try {
    const problems = await killing.measure()
    if (problems.length > 0)
      throw new Error(`undisturbed, the ${operation.name} leaves:\n${problems.join('\n')}`)
    let inside = 0
    for (let tries = 0; inside < count && tries < MOST_TRIES * count; tries++) {
      const killed = await killing.kill(random.int(0, 2 ** 31), victimOf(plan, inside))
      kills.push(killed)
      if (isInside(killed)) inside++
      onKill?.(killed, kills.length)
    }
  } finally {
    await grounds.dispose()
  }
  return killing.lostNodes
}
