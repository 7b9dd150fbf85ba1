/** What a step of a simulation is given, and what all kinds of steps share. */
import type { Dataset } from '../../src/engine/dataset.ts'
import { isCairnError } from '../../src/errors.ts'
import type { Random } from '../helpers/random.ts'
import type { Ground, Process } from './ground.ts'

export interface Turn {
  readonly ground: Ground
  readonly process: Process
  readonly dataset: Dataset
  readonly random: Random
  /** Names the step. */
  readonly what: string
}

export const idOf = (n: number): string => `e${n}`

export const anyId = ({ ground, random }: Turn): string => idOf(random.int(0, ground.entities - 1))

/** A stream without a lease may end early, loudly, when a prune takes its state. */
export async function tolerant<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if (isCairnError(error, 'block_missing')) return undefined
    throw error
  }
}
