/**
 * What exports and restores tell of how far they are, in entities' entries: it never goes back, never passes
 * the total, and where there is one ends at it.
 */
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import type { OpenCar } from '../../src/car/state.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Progress } from '../../src/engine/context.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { ExportCarOptions } from '../../src/engine/export-car.ts'
import { EntriesDone } from '../../src/reach/entries-done.ts'
import { cidKey, type CidBytes } from '../../src/model/cid.ts'
import type { Met } from '../../src/reach/met.ts'
import { collect, openTest, START } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'
import { carInMemory } from '../helpers/memory-car.ts'

/** A leaf or chain block: its entries, the blocks under it, and whether it was met as content before. */
const arbitraryBlock = fc.record({
  entries: fc.integer({ min: 0, max: 3000 }),
  under: fc.integer({ min: 0, max: 5000 }),
  metBefore: fc.boolean(),
})

const met = (kind: Met['kind'], entries?: number): Met => {
  const [cid, bytes] = [new Uint8Array(36), new Uint8Array()]
  return entries === undefined ? { cid, bytes, kind } : { cid, bytes, kind, entries }
}

test('whatever is under the blocks, the entries done only grow, are told often, and end at all of them', () => {
  fc.assert(
    fc.property(fc.array(arbitraryBlock, { maxLength: 12 }), (blocks) => {
      const told: number[] = [0]
      let quiet = 0
      let longest = 0
      let total = 0
      const entries = new EntriesDone((done) => {
        told.push(done)
        quiet = 0
      })
      const block = (one: Met): void => {
        quiet += 1
        entries.block(one)
        longest = Math.max(longest, quiet)
      }
      block(met('snapshot'))
      for (const { entries: count, under, metBefore } of blocks) {
        const holder = met('leaf', count)
        block(met('branch'))
        if (!metBefore) block(holder)
        for (let i = 0; i < under; i++) block(met('content'))
        entries.leave(holder)
        total += count
        expect(told.at(-1)).toBe(total)
      }
      expect(told).toEqual(told.toSorted((a, b) => a - b))
      expect(longest).toBeLessThanOrEqual(1024)
    }),
    { numRuns: 50 },
  )
})

const ENTITIES = 500

interface Case {
  readonly content: 'linked' | 'external'
  /** Entities that are folded, and those that are written behind that. */
  readonly folded: number
  readonly recent: number
}

const CASES: readonly Case[] = [
  { content: 'linked', folded: ENTITIES, recent: 100 },
  { content: 'linked', folded: 0, recent: 100 },
  { content: 'linked', folded: ENTITIES, recent: 0 },
  { content: 'external', folded: ENTITIES, recent: 100 },
  { content: 'linked', folded: 0, recent: 0 },
  { content: 'external', folded: 0, recent: 0 },
]

const idOf = (n: number): string => `e${String(n).padStart(6, '0')}`

interface Kit {
  readonly dataset: Dataset
  readonly write: (from: number, count: number, name: string) => Promise<void>
  readonly pass: (ms: number) => void
}

/** Some share their content, some link to each other's, some are deleted, some expire. */
async function kitOf({ content }: Case): Promise<Kit> {
  const { dataset, clock } = await openTest({ init: { content, chunkSize: 64 } })
  const valueOf = (n: number, name: string): unknown => {
    if (n % 5 === 0) return { shared: n % 25 }
    const linked = content === 'linked' && n % 7 === 0
    return linked ? { n, name, first: CID.decode(tipOf('shared')) } : { n, name }
  }
  const write = async (from: number, count: number, name: string): Promise<void> => {
    const items = Array.from({ length: count }, (_, i) => {
      const n = from + i
      const exp = n % 11 === 0 ? START + 1000 : undefined
      const end = exp === undefined ? {} : { exp }
      if (n % 13 === 0) return { pi: idOf(n), tip: null, ...end }
      const external = { pi: idOf(n), tip: tipOf(`${n % 3} ${name}`), ...end }
      return content === 'external' ? external : { pi: idOf(n), value: valueOf(n, name), ...end }
    })
    if (items.length > 0) await dataset.appendBatch(items)
  }
  if (content === 'linked') await dataset.put('shared', Buffer.from('shared'))
  const pass = (ms: number): void => void (clock.now += ms)
  return { dataset, write, pass }
}

