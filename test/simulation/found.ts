/** What simulations have found in the life of the project, one line each; played again by every test run. */
import type { Plan } from './plan.ts'

export interface Found {
  readonly what: string
  /** As it was printed, made smaller. */
  readonly plan: Plan
}

export const FOUND: readonly Found[] = [
  {
    what: 'seed 41: an old commit that was read damaged was taken for another store',
    plan: {
      seed: 41,
      frees: 'holds',
      content: 'linked',
      style: 'sticky',
      processes: 3,
      scripts: [0, 1, 2],
      entities: 4,
      chainLimit: 10000,
      faults: ['timeout', 'wrong'],
      rate: 0.008064516129032258,
      parts: [
        { script: 0, step: { kind: 'prune', seed: 385489136 } },
        { script: 0, step: { kind: 'get', seed: 1069913715 } },
        { script: 0, step: { kind: 'prune', seed: 466348669 } },
        { script: 0, step: { kind: 'bulk', seed: 982846757 } },
        { script: 0, step: { kind: 'get', seed: 384536766 } },
        { script: 0, step: { kind: 'put', seed: 1539467839 } },
        { script: 0, step: { kind: 'get', seed: 567616710 } },
        { script: 1, step: { kind: 'prune', seed: 1531674563 } },
        { script: 1, step: { kind: 'put', seed: 81222409 } },
        { script: 1, step: { kind: 'put', seed: 2320107 } },
        { script: 1, step: { kind: 'get', seed: 393874175 } },
        { script: 1, step: { kind: 'history', seed: 271283686 } },
        { script: 1, step: { kind: 'retry', seed: 1881781208 } },
        { script: 1, step: { kind: 'prune', seed: 840437837 } },
        { script: 1, step: { kind: 'prune', seed: 203725211 } },
        { script: 2, step: { kind: 'put', seed: 1212210510 } },
        { script: 2, step: { kind: 'history', seed: 2069170418 } },
      ],
    },
  },
]
