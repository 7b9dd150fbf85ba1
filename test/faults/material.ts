/** The store that every operation begins with, and the CARs that are restored onto it. The same each time. */
import type { OpenCar } from '../../src/car/state.ts'
import { Cairn } from '../../src/cairn.ts'
import { REAL_TIMERS } from '../../src/engine/context.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { ImportEntry } from '../../src/engine/import-entry.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { rawCidOf, type Block } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { readProvedBlock } from '../../src/store/proved.ts'
import { blocksOf } from '../helpers/damage.ts'
import { carInMemory } from '../helpers/memory-car.ts'
import { Random } from '../helpers/random.ts'

export const START = 1_700_000_000_000
/** Deletions are remembered for ever, as far as the tests go. */
const LATE: number = START + 10 ** 12
export const CHAIN_LIMIT = 40
const ENTITIES = 100

export interface Clock {
  now: number
}

/** What operations are given. */
export interface Material {
  /** A dataset of the same name and another identity. */
  readonly other: OpenCar
  /** The state of `main` before its last snapshot. */
  readonly earlier: OpenCar
  /** What `main` had behind its first snapshot, without it. */
  readonly delta: OpenCar
  /** Blocks that the store has and needs. */
  readonly blocks: readonly Block[]
}

const SEED = 1
let processes = SEED

/** An engine as another process has it: the clock is everybody's, the randomness its own. */
export function engineOn(backend: Backend, clock: Clock, seed: number = ++processes): Cairn {
  const random = new Random(seed)
  const bytes = (count: number): Uint8Array =>
    Uint8Array.from({ length: count }, () => random.int(0, 255))
  const timers = { ...REAL_TIMERS, delay: () => REAL_TIMERS.delay(1) }
  return new Cairn(backend, { now: () => clock.now, randomBytes: bytes, timers })
}

export const nameOf = (i: number): string => `e${String(i).padStart(4, '0')}`

export function valueEntry(i: number, ver: number): ImportEntry {
  return { pi: nameOf(i), ver, ts: START + ver, value: { i, ver, text: 'x'.repeat(20) } }
}

export function deletion(i: number, ver: number): ImportEntry {
  return { pi: nameOf(i), ver, ts: START + ver, tip: null, exp: LATE }
}

export function externalEntry(i: number, ver: number): ImportEntry {
  return { pi: nameOf(i), ver, ts: START + ver, tip: rawCidOf(Buffer.from(`${i} ${ver}`)) }
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i)

async function fillMain(
  cairn: Cairn,
  beforeLast: (dataset: Dataset) => Promise<void>,
): Promise<void> {
  const settings = { chunkSize: 64, chainLimit: CHAIN_LIMIT }
  const { dataset } = await cairn.init('main', settings)
  for (let from = 0; from < ENTITIES; from += CHAIN_LIMIT) {
    const to = Math.min(from + CHAIN_LIMIT, ENTITIES)
    await dataset.appendBatch(range(from, to).map((i) => valueEntry(i, 1)))
    await dataset.build({ meta: { upto: to } })
  }
  await dataset.appendBatch([...range(10, 20).map((i) => valueEntry(i, 2)), deletion(30, 2)])
  await dataset.appendBatch([valueEntry(200, 1)])
  await beforeLast(dataset)
  await dataset.build({ tags: ['kept'] })
  await dataset.appendBatch(range(5, 12).map((i) => valueEntry(i, 3)))
  await dataset.appendBatch([deletion(40, 2)])
}

/** Two datasets: `main` with content, five snapshots and a recent chain, `side` without content. */
export async function fillStore(backend: Backend, clock: Clock): Promise<Material> {
  let earlier: OpenCar | undefined
  let delta: OpenCar | undefined
  const cairn = engineOn(backend, clock, SEED)
  await fillMain(cairn, async (dataset) => {
    earlier = (await carInMemory(dataset)).car
    delta = (await carInMemory(dataset, { since: 'seq:2' })).car
  })
  const { dataset: side } = await cairn.init('side', { content: 'external' })
  await side.appendBatch(range(0, 5).map((i) => externalEntry(i, 1)))
  await side.build({ tags: ['first'] })
  await side.appendBatch(range(3, 8).map((i) => externalEntry(i, 2)))
  if (earlier === undefined || delta === undefined) throw new Error('no CARs were made')
  return { other: await otherCar(clock), earlier, delta, blocks: await neededBlocks(backend) }
}

async function neededBlocks(backend: Backend): Promise<readonly Block[]> {
  const { root, leaves, chain } = await blocksOf(backend)
  const cids = [root, ...leaves, ...chain]
  const read = cids.map((cid) => readProvedBlock(backend, cid, 'a block to heal'))
  const bytes = await Promise.all(read)
  return cids.map((cid, i) => ({ cid, bytes: bytes[i] ?? new Uint8Array() }))
}

async function otherCar(clock: Clock): Promise<OpenCar> {
  const cairn = engineOn(openMemory(), clock)
  const { dataset } = await cairn.init('main', { chunkSize: 64, chainLimit: CHAIN_LIMIT })
  await dataset.appendBatch(range(300, 330).map((i) => valueEntry(i, 1)))
  await dataset.build()
  await dataset.appendBatch([valueEntry(300, 2), deletion(301, 2)])
  return (await carInMemory(dataset)).car
}
