/** The operations whose steps are made to fail: what each does, and what may be said of it afterwards. */
import { CarWriter } from '../../src/car/writer.ts'
import type { Cairn } from '../../src/cairn.ts'
import type { Backend } from '../../src/store/backend.ts'
import { damagedBackend } from '../helpers/damage.ts'
import {
  CHAIN_LIMIT,
  deletion,
  engineOn,
  externalEntry,
  valueEntry,
  nameOf,
  START,
  type Material,
} from './material.ts'

export interface Given {
  readonly cairn: Cairn
  /** The store of `cairn`. */
  readonly backend: Backend
  readonly material: Material
}

export interface Operation {
  readonly name: string
  /** May be run again, also where it took effect before. */
  run(given: Given): Promise<unknown>
  /**
   * Its last commit is its end: an error that is not `commit_unknown` says that it was not made. Without it
   * there is work behind the commit, such as freeing.
   */
  readonly endsWithCommit: boolean
  /** It touches blocks that are kept: half-way they may be gone, until it is made again. */
  readonly mends?: boolean
}

const keepLast = (last: number): { policy: { last: number }; waitMs: number } => ({
  policy: { last },
  waitMs: 300,
})

const large = (seed: number): Uint8Array => {
  const bytes = new Uint8Array(1_300_000)
  for (let i = 0; i < bytes.length; i += 97) bytes[i] = (i * seed) & 0xff
  return bytes
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

export const OPERATIONS: readonly Operation[] = [
  {
    name: 'init',
    // What it made it opens.
    endsWithCommit: false,
    run: ({ cairn }) => cairn.init('fresh', { content: 'external' }),
  },
  {
    name: 'append',
    endsWithCommit: true,
    run: async ({ cairn }) =>
      (await cairn.dataset('side')).appendBatch([externalEntry(6, 3), externalEntry(90, 1)]),
  },
  {
    name: 'put',
    endsWithCommit: true,
    run: async ({ cairn }) =>
      (await cairn.dataset()).appendBatch([valueEntry(1, 2), deletion(2, 2), valueEntry(500, 1)]),
  },
  {
    name: 'put by CID',
    endsWithCommit: true,
    run: async ({ cairn }) => {
      const dataset = await cairn.dataset()
      const tip = (await dataset.get(nameOf(50)))?.tip ?? null
      return dataset.append({ pi: nameOf(501), ver: 1, ts: START, tip })
    },
  },
  {
    name: 'put a file',
    endsWithCommit: true,
    run: async ({ cairn }) =>
      (await cairn.dataset()).put(nameOf(600), large(3), { ver: 1, ts: START }),
  },
  {
    name: 'append to a full chain',
    endsWithCommit: true,
    run: async ({ cairn }) => {
      const dataset = await cairn.dataset()
      const entries = numbers(CHAIN_LIMIT - 3).map((i) => valueEntry(700 + i, 1))
      return dataset.appendBatch(entries)
    },
  },
  {
    name: 'build',
    endsWithCommit: true,
    run: async ({ cairn }) => (await cairn.dataset()).build({ tags: ['built'] }),
  },
  {
    name: 'bulk load',
    endsWithCommit: true,
    run: async ({ cairn }) =>
      (await cairn.dataset()).bulkLoad(
        [...numbers(12).map((i) => valueEntry(800 + i, 1)), valueEntry(3, 2)],
        { reason: 'load' },
      ),
  },
  {
    name: 'restore in place',
    endsWithCommit: true,
    run: ({ cairn, material }) => cairn.restoreCar([material.other], { replace: true }),
  },
  {
    name: 'restore an earlier state',
    endsWithCommit: true,
    run: ({ cairn, material }) => cairn.restoreCar([material.earlier], { replace: true }),
  },
  {
    name: 'restore under a new name',
    endsWithCommit: true,
    run: ({ cairn, material }) => cairn.restoreCar([material.other], { as: 'copy' }),
  },
  {
    name: 'restore a delta',
    endsWithCommit: true,
    run: ({ cairn, material }) => cairn.restoreCar([material.delta], { replace: true }),
  },
  {
    name: 'rollback',
    endsWithCommit: true,
    run: async ({ cairn }) => (await cairn.dataset()).rollback({ snapshot: 'seq:2' }),
  },
  {
    name: 'rollback, keeping the chain',
    endsWithCommit: true,
    run: async ({ cairn }) =>
      (await cairn.dataset()).rollback({ snapshot: 'seq:3' }, { keepChain: true }),
  },
  {
    name: 'fall back',
    endsWithCommit: true,
    run: ({ backend, material }) => {
      const damaged = damagedBackend(backend)
      // The newest block of the recent chain, as it was in the beginning.
      damaged.flip(material.blocks.at(-1)?.cid)
      return engineOn(damaged, { now: START }).fallBack()
    },
  },
  {
    name: 'prune',
    endsWithCommit: false,
    run: async ({ cairn }) => (await cairn.dataset()).prune(keepLast(2)),
  },
  {
    name: 'prune a small dataset',
    endsWithCommit: false,
    run: async ({ cairn }) => (await cairn.dataset('side')).prune(keepLast(1)),
  },
  {
    name: 'export',
    endsWithCommit: false,
    run: async ({ cairn }) =>
      (await cairn.dataset()).exportCar(
        (root) => CarWriter.begin({ write: () => Promise.resolve() }, [root]),
        { since: 'seq:1' },
      ),
  },
  {
    name: 'heal',
    endsWithCommit: false,
    mends: true,
    run: ({ backend, material }) => backend.heal(material.blocks),
  },
  { name: 'compact', endsWithCommit: false, run: ({ cairn }) => cairn.compact() },
]