/** Of the steps that count entries. */
function listener(): {
  readonly onProgress: (progress: Progress) => void
  readonly check: (total: number | undefined, what: string) => void
} {
  const told: Progress[] = []
  return {
    onProgress: (progress) => {
      if (['export', 'restore', 'prove'].includes(progress.step)) told.push(progress)
    },
    check: (total, what) => {
      const done = told.map((one) => one.done)
      expect(done.length, what).toBeGreaterThan(0)
      expect(done, what).toEqual(done.toSorted((a, b) => a - b))
      expect(new Set(told.map((one) => one.total)), what).toEqual(new Set([total]))
      if (total !== undefined) expect(done.at(-1), what).toBe(total)
    },
  }
}

async function exported(dataset: Dataset, options: ExportCarOptions, total: number | undefined) {
  const { onProgress, check } = listener()
  const saved = await carInMemory(dataset, { ...options, onProgress })
  check(total, `export ${JSON.stringify(options)}`)
  return saved.car
}

async function restored(cairn: Cairn, cars: OpenCar[], as: string, total: number) {
  for (const dryRun of [true, false]) {
    const { onProgress, check } = listener()
    await cairn.restoreCar(cars, { as, dryRun, replace: true, onProgress })
    check(total, `restore as ${as}, dry run ${dryRun}`)
  }
}

/** Without blocks that a store has. */
function without(car: OpenCar, cids: readonly CidBytes[]): OpenCar {
  const gone = new Set(cids.map(cidKey))
  const has = (cid: CidBytes): boolean => car.has(cid) && !gone.has(cidKey(cid))
  return { ...car, has, read: (cid) => (has(cid) ? car.read(cid) : undefined) }
}

test.each(CASES)(
  'exports and restores of $content content, $folded folded and $recent recent, end where they said',
  async (one) => {
    const { dataset, write, pass } = await kitOf(one)
    await write(0, one.folded, 'first')
    await dataset.build({ force: true })
    // What expired is folded still until a build comes by.
    pass(2000)
    // Blocks of the engine are content, too, for who links to them: the last leaf, and the chain's.
    if (one.content === 'linked') {
      const chunk = (await collect(dataset.chunks())).at(-1)
      if (chunk !== undefined) await dataset.put(idOf(1), { leaf: CID.decode(chunk.cid) })
      await dataset.build({ force: true })
      const { block } = await dataset.put(idOf(0), 'early')
      if (block !== null) await dataset.put(idOf(2), { chain: CID.decode(block) })
      if (one.recent === 0) await dataset.build()
    }
    await write(one.folded >> 1, one.recent, 'second')
    const { header, commit } = await dataset.pointer()
    const all = header.entries + commit.recentCount
    const index = await exported(dataset, { content: 'index' }, all)
    await exported(dataset, { content: 'tips' }, all)
    const whole = await exported(dataset, {}, all)
    const snapshot = await exported(dataset, { snapshot: 'latest' }, header.entries)
    const cairn = new Cairn(openMemory(), { now: () => START + 5000 })
    await restored(cairn, [whole], 'whole', all)
    await restored(cairn, [snapshot], 'snapshot', header.entries)
    // Every block is in the store already, and some only there.
    await restored(cairn, [whole], 'again', all)
    await restored(cairn, [index], 'index', all)
    const leaves = (await collect(dataset.chunks())).map(({ cid }) => cid)
    await restored(cairn, [without(whole, leaves)], 'leaves', all)
    await write(one.folded, 200, 'third')
    await dataset.build({ force: true })
    await write(0, 50, 'fourth')
    const delta = await exported(dataset, { since: 'latest~1' }, undefined)
    const now = await dataset.pointer()
    const grown = now.header.entries + now.commit.recentCount
    await restored(cairn, [snapshot, delta], 'delta-and-base', grown)
    await restored(cairn, [delta], 'snapshot', grown)
  },
  20_000,
)
