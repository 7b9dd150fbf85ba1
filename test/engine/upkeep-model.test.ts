/**
 * Rollback, restore and prune against a model made of plain maps: whatever a script of upkeep does to
 * datasets that share a store, what is kept reads as it was made, content and all, and what was
 * forgotten says so.
 */
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import type { OpenCar } from '../../src/car/state.ts'
import { encodeJson } from '../../src/content/encode.ts'
import { refuseMissing } from '../../src/content/complete.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { isCairnError } from '../../src/errors.ts'
import { printCid, type CidBytes } from '../../src/model/cid.ts'
import type { Commit } from '../../src/model/commit.ts'
import type { Backend } from '../../src/store/backend.ts'
import { collect, expectRefused, newestCommit, START, tempDir } from '../helpers/engine.ts'
import { carInMemory } from '../helpers/memory-car.ts'
import {
  DatasetModel,
  entriesOf,
  isAlive,
  logOf,
  notIn,
  seenAt,
  seenOf,
  type Current,
  type Logged,
  type Snap,
} from '../helpers/upkeep-model.ts'

const DAY = 86_400_000
const NAMES = ['main', 'another', 'copy']

interface Slot {
  readonly car: OpenCar
  readonly state: Current
  readonly identity: string
  readonly origins: readonly string[]
  readonly since: string | null
}

/** What the store ought to hold. */
interface Model {
  readonly datasets: Map<string, DatasetModel>
  readonly cars: Slot[]
  now: number
}

interface Real {
  readonly backend: Backend
  readonly model: Model
  cairn: Cairn
}

type Step = fc.AsyncCommand<Model, Real>

/** A step: its words in the script, and what it does. The same model is on both sides. */
function step(words: string, does: (model: Model, real: Real) => Promise<void>): Step {
  return {
    check: () => true,
    run: async (model, real) => {
      model.now += 1000
      await does(model, real)
      await checkNow(model, real)
    },
    toString: () => words,
  }
}

const openCairn = (backend: Backend, model: Model): Cairn =>
  new Cairn(backend, { now: () => model.now, cacheBytes: 1 << 16 })

const pick = <T>(items: readonly T[], n: number): T | undefined => items[n % items.length]

function datasetOf(model: Model, n: number): DatasetModel {
  const found = pick([...model.datasets.values()], n)
  if (found === undefined) throw new Error('no dataset')
  return found
}

/** Takes up the commit that was just made, and holds its numbers to the promises. */
async function made(
  { backend }: Real,
  of: DatasetModel,
  state: Current,
  kept: readonly Snap[],
): Promise<Commit> {
  const commit = await newestCommit(backend, of.name)
  const before = of.made.at(-1)
  if (before !== undefined) {
    expect(commit.number).toBe(before.number + 1)
    expect(commit.ts).toBeGreaterThanOrEqual(before.ts)
  }
  const { number, ts, identity } = commit
  of.made.push({ number, ts, identity, state, kept })
  expect(commit.recentCount).toBe(state.chain.length)
  expect(commit.keptCount).toBe(kept.length)
  return commit
}

function give(of: DatasetModel, { identity, next }: Commit, entries: readonly Logged[]): void {
  const given = of.positions.get(identity) ?? new Set<number>()
  of.positions.set(identity, given)
  for (const { position } of entries) {
    expect(given.has(position), `position ${position} again`).toBe(false)
    expect(position).toBeLessThan(next)
    given.add(position)
  }
}

/** What a script may store: content that is shared, nested, inline, and of the engine's own. */
async function itemsOf(
  real: Real,
  of: DatasetModel,
  ids: readonly number[],
  kind: number,
): Promise<{ pi: string; tip?: CidBytes; value?: unknown }[]> {
  const commit = await newestCommit(real.backend, of.name)
  const foreign = await newestCommit(real.backend, pickName(real.model, kind))
  const tips = [...entriesOf(of.newest.state).values()].flatMap(({ tip }) => tip ?? [])
  return ids.map((n) => {
    const pi = `e${n}`
    const own = [commit.snapshot, commit.kept, commit.head ?? commit.snapshot]
    const others = [foreign.snapshot, foreign.kept, foreign.head ?? foreign.kept]
    const value = { shared: (n + kind) % 4 }
    const tip = pick(tips, n + kind)
    const kinds: { tip?: CidBytes; value?: unknown }[] = [
      { value: { own: [n, kind, of.made.length] } },
      { value },
      { value: encodeJson(value).bytes },
      { value: tip === undefined ? value : { link: CID.parse(tip), n: kind % 3 } },
      { tip: pick(own, n) ?? commit.kept },
      { tip: pick(others, n) ?? commit.kept },
      { value: { links: [...own, ...others].map((cid) => CID.decode(cid)) } },
      { tip: new Uint8Array([1, 0x55, 0, 2, n, kind % 7]) },
    ]
    return { pi, ...pick(kinds, kind) }
  })
}

