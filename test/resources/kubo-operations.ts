/** What is done to a node that misbehaves, and what is right when it is done. */
import { expect } from 'vitest'
import type { OpenCar } from '../../src/car/state.ts'
import type { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { cidKey, cidMatches, printCid } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { verifyDataset } from '../../src/verify/verify.ts'

/** What a dataset holds: the printed tip of each id. */
export type Entities = Readonly<Record<string, string>>

export interface Given {
  readonly backend: Backend
  readonly cairn: Cairn
  readonly ledgerDir: string
}

export interface Template {
  readonly entities: Entities
  readonly tip: string
  readonly car: OpenCar
  readonly carBlocks: readonly string[]
}

export interface Operation {
  readonly name: string
  /** Throws, by `expect`, where what came is not right; answers what it adds when it is acknowledged. */
  run(given: Given, template: Template): Promise<Entities | void>
  /** Its only commit is its end: an error says that it was not made, unless it is `commit_unknown`. */
  readonly commits: 'none' | 'at the end' | 'on the way'
  /** What it may have added without saying so. */
  readonly adds?: readonly string[]
  /** Lies that nothing gives away. */
  readonly believes?: readonly string[]
}

const value = (name: string): unknown => ({ name, text: name.repeat(20) })

/** Two snapshots and a recent chain over them, each entity with content. */
export async function makeTemplate(cairn: Cairn): Promise<Template> {
  await cairn.init('main', { content: 'linked' })
  const dataset = await cairn.dataset()
  const putAll = (names: readonly string[]): Promise<unknown> =>
    dataset.putBatch(names.map((pi) => ({ pi, value: value(pi) })))
  await putAll(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'])
  await dataset.build()
  await putAll(['c', 'j', 'k'])
  await dataset.build()
  await putAll(['l'])
  await putAll(['m', 'n'])
  const entities = await entitiesOf(dataset)
  const { car, blocks } = await carOf(dataset)
  return { entities, tip: entities['a'] ?? '', car, carBlocks: [...blocks.keys()].sort() }
}

export async function entitiesOf(dataset: Dataset): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for await (const { pi, tip } of dataset.entries()) found[pi] = tip === null ? '' : printCid(tip)
  return found
}

async function carOf(
  dataset: Dataset,
): Promise<{ car: OpenCar; blocks: ReadonlyMap<string, Uint8Array> }> {
  const blocks = new Map<string, Uint8Array>()
  const roots: Uint8Array[] = []
  await dataset.exportCar(async (root) => {
    roots.push(root)
    return {
      put: (cid, bytes) => {
        expect(cidMatches(cid, bytes)).toBe(true)
        blocks.set(cidKey(cid), new Uint8Array(bytes))
      },
      finish: async () => ({ bytes: 0, blocks: blocks.size, sha256: '' }),
    }
  })
  const car: OpenCar = {
    path: 'memory.car',
    roots,
    has: (cid) => blocks.has(cidKey(cid)),
    offsetOf: () => 0,
    read: (cid) => blocks.get(cidKey(cid)),
  }
  return { car, blocks }
}

export const OPERATIONS: readonly Operation[] = [
  {
    name: 'put',
    commits: 'at the end',
    adds: ['new'],
    run: async ({ cairn }) => {
      const { tip } = await (await cairn.dataset()).put('new', value('new'))
      return { new: printCid(tip) }
    },
  },
  {
    name: 'append',
    commits: 'at the end',
    adds: ['same'],
    run: async ({ cairn }, { tip }) => {
      await (await cairn.dataset()).append({ pi: 'same', tip })
      return { same: tip }
    },
  },
  {
    name: 'build',
    commits: 'at the end',
    run: async ({ cairn }) => void (await (await cairn.dataset()).build()),
  },
  {
    name: 'get',
    commits: 'none',
    run: async ({ cairn }, { entities }) => {
      const dataset = await cairn.dataset()
      for (const pi of ['a', 'l']) {
        const { tip = null } = (await dataset.get(pi)) ?? {}
        expect(tip && printCid(tip)).toBe(entities[pi])
        if (tip !== null)
          expect(await dataset.content(tip)).toEqual({ kind: 'value', value: value(pi) })
      }
    },
  },
  {
    name: 'list',
    commits: 'none',
    run: async ({ cairn }, { entities }) => {
      const { items, totalCount } = await (await cairn.dataset()).list({ limit: 50, order: 'asc' })
      expect(items.map(({ pi }) => pi)).toEqual(Object.keys(entities).sort())
      expect(totalCount).toBe(items.length)
    },
  },
  {
    name: 'history',
    commits: 'none',
    run: async ({ cairn }) => {
      const versions: number[] = []
      for await (const { entry } of (await cairn.dataset()).history('c')) versions.push(entry.ver)
      expect(versions).toEqual([2, 1])
    },
  },
  {
    name: 'export',
    commits: 'none',
    run: async ({ cairn }, { carBlocks }) => {
      const { blocks } = await carOf(await cairn.dataset())
      expect([...blocks.keys()].sort()).toEqual(carBlocks)
    },
  },
  {
    name: 'restore',
    commits: 'at the end',
    run: async ({ cairn }, { car, entities }) => {
      await cairn.restoreCar([car], { as: 'copy' })
      expect(await entitiesOf(await cairn.dataset('copy'))).toEqual(entities)
    },
  },
  {
    name: 'prune',
    commits: 'on the way',
    // That its lease is gone, which stands in the way of the next one for an hour.
    believes: ['files/rm sweeps void', 'files/rm condemned void'],
    run: async ({ cairn }) =>
      void (await (await cairn.dataset()).prune({ policy: { last: 1 }, waitMs: 2_000 })),
  },
  {
    name: 'verify',
    commits: 'none',
    run: async ({ backend, ledgerDir }) => {
      const { verdict } = await verifyDataset(backend, 'main', {
        mode: { kind: 'full' },
        ledgerDir,
      })
      if (verdict !== 'sound') throw new Found(verdict)
    },
  },
  {
    name: 'status',
    commits: 'none',
    run: async ({ cairn }, { entities }) => {
      await cairn.status()
      const { pointer } = await (await cairn.dataset()).status()
      expect(pointer.total_count).toBe(Object.keys(entities).length)
    },
  },
  {
    name: 'datasets',
    commits: 'none',
    // A listing does not say of which folder it is.
    believes: ['files/ls datasets stale'],
    run: async ({ cairn }) => {
      expect(await cairn.datasets()).toContain('main')
    },
  },
  {
    name: 'compact',
    commits: 'none',
    run: async ({ cairn }) => void (await cairn.compact()),
  },
]

/** A verification that ended, and found something. */
export class Found extends Error {}
