/**
 * The state that a process makes of its own commit without reading is the one that the store holds: after
 * each move of either of two processes on one store, whose every call comes when a seed says, and whose
 * commits now and then have an outcome that is not known. Who reads meanwhile sees one commit's entities.
 */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import type { OpenCar } from '../../src/car/state.ts'
import { REAL_TIMERS, type Context } from '../../src/engine/context.ts'
import { SILENT } from '../../src/engine/logger.ts'
import { Dataset } from '../../src/engine/dataset.ts'
import { createDataset } from '../../src/engine/genesis.ts'
import { Pointer } from '../../src/engine/pointer.ts'
import { restoreCar } from '../../src/engine/restore-car.ts'
import { completeState, prepareState, type State } from '../../src/engine/state.ts'
import { View } from '../../src/engine/view.ts'
import { CairnError, isCairnError, type ErrorCode } from '../../src/errors.ts'
import { printCid } from '../../src/model/cid.ts'
import { decodeCommit } from '../../src/model/commit.ts'
import type { Entry } from '../../src/model/entry.ts'
import type { Backend } from '../../src/store/backend.ts'
import { NodeStore } from '../../src/tree/node-store.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { collect, START } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'
import { carInMemory } from '../helpers/memory-car.ts'
import { Random } from '../helpers/random.ts'
import { schedulerOf } from '../helpers/scheduled-backend.ts'

const ENTITIES = 300
const TIPS = ['a', 'b', 'c'].map(tipOf)
/** What of a work may fail for: another came first, or what was named is forgotten. */
const EXPECTED: readonly ErrorCode[] = [
  'conflict',
  'busy',
  'not_found',
  'aborted',
  'commit_unknown',
]

const printed = ({ pi, ver, tip, ts, exp }: Entry): string =>
  [pi, ver, tip === null ? 'deleted' : printCid(tip), ts, exp].join(' ')

/** All that a state is made of, so that two of one commit can be compared. Taken before the first wait. */
async function facetsOf({ stored, commit, header, chain, overlay }: State) {
  const view = overlay.view()
  const got = view.entries.map(({ key }) => overlay.get(key))
  const { size, tree } = overlay
  const entries = view.entries.map(({ key, entry, position }) => [key, printed(entry), position])
  const blocks = chain.map(({ cid, block }) => ({ cid: printCid(cid), ...block }))
  const { before, shift } = await overlay.ranksOf(view)
  return {
    bytes: Buffer.from(stored.bytes).toString(),
    cid: printCid(stored.cid),
    commit,
    header,
    root: tree.root,
    chain: blocks,
    entries,
    // By key they are found as in their order, and nothing else is.
    found: [size, got.map((one) => one && [one.key, printed(one.entry), one.position])],
    ranks: [[...before], [...shift]],
    live: tree.liveCount + (shift[view.entries.length] ?? 0),
  }
}

interface Truth {
  readonly facets: Awaited<ReturnType<typeof facetsOf>>
  /** Live entities: those that never expire, for a reader's moment is its own. */
  readonly entities: string
}

interface Ground {
  readonly random: Random
  readonly now: () => number
  /** By commits' numbers, each made from scratch when the commit was durable. */
  readonly truths: Map<number, Truth>
  readonly counts: { own: number; read: number; unknown: number }
}

const lasting = (entries: readonly Entry[]): string =>
  entries
    .filter(({ exp }) => exp === null)
    .map(printed)
    .join('\n')

async function truthOf(context: Context, bytes: Uint8Array): Promise<Truth> {
  const state = completeState(await prepareState(context, decodeCommit(bytes)))
  const view = new View(state.overlay, state.commit.ts)
  const range = { from: undefined, to: undefined }
  const entries: Entry[] = []
  for await (const batch of view.walk({ range, descending: false })) entries.push(...batch)
  return { facets: await facetsOf(state), entities: lasting(entries) }
}

