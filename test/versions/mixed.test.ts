/**
 * An old reader next to a newer writer on one store: while a dataset is open, commits of a made-up next
 * version appear. From then on this version reads and writes nothing of it, loudly, and whatever was
 * acknowledged before is there when the newer one looks.
 */
import { beforeAll, expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import type { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { Backend } from '../../src/store/backend.ts'
import { inTempDir } from './fixture.ts'
import { EDITS, forged, recorded, recordsOf, replay, type RawStore } from './forge.ts'
import { collect, outcomeOf } from './operations.ts'
import { fillStore, openAt, READ } from './recipe.ts'

const USES: Readonly<Record<string, (dataset: Dataset, cairn: Cairn) => Promise<unknown>>> = {
  get: (dataset) => dataset.get('E000'),
  list: (dataset) => dataset.list(),
  'list at a commit': (dataset) => dataset.list({ at: { commit: 1 } }),
  entries: (dataset) => collect(dataset.entries()),
  history: (dataset) => collect(dataset.history('E000')),
  snapshots: (dataset) => collect(dataset.snapshots()),
  diff: (dataset) => collect(dataset.diff('seq:0', 'first')),
  status: (dataset) => dataset.status(),
  put: (dataset) => dataset.put('E000', { n: 'of the old one' }),
  'several puts at once': (dataset) =>
    Promise.all([1, 2, 3].map((n) => dataset.put(`by the old one ${n}`, { n }))),
  build: (dataset) => dataset.build({ force: true }),
  'bulk load': (dataset) => dataset.bulkLoad([{ pi: 'B', value: 1 }]),
  rollback: (dataset) => dataset.rollback({ snapshot: 'first' }),
  prune: (dataset) => dataset.prune({ policy: { last: 1 } }),
  'prune of another dataset': async (_, cairn) =>
    (await cairn.dataset('outside')).prune({ policy: { last: 1 } }),
  export: (dataset) => dataset.exportCar(() => Promise.reject(new Error('it began to export'))),
  'opening it anew': (_, cairn) => openAtAgain(cairn),
}

const backends = new WeakMap<Cairn, Backend>()

async function openAtAgain(cairn: Cairn): Promise<unknown> {
  const backend = backends.get(cairn)
  if (backend === undefined) throw new Error('no backend')
  return (await openAt(backend, () => READ).dataset('main')).status()
}

let raw: RawStore
beforeAll(async () => {
  raw = await recorded(fillStore)
})

/** Opens `main` of one commit before the newest; then the newer writer commits. */
async function meet(place: string, edit: string, backend: Backend): Promise<void> {
  const target = recordsOf(raw)[place]
  const made = EDITS[edit]
  if (target === undefined || made === undefined) throw new Error('no such record')
  const store = forged(raw, target, made.edit)
  const commits = store.commits.get('main') ?? []
  await replay(store, backend, commits.length - 1)
  const cairn = openAt(backend, () => READ)
  backends.set(cairn, backend)
  const dataset = await cairn.dataset('main')
  expect((await dataset.list({ limit: 1 })).items).toHaveLength(1)
  await replay(store, backend)
  const before = await newest(backend)
  for (const [name, use] of Object.entries(USES)) {
    const outcome = await outcomeOf(use(dataset, cairn))
    expect(outcome, name).toMatchObject({ refused: 'format_unsupported' })
    expect('hint' in outcome ? outcome.hint : '', name).toMatch(/version/)
    expect(await newest(backend), name).toEqual(before)
  }
  const cids = [...store.blocks.keys()].map((key) => Buffer.from(key, 'latin1'))
  expect(await backend.hasBlocks(cids)).not.toContain(false)
}

const newest = (backend: Backend): Promise<unknown> =>
  Promise.all([backend.newest('main', -1), backend.newest('outside', -1)])

const cases = ['new commit', 'new chain block'].flatMap((place) =>
  ['the next version', 'the next version, of another shape'].map((edit) => [place, edit] as const),
)

test.each(cases)('a %s of %s appears on memory', (place, edit) => meet(place, edit, openMemory()))

test.each(cases)('a %s of %s appears on lmdb', (place, edit) =>
  inTempDir(async (dir) => {
    const backend = await openLmdb({ dir, create: true })
    try {
      await meet(place, edit, backend)
    } finally {
      await backend.close()
    }
  }),
)
