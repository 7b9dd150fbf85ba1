/**
 * Themes: what a seed is about when it is not about everything. Each brings together the few things that some
 * rule of the contract is for, and that meet by chance too seldom.
 */
import type { Random } from '../helpers/random.ts'
import type { Plan } from './plan.ts'
import type { Kind } from './steps.ts'

type Changes = Partial<Pick<Plan, 'faults' | 'rate' | 'frees' | 'content' | 'filled' | 'entities'>>

export interface Theme {
  /** How often what is done; nothing else is. */
  readonly kinds: Partial<Record<Kind, number>>
  readonly stalls: readonly (string | undefined)[]
  readonly oversleeps?: boolean
  readonly changes?: Changes
}

const THEMES: readonly Theme[] = [
  // Content that was looked for, and is freed before the commit that links to it.
  {
    kinds: { revive: 10, put: 6, upkeep: 6 },
    stalls: ['commit'],
    changes: { frees: 'blocks', content: 'linked', faults: [], entities: 3 },
  },
  // A state that is forgotten between the look at it and the lease on it.
  {
    kinds: { put: 6, upkeep: 6, export: 10 },
    stalls: ['lease'],
    changes: { faults: [], entities: 6 },
  },
  // A state that is forgotten, and freed as far as it may be, in the middle of its export,
  {
    kinds: { put: 6, build: 4, upkeep: 8, export: 12, restore: 3 },
    stalls: ['sink', 'sink', 'getBlocks'],
    changes: { faults: [], content: 'linked', entities: 12 },
  },
  // or the base of a delta, while that is exported or restored.
  {
    kinds: { put: 8, build: 8, upkeep: 8, delta: 14 },
    stalls: ['p0 getBlocks'],
    changes: { faults: [], content: 'linked', entities: 12 },
  },
  // Staged blocks whose staging is void before the commit that names them.
  {
    kinds: { put: 8, build: 14, bulk: 4, export: 3, restore: 4 },
    stalls: ['commit'],
    oversleeps: true,
    changes: { faults: [] },
  },
  // A store that acknowledges what it does not keep: of builds and bulk loads,
  {
    kinds: { put: 8, build: 8, bulk: 4, prune: 2 },
    stalls: [undefined],
    changes: { faults: ['rotten'], rate: 1 / 10, filled: true, entities: 150 },
  },
  // and of restores, of what was freed before.
  {
    kinds: { put: 8, upkeep: 5, export: 7, restore: 12 },
    stalls: [undefined],
    changes: { faults: ['rotten'], rate: 1 / 10, filled: true, entities: 12 },
  },
  // A commit that took effect, whose answer is lost, and whose number is forgotten before it is asked for again.
  {
    kinds: { put: 10, upkeep: 10 },
    stalls: ['delay'],
    changes: { faults: ['lost'], rate: 1 / 12, entities: 6 },
  },
]

export const anyTheme = (random: Random): Theme | undefined =>
  THEMES[random.int(0, THEMES.length - 1)]