/** Knows the truth of each commit before anybody is told of it, and keeps the outcome of some to itself. */
function honest(inner: Backend, { truths, random, counts, now }: Ground): Backend {
  const commit: Backend['commit'] = async (request, options) => {
    const luck = random.int(0, 11)
    const unknown = new CairnError('commit_unknown', 'The store did not answer.', {})
    if (luck === 0) throw unknown
    const outcome = await inner.commit(request, options)
    if (outcome === 'committed' && request.dataset === 'main' && !truths.has(request.number))
      truths.set(request.number, await truthOf(contextOf(inner, now), request.bytes))
    if (luck > 2 || outcome !== 'committed') return outcome
    counts.unknown += 1
    throw unknown
  }
  return wrapBackend(inner, { commit })
}

let writers = 0

function contextOf(backend: Backend, now: () => number, cacheBytes = 1): Context {
  const nodes = new NodeStore(backend, cacheBytes)
  const random = new Random(++writers)
  const randomBytes = (count: number): Uint8Array =>
    Uint8Array.from({ length: count }, () => random.int(0, 255))
  const timers = { ...REAL_TIMERS, delay: () => REAL_TIMERS.turn(), every: () => () => undefined }
  return { backend, nodes, now, timers, randomBytes, writer: `w${writers}`, log: SILENT }
}

type Check = () => void

/** Compares what this process sees, whenever it sees another commit. */
function watched(pointer: Pointer, { truths, counts }: Ground, checks: Promise<Check>[]): void {
  let last = pointer.seen.commit.number
  pointer.onMove(() => {
    const { commit } = pointer.seen
    const truth = truths.get(commit.number)?.facets
    const before = last
    last = commit.number
    counts.own += 1
    const check = facetsOf(pointer.seen).then(
      (facets) => () => {
        expect(commit.number, 'a state that is seen is never an older one').toBeGreaterThan(before)
        expect(facets, `commit ${commit.number}, ${commit.reason}`).toEqual(truth)
      },
      (error: unknown) => () => {
        // What its ranks are looked up in may be freed once it is replaced.
        const replaced = truths.has(commit.number + 1)
        if (!replaced || !isCairnError(error, 'block_missing')) throw error
        counts.own -= 1
      },
    )
    checks.push(check)
  })
}

interface Process {
  readonly context: Context
  readonly pointer: Pointer
  readonly dataset: Dataset
  readonly cars: OpenCar[]
}

async function write({ dataset }: Process, { random, now }: Ground): Promise<void> {
  const pis = new Set(
    Array.from({ length: random.int(1, 40) }, () => `e${random.int(0, ENTITIES)}`),
  )
  const items = [...pis].map((pi) => {
    const tip = random.int(0, 4) === 0 ? null : (TIPS[random.int(0, 2)] ?? null)
    const exp = tip !== null && random.int(0, 4) === 0 ? now() + random.int(1, 3000) : undefined
    return { pi, tip, ...(exp === undefined ? {} : { exp }) }
  })
  await dataset.appendBatch(items)
}

async function build({ dataset }: Process, { random }: Ground): Promise<void> {
  const abort = new AbortController()
  const options = { force: true, tags: ['t'], meta: { z: 1, a: [random.int(0, 9)] } }
  const building = dataset.build({ ...options, signal: abort.signal })
  if (random.int(0, 7) === 0) setTimeout(() => abort.abort(), random.int(0, 20))
  await building
}

async function load({ dataset }: Process, { random }: Ground, pass: (ms: number) => void) {
  const count = random.int(0, 30)
  const source = async function* () {
    for (let i = 0; i < count; i++) {
      // Long enough for the guard to be renewed.
      if (random.int(0, 5) === 0) pass(31_000)
      yield { pi: `e${random.int(0, ENTITIES)}`, tip: TIPS[random.int(0, 2)] ?? null }
      if (i > 25) throw new CairnError('conflict', 'The source broke off.', {})
    }
  }
  await dataset.bulkLoad(source())
}

async function restore({ context, pointer, dataset, cars }: Process, { random }: Ground) {
  const car = cars[random.int(0, cars.length - 1)]
  if (car === undefined || random.int(0, 1) === 0) {
    cars.push((await carInMemory(dataset)).car)
    return
  }
  await restoreCar(context, [car], async () => pointer, { as: 'main', replace: true })
}

