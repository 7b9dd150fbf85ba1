/**
 * From a seed to what is going to happen: the settings, the scripts of all processes, and what befalls them.
 * A plan is plain data, so that it can be printed, made smaller, and kept.
 */
import { Random } from '../helpers/random.ts'
import { FAULTS, type Fault } from './faults.ts'
import type { Kind, Step } from './steps.ts'
import { anyTheme, type Theme } from './themes.ts'
import type { Style } from './world.ts'

/** `kill` ends a process, `sleep` stops one for long, `clock` moves its clock, `crash` restarts the store. */
export const BLOWS = ['kill', 'sleep', 'clock', 'crash', 'collect', 'power cut'] as const
export type Blow = (typeof BLOWS)[number]

/** A part of a plan, which a smaller plan may leave out: a step of a script, or a blow at a turn. */
export type Part = ScriptedStep | Strike

export interface ScriptedStep {
  readonly script: number
  readonly step: Step
}

export interface Strike {
  readonly blow: Blow
  readonly turn: number
  readonly process: number
  readonly ms: number
}

export interface Plan {
  readonly seed: number
  readonly frees: 'blocks' | 'holds'
  readonly content: 'linked' | 'external'
  readonly style: Style
  readonly processes: number
  /** Of which process a script is. */
  readonly scripts: readonly number[]
  readonly entities: number
  readonly chainLimit: number
  readonly faults: readonly Fault[]
  readonly rate: number
  /** Calls of this name are often long under way, so that much comes between. */
  readonly stall?: string | undefined
  /** The first that is so long under way has fallen asleep, until all that it holds is void. */
  readonly oversleeps?: boolean | undefined
  /** All entities are there from the beginning, and a CAR from elsewhere. */
  readonly filled?: boolean | undefined
  readonly parts: readonly Part[]
}

/** What comes between a look and what relies on it. */
const STALLS = ['commit', 'commit', 'lease', 'flush', 'getBlocks', 'newest', 'sweep', 'forget']

const WEIGHTS: Readonly<Record<Exclude<Kind, 'revive' | 'upkeep' | 'delta'>, number>> = {
  put: 16,
  retry: 3,
  get: 4,
  list: 3,
  entries: 3,
  history: 2,
  past: 3,
  build: 9,
  bulk: 2,
  rollback: 4,
  prune: 7,
  export: 4,
  restore: 3,
  diff: 1,
}

/** What a seed does at all: often a few kinds only, which then meet all the more often. */
function someKinds(random: Random): [Kind, number][] {
  const all = Object.entries(WEIGHTS) as [Kind, number][]
  if (random.int(0, 2) === 0) return all
  return all.filter(([kind]) => kind === 'put' || random.int(0, 2) === 0)
}

function anyKind(random: Random, kinds: readonly [Kind, number][]): Kind {
  const sum = kinds.reduce((before, [, weight]) => before + weight, 0)
  let left = random.int(0, sum - 1)
  for (const [kind, weight] of kinds) if ((left -= weight) < 0) return kind
  return 'put'
}

const scripted = (
  random: Random,
  scripts: number,
  steps: number,
  kinds: readonly [Kind, number][],
): ScriptedStep[] =>
  Array.from({ length: scripts }, (_, script) => script).flatMap((script) =>
    Array.from({ length: steps }, () => ({
      script,
      step: { kind: anyKind(random, kinds), seed: random.int(0, 2 ** 31) },
    })),
  )

const oneOf = <T>(random: Random, from: readonly T[], otherwise: T): T =>
  from[random.int(0, from.length - 1)] ?? otherwise

export function planOf(seed: number): Plan {
  const random = new Random(seed)
  for (let i = 0; i < 4; i++) random.next()
  const processes = random.int(1, 3)
  const scripts = Array.from({ length: random.int(2, 4) }, (_, i) => i % processes)
  const kinds = random.int(0, 2) === 0 ? [] : FAULTS.filter(() => random.int(0, 2) === 0)
  const steps = random.scaled(2, 9)
  const does = someKinds(random)
  const parts: Part[] = scripted(random, scripts.length, steps, does)
  const blows = random.int(0, 1) === 0 ? 0 : random.int(1, 4)
  for (let i = 0; i < blows; i++) {
    const blow = oneOf(random, BLOWS, 'kill')
    // Leases are void after an hour.
    const least = blow === 'sleep' && random.int(0, 2) > 0 ? 3_600_000 : 1000
    parts.push({
      blow,
      turn: random.scaled(10, 1000),
      process: random.int(0, processes - 1),
      ms: random.scaled(least, 5_000_000) * (random.int(0, 1) === 0 ? 1 : -1),
    })
  }
  const plan: Plan = {
    seed,
    frees: oneOf(random, ['blocks', 'blocks', 'holds'], 'blocks'),
    content: oneOf(random, ['linked', 'linked', 'linked', 'external'], 'linked'),
    style: oneOf(random, ['even', 'sticky', 'ranked'], 'even'),
    processes,
    scripts,
    entities: random.scaled(3, 150),
    chainLimit: random.int(0, 2) === 0 ? random.int(40, 80) : 10_000,
    faults: kinds,
    rate: 1 / random.scaled(20, 400),
    parts,
  }
  const theme = random.int(0, 3) === 0 ? anyTheme(random) : undefined
  if (theme !== undefined) return themed(plan, theme, random)
  const rots = random.int(0, 5) === 0
  const stall = random.int(0, 1) === 0 ? undefined : oneOf(random, STALLS, 'commit')
  return { ...plan, faults: rots ? [...kinds, 'rotten'] : kinds, stall }
}

function themed(plan: Plan, { kinds, stalls, oversleeps, changes }: Theme, random: Random): Plan {
  const does = Object.entries(kinds) as [Kind, number][]
  const steps = scripted(random, plan.scripts.length, random.int(4, 9), does)
  return {
    ...plan,
    ...changes,
    stall: stalls[random.int(0, stalls.length - 1)],
    oversleeps,
    // What befalls processes is another matter.
    parts:
      random.int(0, 2) > 0 ? steps : [...steps, ...plan.parts.filter((part) => 'blow' in part)],
  }
}