function pickName(model: Model, n: number): string {
  return pick([...model.datasets.keys()], n) ?? 'main'
}

async function append(
  model: Model,
  real: Real,
  of: DatasetModel,
  items: readonly { pi: string; tip?: CidBytes | null; value?: unknown; exp?: number }[],
): Promise<void> {
  const dataset = await real.cairn.dataset(of.name)
  const newest = entriesOf(of.newest.state)
  const at = Math.max(model.now, of.newest.ts)
  const answers = await dataset.appendBatch(items)
  const entries: Logged[] = []
  const { state, kept } = of.newest
  for (const [i, { pi, ver, position }] of answers.entries()) {
    const before = newest.get(pi)
    const counts = before !== undefined && isAlive(before.exp, at)
    expect(ver, pi).toBe(counts ? before.ver + 1 : 1)
    const logged = (await dataset.history(pi).next()).value
    if (logged === undefined) throw new Error('no history of what was appended')
    const { tip, exp } = logged.entry
    expect(logged.position).toBe(position)
    const given = items[i]
    if (given?.tip !== undefined) expect(tip).toEqual(given.tip)
    const text = tip === null ? null : printCid(tip)
    entries.push({ pi, ver, tip: text, exp, position: logged.position })
  }
  const commit = await made(
    real,
    of,
    { snap: state.snap, chain: [...state.chain, ...entries] },
    kept,
  )
  give(of, commit, entries)
}

async function build(real: Real, of: DatasetModel, tags: string[]): Promise<void> {
  const dataset = await real.cairn.dataset(of.name)
  const { status, snapshot, seq, ts } = await dataset.build({ tags })
  const { state, kept } = of.newest
  if (status === 'already_built') {
    expect(state.chain).toEqual([])
    return
  }
  const living = [...entriesOf(state)].filter(([, { exp }]) => isAlive(exp, ts))
  const log = logOf(state)
  const snap = { cid: printCid(snapshot), seq, ts, tags, log, entries: new Map(living) }
  for (const one of of.made) expect(one.state.snap.cid).not.toBe(snap.cid)
  await made(real, of, { snap, chain: [] }, [...kept, snap])
}

async function rollback(
  real: Real,
  of: DatasetModel,
  target: { readonly snapshot: Snap } | { readonly number: number },
  keepChain: boolean,
): Promise<void> {
  const dataset = await real.cairn.dataset(of.name)
  const now = of.newest
  const to =
    'snapshot' in target
      ? { ...now, state: { snap: target.snapshot, chain: [] } }
      : of.keptCommits.find(({ number }) => number === target.number)
  if (to === undefined) throw new Error('no such commit')
  const before = await newestCommit(real.backend, of.name)
  const kept = of.listOf(to.identity)
  const wanted =
    'snapshot' in target ? { snapshot: target.snapshot.cid } : { commit: target.number }
  const report = await dataset.rollback(wanted, { keepChain })
  expect(report.undo).toBe(now.number)
  const later = keepChain ? notIn(now.state.chain, to.state) : []
  const commit = await newestCommit(real.backend, of.name)
  expect(commit.identity).toBe(to.identity)
  expect(commit.generation.number).toBe(before.generation.number + 1)
  const first = commit.next - later.length
  const again = later.map((one, i) => ({ ...one, position: first + i }))
  await made(real, of, { snap: to.state.snap, chain: [...to.state.chain, ...again] }, kept)
  give(of, commit, again)
}

async function prune(real: Real, of: DatasetModel, last: number, tags: string[]): Promise<void> {
  const dataset = await real.cairn.dataset(of.name)
  const { kept, oldest } = of.pruned(last, tags)
  const { state, number } = of.newest
  const report = await dataset.prune({ policy: { last, tags } })
  expect(report.kept).toBe(kept.length)
  of.whole = false
  const commit = await newestCommit(real.backend, of.name)
  expect(commit.oldest).toBe(oldest)
  of.oldest = oldest
  const identities = new Set(of.keptCommits.map(({ identity }) => identity))
  for (const one of of.positions.keys()) if (!identities.has(one)) of.positions.delete(one)
  // The list is made anew in the order of numbers.
  if (commit.number > number)
    await made(
      real,
      of,
      state,
      kept.toSorted((a, b) => a.seq - b.seq),
    )
}

