/** What processes do: the kinds of steps, each step drawn from its own seed, and how one is played. */
import { Random } from '../helpers/random.ts'
import { delta, exportCar, restore } from './cars.ts'
import { existing, expectCoded, type Ground, type Process } from './ground.ts'
import { allEntries, diff, get, history, list, past } from './reading.ts'
import type { Turn } from './turn.ts'
import { build, prune, rollback, upkeep } from './upkeep.ts'
import { bulk, put, retry, revive } from './writing.ts'

export type Kind =
  | 'put'
  | 'revive'
  | 'retry'
  | 'get'
  | 'list'
  | 'entries'
  | 'history'
  | 'past'
  | 'build'
  | 'upkeep'
  | 'bulk'
  | 'rollback'
  | 'prune'
  | 'export'
  | 'delta'
  | 'restore'
  | 'diff'

const DOES: Readonly<Record<Kind, (turn: Turn) => Promise<void>>> = {
  put,
  revive,
  retry,
  get,
  list,
  entries: allEntries,
  history,
  past,
  build,
  upkeep,
  bulk,
  rollback,
  prune,
  export: exportCar,
  delta,
  restore,
  diff,
}

export interface Step {
  readonly kind: Kind
  readonly seed: number
}

export async function play(ground: Ground, process: Process, { kind, seed }: Step): Promise<void> {
  const random = new Random(seed)
  const what = `${process.owner.name} ${kind} ${seed}`
  ground.site.world.note(`${what} begins`)
  let outcome = 'done'
  try {
    const dataset = await existing(process, ground.truth, random)
    if (dataset !== undefined) await DOES[kind]({ ground, process, dataset, random, what })
  } catch (error) {
    outcome = expectCoded(ground, process, what, error).code
  }
  ground.truth.look()
  const key = `${kind}: ${outcome}`
  ground.outcomes.set(key, (ground.outcomes.get(key) ?? 0) + 1)
  ground.site.world.note(`${what} ends: ${outcome}`)
}