/** What a reader gets is what was current at one moment while it read. */
async function read({ dataset }: Process, ground: Ground, raw: Backend): Promise<void> {
  const newest = async (): Promise<number> => (await raw.newest('main', -1))?.number ?? -1
  const first = await newest()
  const entries = dataset.entries({ deleted: true, order: 'asc' })
  const found = await collect(entries).then(lasting, async (error: unknown) => {
    // A prune has freed what was replaced while it was read.
    if ((await newest()) > first && isCairnError(error, 'block_missing')) return undefined
    throw error
  })
  if (found === undefined) return
  const last = await newest()
  const possible: string[] = []
  for (let number = first; number <= last; number++)
    possible.push(ground.truths.get(number)?.entities ?? '')
  ground.counts.read += 1
  expect(possible.includes(found), `entities of none of ${first} to ${last}`).toBe(true)
}

async function rollback({ dataset, pointer }: Process, { random }: Ground): Promise<void> {
  const commit = Math.max(0, pointer.seen.commit.number - random.int(1, 4))
  await dataset.rollback({ commit }, { keepChain: random.int(0, 1) === 0 })
}

async function work(process: Process, ground: Ground, raw: Backend, pass: (ms: number) => void) {
  const { random } = ground
  const policy = { last: random.int(1, 3) }
  const some = [
    ...Array.from({ length: 7 }, () => () => write(process, ground)),
    ...Array.from({ length: 5 }, () => () => build(process, ground)),
    ...Array.from({ length: 4 }, () => () => read(process, ground, raw)),
    () => rollback(process, ground),
    () => rollback(process, ground),
    () => process.dataset.prune({ policy }),
    () => load(process, ground, pass),
    () => restore(process, ground),
  ]
  for (let i = 0; i < 8; i++) {
    await (some[random.int(0, some.length - 1)] ?? build)(process, ground).catch(
      (error: unknown) => {
        if (!isCairnError(error) || !EXPECTED.includes(error.code)) throw error
      },
    )
  }
}

async function play(seed: number, counts: Ground['counts']): Promise<void> {
  let clock = START
  const pass = (ms: number): void => void (clock += ms)
  const now = (): number => (clock += 10)
  const ground: Ground = { random: new Random(seed), now, truths: new Map(), counts }
  const inner = openMemory()
  const main = { content: 'external', chunkSize: 64, chainLimit: 200 } as const
  const first = contextOf(inner, now)
  await createDataset(first, 'main', main)
  const genesis = await inner.newest('main', -1)
  if (genesis !== undefined) ground.truths.set(0, await truthOf(first, genesis.bytes))
  const scheduler = schedulerOf(seed)
  const checks: Promise<Check>[] = []
  try {
    const runs: Promise<void>[] = []
    for (let i = 0; i < 2; i++) {
      const backend = scheduler.wrap(honest(inner, ground))
      const context = contextOf(backend, now, i === 0 ? 1 : 1 << 20)
      const pointer = await Pointer.open(context, 'main')
      if (pointer === undefined) throw new Error('no dataset')
      watched(pointer, ground, checks)
      const process = { context, pointer, dataset: new Dataset(context, pointer), cars: [] }
      for (let k = 0; k < 3; k++) runs.push(work(process, ground, inner, pass))
    }
    for (const end of await Promise.allSettled(runs))
      if (end.status === 'rejected') throw end.reason as Error
    for (const check of await Promise.all(checks)) check()
  } finally {
    scheduler.stop()
  }
}

const FROM = Number(process.env['OWN_STATES_SEED'] ?? 1)
const SEEDS = Number(process.env['OWN_STATES_SEEDS'] ?? 8)

test('each state that a process makes of its own commit is the one that the store holds', async () => {
  const counts = { own: 0, read: 0, unknown: 0 }
  const failed: string[] = []
  for (let seed = FROM; seed < FROM + SEEDS; seed++)
    await play(seed, counts).catch((error: unknown) => {
      failed.push(`seed ${seed}: ${error instanceof Error ? (error.stack ?? '') : String(error)}`)
    })
  expect(failed.join('\n').slice(0, 5000)).toBe('')
  expect(counts.own).toBeGreaterThan(SEEDS * 20)
  expect(Math.min(counts.read, counts.unknown)).toBeGreaterThan(SEEDS * 3)
}, 3_600_000)