async function save(
  model: Model,
  real: Real,
  of: DatasetModel,
  { snapshot, since }: { snapshot?: Snap | undefined; since?: Snap | undefined },
): Promise<void> {
  const dataset = await real.cairn.dataset(of.name)
  const { car } = await carInMemory(dataset, { snapshot: snapshot?.cid, since: since?.cid })
  const { identity, origins } = await newestCommit(real.backend, of.name)
  const state = snapshot === undefined ? of.newest.state : { snap: snapshot, chain: [] }
  model.cars.push({ car, state, identity, origins, since: since?.cid ?? null })
}

async function restore(
  model: Model,
  real: Real,
  name: string,
  slot: Slot,
  replace: boolean,
): Promise<void> {
  const known = model.datasets.get(name)
  const going = real.cairn.restoreCar([slot.car], { as: name, replace })
  const bases = [...model.datasets.values()].flatMap(({ newest }) => newest.kept)
  const before = known && (await newestCommit(real.backend, name))
  const same =
    known !== undefined &&
    [before?.identity, ...(before?.origins ?? [])].includes(slot.identity) &&
    known.newest.state.snap.cid === slot.state.snap.cid &&
    known.newest.state.chain.length === slot.state.chain.length &&
    known.newest.state.chain.every((one, i) => one === slot.state.chain[i])
  if (same) {
    expect((await going).status).toBe('already_restored')
    return
  }
  if (known !== undefined && !replace && (before?.next ?? 0) > 0)
    return void (await expectRefused(going, 'conflict'))
  if (slot.since !== null && !bases.some(({ cid }) => cid === slot.since)) {
    // Where content of the delta links to its base, that base may be whole though no list keeps it.
    const isLacking = (error: unknown): boolean =>
      isCairnError(error, 'base_missing') ||
      isCairnError(error, 'block_missing') ||
      isCairnError(error, 'content_missing')
    if (await going.then(() => false, isLacking)) return
  }
  const { status } = await going
  expect(status).toBe('restored')
  const of = known ?? new DatasetModel(name)
  model.datasets.set(name, of)
  const { identity } = await newestCommit(real.backend, name)
  const list = known === undefined ? [] : of.listOf(identity)
  const { snap } = slot.state
  const kept = list.some(({ cid }) => cid === snap.cid) ? list : [...list, snap]
  const commit = await made(real, of, slot.state, kept)
  of.whole = false
  for (const { position } of slot.state.chain) {
    const given = of.positions.get(commit.identity) ?? new Set<number>()
    of.positions.set(commit.identity, given.add(position))
  }
}

/** After every step: the newest state, on the process that made it. */
async function checkNow(model: Model, { cairn, backend }: Real): Promise<void> {
  for (const of of model.datasets.values()) {
    const dataset = await cairn.dataset(of.name)
    const at = Math.max(model.now, of.newest.ts)
    const expected = seenAt(entriesOf(of.newest.state), at)
    const { items } = await dataset.list({ limit: 1000 })
    expect(seenOf(items, printCid), `${of.name} now`).toEqual(expected)
    expect((await newestCommit(backend, of.name)).number).toBe(of.newest.number)
  }
}

async function contentIsWhole(backend: Backend, dataset: Dataset, tips: readonly CidBytes[]) {
  await refuseMissing(backend, tips, undefined)
  for (const tip of tips.slice(0, 3)) await dataset.content(tip)
}

/** At the end: everything that was promised to be kept, and what was not. */
async function checkAll(model: Model, { backend }: Real): Promise<void> {
  const cairn = openCairn(backend, model)
  for (const of of model.datasets.values()) {
    const dataset = await cairn.dataset(of.name)
    await checkPast(of, backend, dataset)
    await checkHistory(of, backend, dataset)
  }
}

async function checkPast(of: DatasetModel, backend: Backend, dataset: Dataset): Promise<void> {
  const { kept } = of.newest
  const listed = await collect(dataset.snapshots())
  expect(listed.map(({ cid }) => printCid(cid))).toEqual(kept.map(({ cid }) => cid).toReversed())
  for (const snap of kept) {
    const past = await collect(dataset.entries({ at: { snapshot: snap.cid } }))
    expect(seenOf(past, printCid), `snapshot ${snap.seq}`).toEqual(seenAt(snap.entries, snap.ts))
    await contentIsWhole(
      backend,
      dataset,
      past.flatMap(({ tip }) => tip ?? []),
    )
  }
  const stays = new Set(kept.map(({ cid }) => cid))
  for (const { number, ts, state } of of.made) {
    const reading = collect(dataset.entries({ at: { commit: number } }))
    if (number < of.oldest) {
      await expectRefused(reading, 'not_found')
    } else {
      const past = await reading
      expect(seenOf(past, printCid), `commit ${number}`).toEqual(seenAt(entriesOf(state), ts))
      await contentIsWhole(
        backend,
        dataset,
        past.flatMap(({ tip }) => tip ?? []),
      )
    }
    if (!stays.has(state.snap.cid))
      await expectRefused(dataset.list({ at: { snapshot: state.snap.cid } }), 'not_found')
  }
}

