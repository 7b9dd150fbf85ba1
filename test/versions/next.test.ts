/**
 * A made-up next version of Cairn: each kind of record with its tag raised, with a field more or less,
 * where it is current, where it is only kept, and in a CAR. Every operation reads exactly what it would
 * have read, or refuses with the right code and changes nothing.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { Cairn } from '../../src/cairn.ts'
import { CairnError } from '../../src/errors.ts'
import { printCid } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { verifyDataset } from '../../src/verify/verify.ts'
import { carInMemory } from '../helpers/memory-car.ts'
import { inTempDir } from './fixture.ts'
import { EDITS, forged, recorded, recordsOf, replay, type RawStore } from './forge.ts'
import { collect, entityLines, outcomeOf, type Outcome } from './operations.ts'
import { fillStore, openAt, READ } from './recipe.ts'

/** What damage may be called; a newer version has one name. */
const DAMAGE = ['invalid_block', 'pointer_damaged', 'damage_found']
const NEWER = ['format_unsupported']

type Use = (dataset: Dataset, cairn: Cairn, backend: Backend) => Promise<unknown>

const verify: Use = (_, __, backend) =>
  inTempDir(async (ledgerDir) => {
    const options = { mode: { kind: 'full' as const }, ledgerDir, now: () => READ }
    const { verdict, problems } = await verifyDataset(backend, 'main', options)
    if (verdict === 'sound') return verdict
    const why = problems[0]?.message ?? verdict
    throw new CairnError('damage_found', why, { hint: 'Repair it.' })
  })

const READS: Readonly<Record<string, Use>> = {
  get: async (dataset) => (await dataset.get('E077'))?.ver,
  list: async (dataset) => (await dataset.list({ limit: 500 })).items.map(({ pi }) => pi),
  'list from an offset': async (dataset) =>
    (await dataset.list({ offset: 70, limit: 3 })).items.map(({ pi }) => pi),
  'list at a snapshot': async (dataset) =>
    (await dataset.list({ at: { snapshot: 'first' }, limit: 500 })).items.map(({ pi }) => pi),
  'list at a commit': async (dataset) =>
    (await dataset.list({ at: { commit: 2 }, limit: 500 })).items.map(({ pi }) => pi),
  entries: entityLines,
  history: async (dataset) =>
    (await collect(dataset.history('E005'))).map(({ entry }) => entry.ver),
  snapshots: async (dataset) => (await collect(dataset.snapshots())).map(({ seq }) => seq),
  chunks: async (dataset) => (await collect(dataset.chunks())).length,
  diff: async (dataset) => (await collect(dataset.diff('first', 'second'))).map(({ pi }) => pi),
  status: async (dataset) => (await dataset.status()).pointer.total_count,
  verify,
  'export and restore': async (dataset) => {
    const other = openAt(openMemory(), () => READ)
    await other.restoreCar([(await carInMemory(dataset)).car])
    return entityLines(await other.dataset('main'))
  },
}

const WRITES: Readonly<Record<string, Use>> = {
  'append an old one': async (dataset) => (await dataset.put('E077', { n: 'more' })).ver,
  'append a new one': async (dataset) => (await dataset.put('a new one', { n: 1 })).ver,
  delete: async (dataset) => (await dataset.append({ pi: 'E000', tip: null })).ver,
  build: async (dataset) => (await dataset.build({ force: true })).live,
  'bulk load': async (dataset) => (await dataset.bulkLoad([{ pi: 'B', value: 1 }])).appended,
  'rollback to a snapshot': async (dataset) =>
    (await dataset.rollback({ snapshot: 'first' }, { keepChain: true })).totalCount,
  'rollback to a commit': async (dataset) => (await dataset.rollback({ commit: 2 })).totalCount,
  'prune all but one': async (dataset) => (await dataset.prune({ policy: { last: 1 } })).kept,
  'prune nothing': async (dataset) => (await dataset.prune({ policy: { last: 9 } })).kept,
  'prune another dataset': async (_, cairn) =>
    (await (await cairn.dataset('outside')).prune({ policy: { last: 1 } })).kept,
  'restore over it': async (_, cairn) => {
    const { status, totalCount } = await cairn.restoreCar([sound], { replace: true })
    return { status, totalCount }
  },
  init: async (_, cairn) => (await cairn.init('main')).created,
}

const USES: Readonly<Record<string, Use>> = { ...READS, ...WRITES }

let raw: RawStore
let sound: Awaited<ReturnType<typeof carInMemory>>['car']
const controls = new Map<string, Outcome>()

beforeAll(async () => {
  raw = await recorded(fillStore)
  const backend = openMemory()
  await replay(raw, backend)
  const main = await openAt(backend, () => READ).dataset('main')
  sound = (await carInMemory(main, { snapshot: 'first' })).car
  for (const name of Object.keys(USES)) {
    const { outcome } = await tried(raw, name, 'none', openMemory())
    expect(outcome, name).toHaveProperty('read')
    controls.set(name, outcome)
  }
})

/** Fields of a commit that may be others after a refusal: of what goes step by step, and says so. */
const STEPS: Readonly<Record<string, readonly string[]>> = {
  // Its guard is set and taken away by commits.
  'bulk load': ['exclusive'],
  // It forgets before it looks deeper than at what is current, and frees nothing if that fails.
  'prune all but one': ['kept', 'kept_count', 'oldest', 'floor'],
  'prune another dataset': ['kept', 'kept_count', 'oldest', 'floor'],
}
const OF_ANY_COMMIT = ['number', 'prev', 'ts', 'last_updated', 'writer', 'reason', 'check']

