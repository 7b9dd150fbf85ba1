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
  {
    what: 'seed 1706: a commit whose answer was lost, and whose number was forgotten, was called refused',
    plan: {
      seed: 1706,
      frees: 'holds',
      content: 'external',
      style: 'even',
      processes: 3,
      scripts: [0, 1, 2, 0],
      entities: 6,
      chainLimit: 59,
      faults: ['lost'],
      rate: 0.08333333333333333,
      parts: [
        { script: 0, step: { kind: 'put', seed: 220217223 } },
        { script: 1, step: { kind: 'put', seed: 1756383834 } },
        { script: 1, step: { kind: 'put', seed: 723121315 } },
        { script: 2, step: { kind: 'upkeep', seed: 885323418 } },
      ],
      stall: 'delay',
    },
  },
  {
    what: 'seed 277: such a one was made anew, and was there twice',
    plan: {
      seed: 277,
      frees: 'blocks',
      content: 'external',
      style: 'sticky',
      processes: 2,
      scripts: [0, 1, 0],
      entities: 6,
      chainLimit: 61,
      faults: ['lost'],
      rate: 0.08333333333333333,
      parts: [
        { script: 0, step: { kind: 'upkeep', seed: 1411716858 } },
        { script: 0, step: { kind: 'upkeep', seed: 136885476 } },
        { script: 0, step: { kind: 'put', seed: 1622328618 } },
        { script: 0, step: { kind: 'put', seed: 739134324 } },
        { script: 0, step: { kind: 'put', seed: 108282806 } },
        { script: 1, step: { kind: 'upkeep', seed: 1549603148 } },
        { script: 1, step: { kind: 'upkeep', seed: 1566279787 } },
        { script: 1, step: { kind: 'upkeep', seed: 1370242528 } },
        { script: 2, step: { kind: 'upkeep', seed: 1954755404 } },
        { script: 2, step: { kind: 'upkeep', seed: 13163201 } },
        { script: 2, step: { kind: 'upkeep', seed: 140206097 } },
        { script: 2, step: { kind: 'put', seed: 64450812 } },
      ],
      stall: 'delay',
    },
  },
]