async function checkHistory(of: DatasetModel, backend: Backend, dataset: Dataset): Promise<void> {
  const log = logOf(of.newest.state)
  const { floor } = await newestCommit(backend, of.name)
  const sure = of.whole ? 0 : Math.max(floor, of.newest.state.chain[0]?.position ?? floor)
  for (const pi of new Set(log.map((one) => one.pi))) {
    const lines = (await collect(dataset.history(pi))).map(
      ({ entry, position }) => `${position}: ${entry.ver}`,
    )
    const all = log.filter((one) => one.pi === pi).toReversed()
    expect(lines, `history of ${pi}`).toEqual(
      all.slice(0, lines.length).map(({ position, ver }) => `${position}: ${ver}`),
    )
    expect(lines.length).toBeGreaterThanOrEqual(all.filter((o) => o.position >= sure).length)
  }
}

/** Last of all: what is left when only the newest is kept is what a new store would hold. */
async function checkSize(model: Model, real: Real): Promise<void> {
  const fresh = openMemory()
  const copy = openCairn(fresh, model)
  for (const of of model.datasets.values()) {
    // The snapshot that is current and the newest one are the same then.
    await append(model, real, of, [{ pi: 'last', value: 'of all' }])
    await build(real, of, [])
  }
  for (const of of model.datasets.values()) await prune(real, of, 1, [])
  for (const of of model.datasets.values()) await prune(real, of, 1, [])
  await checkAll(model, real)
  for (const of of model.datasets.values()) {
    const { car } = await carInMemory(await real.cairn.dataset(of.name))
    await copy.restoreCar([car], { as: of.name })
  }
  const bytesOf = async (backend: Backend) => (await backend.status()).sizeBytes ?? 0
  const [left, least] = [await bytesOf(real.backend), await bytesOf(fresh)]
  if (real.backend.kind === 'memory') expect(left).toBeLessThan(least * 1.1)
}

const nth = fc.nat(1000)
const ids = fc.uniqueArray(fc.nat(60), { minLength: 1, maxLength: 12 })
const someTags = fc.constantFrom<string[]>([], [], ['x'], ['y'])