/** What stands in a store: what its commits say, and how many of its blocks are there. */
async function standing(
  backend: Backend,
  store: RawStore,
  steps: readonly string[] | undefined,
): Promise<unknown> {
  const aside = new Set(steps === undefined ? [] : [...steps, ...OF_ANY_COMMIT])
  const commits = [...store.commits.keys()].map(async (dataset) => {
    const newest = (await backend.newest(dataset, -1))?.bytes ?? new Uint8Array()
    const row = Object.entries(JSON.parse(Buffer.from(newest).toString()) as object)
    return [dataset, await backend.oldest(dataset), row.filter(([field]) => !aside.has(field))]
  })
  const cids = [...store.blocks.keys()].map((key) => Buffer.from(key, 'latin1'))
  return [await Promise.all(commits), (await backend.hasBlocks(cids)).filter(Boolean).length]
}

async function tried(
  store: RawStore,
  name: string,
  place: string,
  backend: Backend,
): Promise<{ outcome: Outcome; before: unknown; after: unknown }> {
  await replay(store, backend)
  const use = USES[name]
  if (use === undefined) throw new Error(`no use ${name}`)
  // What is read at once stops them before their first step.
  const steps = NEEDED_BY[place] === ALL ? undefined : STEPS[name]
  const before = await standing(backend, store, steps)
  const outcome = await outcomeOf(used(use, backend))
  return { outcome, before, after: await standing(backend, store, steps) }
}

async function used(use: Use, backend: Backend): Promise<unknown> {
  const cairn = openAt(backend, () => READ)
  return await use(await opened(cairn), cairn, backend)
}

/** Verification, a prune of another dataset and a restore need not be able to open `main`. */
async function opened(cairn: Cairn): Promise<Dataset> {
  try {
    return await cairn.dataset('main')
  } catch (error) {
    const refuse = (): never => {
      throw error
    }
    // It is no promise, whoever awaits it.
    return new Proxy({} as Dataset, { get: (_, name) => (name === 'then' ? undefined : refuse) })
  }
}

const ALL = Object.keys(USES)
const SOME = ['history', 'append a new one', 'build', 'verify', 'prune nothing']
/** What is made up otherwise is decoded by the same code: some uses are enough there. */
const IN_FULL = ['the next version']
const OF_OLD = ['list at a snapshot', 'diff', 'verify', 'rollback to a snapshot', 'prune nothing']
const OF_LEAVES = ['list', 'entries', 'diff', 'verify', 'export and restore', 'prune nothing']

/** What cannot do without the record. The rest may go on without it, but then as if it were sound. */
const NEEDED_BY: Readonly<Record<string, readonly string[]>> = {
  'new commit': ALL,
  'new header': ALL,
  'new root': ALL,
  'new chain block': ALL,
  'new leaf': [...OF_LEAVES, 'delete', 'prune another dataset'],
  'new kept page': [
    'snapshots',
    'build',
    'bulk load',
    'list at a snapshot',
    'verify',
    'prune nothing',
  ],
  'old commit': ['list at a commit', 'rollback to a commit'],
  'old header': OF_OLD,
  'old root': OF_OLD,
  'old leaf': ['list at a snapshot', 'diff', 'verify', 'prune nothing', 'prune another dataset'],
  'old chain block': ['history', 'verify', 'prune nothing', 'prune another dataset'],
}

interface Failure {
  readonly use: string
  readonly why: string
}

/** Everything that went otherwise than it should with one made-up store. */
async function failuresOf(
  place: string,
  { newer, edit }: (typeof EDITS)[string],
  uses: readonly string[],
  open: <T>(work: (backend: Backend) => Promise<T>) => Promise<T>,
): Promise<Failure[]> {
  const target = recordsOf(raw)[place]
  if (target === undefined) throw new Error(`no record ${place}`)
  const store = forged(raw, target, edit)
  const failures: Failure[] = []
  for (const name of uses) {
    const { outcome, before, after } = await open((backend) => tried(store, name, place, backend))
    const fail = (why: string): void => void failures.push({ use: name, why })
    if ('read' in outcome) {
      if (NEEDED_BY[place]?.includes(name) === true) fail('it went on without what it needs')
      expect(outcome, `${name} with ${place}`).toEqual(controls.get(name))
      continue
    }
    if (!(newer ? NEWER : DAMAGE).includes(outcome.refused))
      fail(`${outcome.refused}: ${outcome.message}`)
    if (newer && !/version/.test(outcome.hint)) fail(`the hint: ${outcome.hint}`)
    if (outcome.hint === '') fail('there is no hint')
    if (JSON.stringify(after) !== JSON.stringify(before)) fail('it has changed the store')
  }
  return failures
}

const places = Object.keys(NEEDED_BY)

describe.each(Object.entries(EDITS))('%s', (name, edit) => {
  const uses = IN_FULL.includes(name) ? ALL : SOME
  test.each(places)('of the %s', async (place) => {
    expect(await failuresOf(place, edit, uses, (work) => work(openMemory()))).toEqual([])
  })
})

test('on lmdb, too', async () => {
  const edit = EDITS['the next version']
  if (edit === undefined) throw new Error('no such edit')
  const uses = ['list', 'append a new one', 'build', 'prune nothing']
  for (const place of places) {
    const failures = await failuresOf(place, edit, uses, (work) =>
      inTempDir(async (dir) => {
        const backend = await openLmdb({ dir, create: true })
        try {
          return await work(backend)
        } finally {
          await backend.close()
        }
      }),
    )
    expect(failures, place).toEqual([])
  }
})

test('the records that are made up are all different ones', () => {
  const texts = Object.values(recordsOf(raw)).map((target) =>
    'block' in target ? printCid(target.block) : `commit ${target.commit}`,
  )
  expect(new Set(texts).size).toBe(texts.length)
  expect(places.toSorted()).toEqual(Object.keys(recordsOf(raw)).toSorted())
})