/** A process on a store of whose calls the next one of a kind waits if it is held. */
async function held(inner: Backend): Promise<{
  readonly pointer: Pointer
  readonly dataset: Dataset
  readonly hold: (name: 'commit' | 'getBlocks') => { met: Promise<void>; release: () => void }
}> {
  const gates = new Map<string, { meet: () => void; open: Promise<void> }>()
  const pass = async (name: string): Promise<void> => {
    const gate = gates.get(name)
    gates.delete(name)
    gate?.meet()
    await gate?.open
  }
  const backend = wrapBackend(inner, {
    commit: async (request, options) => {
      const outcome = await inner.commit(request, options)
      await pass('commit')
      return outcome
    },
    getBlocks: async (cids, options) => {
      await pass('getBlocks')
      return inner.getBlocks(cids, options)
    },
  })
  const context = contextOf(backend, () => START)
  const pointer = await Pointer.open(context, 'main')
  if (pointer === undefined) throw new Error('no dataset')
  const hold = (name: string) => {
    let [meet, release] = [() => {}, () => {}]
    const met = new Promise<void>((resolve) => (meet = resolve))
    const open = new Promise<void>((resolve) => (release = resolve))
    gates.set(name, { meet, open })
    return { met, release }
  }
  return { pointer, dataset: new Dataset(context, pointer), hold }
}

test('a state that is read while an own commit is adopted is not laid over what that commit brought', async () => {
  const inner = openMemory()
  const first = contextOf(inner, () => START)
  await createDataset(first, 'main', { content: 'external' })
  const own = await held(inner)
  const other = await held(inner)
  await own.dataset.append({ pi: 'a', tip: TIPS[0] ?? null })
  const commit = own.hold('commit')
  const appending = own.dataset.append({ pi: 'b', tip: TIPS[0] ?? null })
  await commit.met
  // Its commit is durable; before it is told, another process goes back to the commit before.
  await other.dataset.rollback({ commit: 1 })
  const blocks = own.hold('getBlocks')
  const reading = own.pointer.current()
  await blocks.met
  commit.release()
  await appending
  blocks.release()
  await reading
  const { bytes } = own.pointer.seen.stored
  expect(own.pointer.seen.commit.number).toBe(3)
  expect(await facetsOf(own.pointer.seen)).toEqual((await truthOf(first, bytes)).facets)
})

test('what was there already is answered from one state, also when another one is seen meanwhile', async () => {
  const inner = openMemory()
  const settings = { content: 'external', chunkSize: 64 } as const
  await createDataset(
    contextOf(inner, () => START),
    'main',
    settings,
  )
  const own = await held(inner)
  const other = await held(inner)
  const [one = null, two = null] = TIPS
  // More than one leaf of the tree, which are read when they are needed.
  const many = Array.from({ length: ENTITIES }, (_, i) => ({ pi: `c${i}`, tip: one }))
  await own.dataset.appendBatch([{ pi: 'a', tip: one }, { pi: 'b', tip: one }, ...many])
  await own.dataset.build()
  const blocks = own.hold('getBlocks')
  const appending = own.dataset.appendBatch([
    { pi: 'a', ver: 1, tip: one },
    { pi: 'b', ver: 2, tip: two },
  ])
  await blocks.met
  // The first is looked up; the second comes with a commit of another process, which a reader sees.
  const there = await other.dataset.append({ pi: 'b', ver: 2, tip: two })
  await own.pointer.current()
  blocks.release()
  expect(await appending).toEqual([
    { pi: 'a', ver: 1, position: null, block: null, status: 'already' },
    { ...there, status: 'already' },
  ])
})

test('metadata that a caller changes after a build is worth another build', async () => {
  const inner = openMemory()
  const context = contextOf(inner, () => START)
  await createDataset(context, 'main', { content: 'external' })
  const { dataset } = await held(inner)
  const meta: Record<string, number> = { version: 1 }
  expect((await dataset.build({ meta })).status).toBe('built')
  meta['version'] = 2
  expect((await dataset.build({ meta })).status).toBe('built')
  expect((await dataset.pointer()).header.meta).toEqual({ version: 2 })
})