const steps = [
  fc.tuple(nth, ids, fc.nat(7)).map(([d, all, kind]) =>
    step(`put(${d}, ${all.join(' ')}, kind ${kind})`, async (model, real) => {
      const of = datasetOf(model, d)
      await append(model, real, of, await itemsOf(real, of, all, kind))
    }),
  ),
  fc.tuple(nth, ids).map(([d, all]) =>
    step(`delete(${d}, ${all.join(' ')})`, (model, real) =>
      append(
        model,
        real,
        datasetOf(model, d),
        all.map((n) => ({ pi: `e${n}`, tip: null })),
      ),
    ),
  ),
  fc.tuple(nth, ids, fc.integer({ min: 1, max: 4 })).map(([d, all, days]) =>
    step(`expiring(${d}, ${all.join(' ')}, ${days} days)`, (model, real) => {
      const exp = model.now + days * DAY
      const items = all.map((n) => ({ pi: `e${n}`, value: { soon: n % 3 }, exp }))
      return append(model, real, datasetOf(model, d), items)
    }),
  ),
  fc.integer({ min: 1, max: 6 }).map((days) =>
    step(`wait(${days} days)`, async (model) => {
      model.now += days * DAY
    }),
  ),
  ...[0, 1].map(() =>
    fc
      .tuple(nth, someTags)
      .map(([d, tags]) =>
        step(`build(${d}, [${tags.join(' ')}])`, (model, real) =>
          build(real, datasetOf(model, d), tags),
        ),
      ),
  ),
  fc.tuple(nth, nth, fc.boolean()).map(([d, n, keepChain]) =>
    step(`rollback(${d}, snapshot ${n}, keepChain ${keepChain})`, async (model, real) => {
      const of = datasetOf(model, d)
      const snapshot = pick(of.newest.kept, n)
      if (snapshot !== undefined) await rollback(real, of, { snapshot }, keepChain)
    }),
  ),
  fc.tuple(nth, nth, fc.boolean()).map(([d, n, keepChain]) =>
    step(`rollback(${d}, commit ${n}, keepChain ${keepChain})`, async (model, real) => {
      const of = datasetOf(model, d)
      const to = pick(of.keptCommits, n)
      if (to !== undefined) await rollback(real, of, to, keepChain)
    }),
  ),
  nth.map((d) =>
    step(`undo(${d})`, async (model, real) => {
      const of = datasetOf(model, d)
      const number = of.newest.number - 1
      if (number >= of.oldest) await rollback(real, of, { number }, false)
    }),
  ),
  ...[0, 1].map(() =>
    fc
      .tuple(nth, fc.integer({ min: 1, max: 4 }), someTags)
      .map(([d, last, tags]) =>
        step(`prune(${d}, last ${last}, [${tags.join(' ')}])`, (model, real) =>
          prune(real, datasetOf(model, d), last, tags),
        ),
      ),
  ),
  fc.tuple(nth, fc.option(nth)).map(([d, n]) =>
    step(`export(${d}, ${n === null ? 'now' : `snapshot ${n}`})`, async (model, real) => {
      const of = datasetOf(model, d)
      await save(model, real, of, { snapshot: n === null ? undefined : pick(of.newest.kept, n) })
    }),
  ),
  fc.tuple(nth, nth, fc.option(nth)).map(([d, since, n]) =>
    step(`delta(${d}, since ${since}, ${n === null ? 'now' : `snapshot ${n}`})`, (model, real) => {
      const of = datasetOf(model, d)
      const snapshot = n === null ? undefined : pick(of.newest.kept, n)
      return save(model, real, of, { since: pick(of.newest.kept, since), snapshot })
    }),
  ),
  ...[0, 1].map(() =>
    fc.tuple(nth, nth, fc.integer({ min: 0, max: 4 })).map(([d, n, how]) =>
      step(
        `restore(${pick(NAMES, d)}, car ${n}${how === 0 ? '' : ', replace'})`,
        async (model, real) => {
          const slot = pick(model.cars, n)
          if (slot !== undefined)
            await restore(model, real, pick(NAMES, d) ?? 'main', slot, how > 0)
        },
      ),
    ),
  ),
  fc.constant(
    step('reopen', async (model, real) => {
      real.cairn = openCairn(real.backend, model)
    }),
  ),
  fc.constant(step('look', checkAll)),
]

async function playOn(backend: Backend, script: Iterable<Step>): Promise<void> {
  const model: Model = { datasets: new Map(), cars: [], now: START }
  const real: Real = { backend, model, cairn: openCairn(backend, model) }
  for (const name of ['main', 'another']) {
    await real.cairn.init(name, { chunkSize: 64, deletedMs: 5 * DAY })
    const commit = await newestCommit(backend, name)
    const of = new DatasetModel(name)
    const snap: Snap = {
      cid: printCid(commit.snapshot),
      seq: 0,
      ts: commit.snapshotTs,
      tags: [],
      log: [],
      entries: new Map(),
    }
    await made(real, of, { snap, chain: [] }, [snap])
    model.datasets.set(name, of)
  }
  await fc.asyncModelRun(() => ({ model, real }), script)
  await checkAll(model, real)
  await checkSize(model, real)
}

const RUNS = Number(process.env['UPKEEP_RUNS'] ?? 40)
const LIMIT = Number(process.env['UPKEEP_MS'] ?? 60_000)
const MOST = Number(process.env['UPKEEP_STEPS'] ?? 40)
const script = (): fc.Arbitrary<Iterable<Step>> =>
  fc.commands(steps, { maxCommands: MOST, size: 'max' })

test('on memory, whatever is done, what is kept is whole and what is not is gone', async () => {
  await fc.assert(
    fc.asyncProperty(script(), (one) => playOn(openMemory(), one)),
    {
      numRuns: RUNS,
      includeErrorInReport: true,
      interruptAfterTimeLimit: LIMIT,
      markInterruptAsFailure: false,
    },
  )
}, 3_600_000)

test('on lmdb, too', async () => {
  await fc.assert(
    fc.asyncProperty(script(), async (one) => {
      const backend = await openLmdb({ dir: await tempDir(), create: true })
      try {
        await playOn(backend, one)
      } finally {
        await backend.close()
      }
    }),
    {
      numRuns: Math.ceil(RUNS / 8),
      includeErrorInReport: true,
      interruptAfterTimeLimit: LIMIT,
      markInterruptAsFailure: false,
    },
  )
}, 3_600_000)
