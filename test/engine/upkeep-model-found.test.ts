/** What a hostile look at rollback, restore and prune has found, one story each. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { printCid } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { carPath, exported, writeCar } from '../helpers/cars.ts'
import { collect, newestCommit } from '../helpers/engine.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'

interface Kit {
  readonly backend: Backend
  readonly cairn: Cairn
  readonly dataset: Dataset
}

async function kit(backend: Backend = openMemory()): Promise<Kit> {
  let now = Date.UTC(2026, 0, 1)
  const cairn = new Cairn(backend, { now: () => (now += 1000) })
  const { dataset } = await cairn.init('main', { chunkSize: 64 })
  return { backend, cairn, dataset }
}

/** Every entity with its content, which must be readable. */
async function stateOf(dataset: Dataset, at?: { commit?: number; snapshot?: string }) {
  const found = []
  for (const entry of await collect(dataset.entries({ at, deleted: true })))
    found.push([entry.pi, entry.ver, entry.tip === null ? null : await dataset.content(entry.tip)])
  return found
}

const versions = async (dataset: Dataset, pi: string): Promise<number[]> =>
  (await collect(dataset.history(pi))).map(({ entry }) => entry.ver)

test('after a rollback two prunes, a build and the history of an entity go well', async () => {
  const { dataset } = await kit()
  await dataset.put('a', 1)
  await dataset.build()
  await dataset.put('a', 2)
  await dataset.rollback({ snapshot: 'latest' })
  await dataset.put('b', 1)
  await dataset.prune({ policy: { last: 1 } })
  await dataset.prune({ policy: { last: 1 } })
  await dataset.build()
  await dataset.prune({ policy: { last: 2 } })
  expect(await versions(dataset, 'b')).toEqual([1])
  expect((await stateOf(dataset)).length).toBe(2)
})

test('what is appended after a rollback and a prune leads back to the base', async () => {
  const { dataset } = await kit()
  await dataset.append({ pi: 'a', tip: null })
  await dataset.build()
  await dataset.put('a', 1)
  await dataset.rollback({ snapshot: 'latest' })
  await dataset.prune({ policy: { last: 1 } })
  await dataset.put('b', 1)
  await dataset.build()
  await dataset.prune({ policy: { last: 3 } })
  expect(await versions(dataset, 'b')).toEqual([1])
})

test('a rollback to a snapshot whose log was pruned begins a history of its own', async () => {
  const { dataset } = await kit()
  await dataset.put('a', 1)
  await dataset.build({ tags: ['old'] })
  for (let i = 0; i < 5; i++) {
    await dataset.put('a', i + 10)
    await dataset.build()
  }
  await dataset.prune({ policy: { last: 1, tags: ['old'] } })
  await dataset.put('lost', 1)
  await dataset.rollback({ snapshot: 'old' })
  await dataset.put('b', 1)
  await dataset.prune({ policy: { last: 1, tags: ['old'] } })
  await dataset.build()
  expect(await versions(dataset, 'b')).toEqual([1])
  expect(await versions(dataset, 'a')).toEqual([])
  await dataset.prune({ policy: { last: 1 } })
  expect((await stateOf(dataset)).length).toBe(2)
})

test('the state that a restore replaced comes back after a prune, chain and all', async () => {
  const { cairn, dataset } = await kit()
  await dataset.put('a', 1)
  await dataset.build()
  await dataset.put('b', 1)
  await using backup = await exported(dataset)
  const beside = (await newestCommit0(dataset)).number
  await dataset.rollback({ commit: 1 })
  const before = await stateOf(dataset)
  const { undo } = await cairn.restoreCar([backup.car], { replace: true })
  await dataset.prune({ policy: { last: 10 } })
  expect(beside).toBe(3)
  await dataset.rollback({ commit: undo ?? -1 })
  expect(await stateOf(dataset)).toEqual(before)
  await dataset.put('c', 1)
  await dataset.prune({ policy: { last: 10 } })
  expect(await versions(dataset, 'a')).toEqual([1])
})

async function newestCommit0(dataset: Dataset): Promise<{ number: number }> {
  return { number: (await dataset.status()).pointer.number }
}

test('an older state of its own can be restored after a prune, and pruned again', async () => {
  const { cairn, dataset } = await kit()
  await dataset.put('a', 1)
  await dataset.build()
  await dataset.put('a', 2)
  await using backup = await exported(dataset)
  for (let i = 0; i < 3; i++) {
    await dataset.put('a', i + 10)
    await dataset.build()
  }
  await dataset.prune({ policy: { last: 1 } })
  await cairn.restoreCar([backup.car], { replace: true })
  await dataset.prune({ policy: { last: 3 } })
  await dataset.put('a', 3)
  await dataset.build()
  await dataset.prune({ policy: { last: 3 } })
  expect(await versions(dataset, 'a')).toEqual([3, 2])
})

test('a snapshot of its own, restored, takes appends and prunes', async () => {
  const { cairn, dataset } = await kit()
  await dataset.put('a', 1)
  await dataset.build()
  await using backup = await exported(dataset)
  await dataset.put('a', 2)
  await dataset.build()
  await dataset.prune({ policy: { last: 1 } })
  await cairn.restoreCar([backup.car], { replace: true })
  await dataset.put('a', 3)
  await dataset.build()
  await dataset.prune({ policy: { last: 9 } })
  expect((await versions(dataset, 'a'))[0]).toBe(2)
})

test('a larger dataset comes back from under a smaller foreign one', async () => {
  const one = await kit()
  const other = await kit()
  await other.dataset.put('x', 1)
  await using foreign = await exported(other.dataset)
  for (let i = 0; i < 5; i++) await one.dataset.put(`a${i}`, i)
  await one.dataset.build()
  for (let i = 0; i < 5; i++) await one.dataset.put(`b${i}`, i)
  const before = await stateOf(one.dataset)
  const next = (await newestCommit(one.backend)).next
  const { undo } = await one.cairn.restoreCar([foreign.car], { replace: true })
  await one.dataset.rollback({ commit: undo ?? -1 })
  expect(await stateOf(one.dataset)).toEqual(before)
  expect((await one.dataset.put('c', 1)).position).toBe(next)
  const { seq } = await one.dataset.build()
  expect(seq).toBe(2)
})

test('what a foreign state replaced stays until its own dataset is pruned', async () => {
  const one = await kit()
  const { dataset: neighbour } = await one.cairn.init('neighbour')
  const other = await kit()
  for (let i = 0; i < 40; i++) await other.dataset.put('x', i)
  await other.dataset.build()
  await using foreign = await exported(other.dataset)
  const states = []
  for (let i = 0; i < 4; i++) {
    await one.dataset.put('a', i)
    await one.dataset.build()
    await one.dataset.put('b', i)
    states.push({
      number: (await newestCommit(one.backend)).number,
      state: await stateOf(one.dataset),
    })
  }
  await one.cairn.restoreCar([foreign.car], { replace: true })
  await neighbour.prune({ policy: { last: 1 } })
  for (const { number, state } of states)
    expect(await stateOf(one.dataset, { commit: number })).toEqual(state)
  await one.dataset.rollback({ commit: states[1]?.number ?? -1 })
  expect((await collect(one.dataset.snapshots())).map(({ seq }) => seq)).toEqual([4, 3, 2, 1, 0])
  for (const seq of [0, 1, 2, 3, 4]) await stateOf(one.dataset, { snapshot: `seq:${seq}` })
})

test('content that links to a block of the log hides nothing from a prune', async () => {
  const { backend, dataset } = await kit()
  await dataset.put('a', 1)
  await dataset.put('b', 2)
  const { head } = await newestCommit(backend)
  await dataset.append({ pi: 'c', tip: head })
  await dataset.prune({ policy: { last: 1 } })
  const fresh = new Cairn(backend)
  expect((await stateOf(await fresh.dataset())).length).toBe(3)
})

test('content that links to a kept list hides no snapshots from a prune', async () => {
  const { backend, cairn, dataset } = await kit()
  const { dataset: first } = await cairn.init('a-first')
  for (let i = 0; i < 3; i++) {
    await dataset.put('a', i)
    await dataset.build()
  }
  const { kept } = await newestCommit(backend)
  await first.append({ pi: 'list', tip: kept })
  await first.prune({ policy: { last: 1 } })
  for (const seq of [0, 1, 2, 3]) await stateOf(dataset, { snapshot: `seq:${seq}` })
})

test('a restore over another chain of the same length is a restore', async () => {
  const { cairn, dataset } = await kit()
  await dataset.put('a', 1)
  await dataset.put('b', 'wanted')
  await using backup = await exported(dataset)
  const wanted = await stateOf(dataset)
  await dataset.rollback({ commit: 1 })
  await dataset.put('b', 'other')
  const { status } = await cairn.restoreCar([backup.car], { replace: true })
  expect(status).toBe('restored')
  expect(await stateOf(dataset)).toEqual(wanted)
})

test('a delta has its snapshot, also where content of its base links to it', async () => {
  const { cairn, dataset } = await kit()
  await dataset.append({ pi: 'a', tip: await newestCid(dataset) })
  await dataset.build()
  await using delta = await exported(dataset, { snapshot: 'seq:0', since: 'latest' })
  expect((await cairn.restoreCar([delta.car], { as: 'copy' })).status).toBe('restored')
})

const newestCid = async (dataset: Dataset): Promise<string> =>
  (await dataset.status()).pointer.latest_snapshot_cid

test('a writer that only appends goes on after another one built and pruned', async () => {
  const one = await kit()
  const all = Array.from({ length: 500 }, (_, i) => `e${i}`)
  const everywhere = async (round: number): Promise<void> => {
    await one.dataset.putBatch(all.map((pi) => ({ pi, value: round })))
    await one.dataset.build()
  }
  await everywhere(1)
  const writer = await new Cairn(one.backend).dataset()
  await everywhere(2)
  await one.dataset.prune({ policy: { last: 1 } })
  expect((await writer.append({ pi: 'e7', tip: null })).ver).toBe(3)
})

test('a copy keeps the log that it shares with a dataset that forgets it', async () => {
  let hold: (() => Promise<void>) | undefined
  const inner = openMemory()
  const backend = wrapBackend(inner, {
    stage: async (...args) => {
      const staging = await inner.stage(...args)
      const held = hold
      hold = undefined
      await held?.()
      return staging
    },
  })
  const { cairn, dataset } = await kit(backend)
  await dataset.put('a', 1)
  // An append comes in while a build runs: the copy's chain is longer than what is left behind the base.
  hold = async () => {
    await dataset.put('b', 1)
    await using backup = await exported(dataset)
    await cairn.restoreCar([backup.car], { as: 'z-copy' })
  }
  await dataset.build()
  await dataset.prune({ policy: { last: 1 } })
  const copy = await new Cairn(backend).dataset('z-copy')
  expect((await stateOf(copy)).length).toBe(2)
})

test('an export keeps the chain that it began with, though a build has folded half of it', async () => {
  let hold: (() => Promise<void>) | undefined
  const inner = openMemory()
  const backend = wrapBackend(inner, {
    stage: async (...args) => {
      const staging = await inner.stage(...args)
      const held = hold
      hold = undefined
      await held?.()
      return staging
    },
  })
  const { dataset } = await kit(backend)
  await dataset.put('a', 1)
  let goOn = (): void => {}
  const gate = new Promise<void>((resolve) => (goOn = resolve))
  let exporting: Promise<unknown> | undefined
  hold = async () => {
    await dataset.put('b', 1)
    await new Promise<void>((begun) => {
      exporting = writeCar(dataset, carPath(), {}, () => {
        begun()
        return gate
      })
    })
  }
  await dataset.build()
  await dataset.prune({ policy: { last: 1 } })
  goOn()
  expect(await exporting).toMatchObject({ recentCount: 2, totalCount: 2 })
})

test('the base of a delta is the one that its lease names', async () => {
  let hold: (() => Promise<void>) | undefined
  const inner = openMemory()
  const backend = wrapBackend(inner, {
    lease: async (...args) => {
      const held = hold
      hold = undefined
      await held?.()
      return inner.lease(...args)
    },
  })
  const { dataset } = await kit(backend)
  const everywhere = async (round: number): Promise<void> => {
    const all = Array.from({ length: 300 }, (_, i) => ({ pi: `e${i}`, value: { round, i } }))
    await dataset.putBatch(all)
    await dataset.build()
  }
  for (const round of [1, 2]) await everywhere(round)
  hold = async () => {
    await everywhere(3)
    await dataset.prune({ policy: { last: 2 } })
  }
  await using delta = await exported(dataset, { since: 'latest~1' })
  expect(delta.report.seq).toBe(3)
})

test('a kept list of several pages is pruned, rolled back to and shared as one of one page', async () => {
  const { backend, cairn, dataset } = await kit()
  const { dataset: neighbour } = await cairn.init('neighbour')
  for (let i = 0; i < 600; i++) {
    if (i % 40 === 0) await dataset.put('e0', i)
    await dataset.build({ tags: i % 100 === 0 ? ['hundred'] : [], force: true })
  }
  const seqs = async (): Promise<number[]> =>
    (await collect(dataset.snapshots())).map(({ seq }) => seq)
  await neighbour.prune({ policy: { last: 1 } })
  expect((await seqs()).length).toBe(601)
  await dataset.prune({ policy: { last: 300, tags: ['hundred'] } })
  const expected = [...Array.from({ length: 300 }, (_, i) => 600 - i), 201, 101, 1]
  expect(await seqs()).toEqual(expected)
  await dataset.rollback({ snapshot: 'seq:101' })
  await dataset.put('e0', 'again')
  await dataset.prune({ policy: { last: 257 } })
  await neighbour.prune({ policy: { last: 1 } })
  await dataset.build()
  const fresh = await new Cairn(backend).dataset()
  for (const seq of [101, 344, 345, 600, 601]) await stateOf(fresh, { snapshot: `seq:${seq}` })
  expect((await seqs()).length).toBe(259)
  expect((await versions(fresh, 'e0'))[0]).toBe(4)
})

test('a dataset that was restored is found, though someone has just looked for it in vain', async () => {
  let hold: (() => Promise<void>) | undefined
  const inner = openMemory()
  const backend = wrapBackend(inner, {
    newest: async (name, ...rest) => {
      const found = await inner.newest(name, ...rest)
      const held = name === 'copy' ? hold : undefined
      if (held !== undefined) hold = undefined
      await held?.()
      return found
    },
  })
  const { cairn, dataset } = await kit(backend)
  await dataset.put('a', 1)
  await using backup = await exported(dataset)
  let goOn = (): void => {}
  const gate = new Promise<void>((resolve) => (goOn = resolve))
  hold = () => gate
  const inVain = cairn.dataset('copy').catch((error: unknown) => error)
  await new Cairn(inner).restoreCar([backup.car], { as: 'copy' })
  const found = cairn.dataset('copy')
  goOn()
  expect(await inVain).toMatchObject({ code: 'dataset_not_found' })
  expect((await (await found).get('a'))?.ver).toBe(1)
})

/** A store that does something else before, or after, it answers one call. */
function interrupted(inner: Backend): { backend: Backend; before: Hooks; after: Hooks } {
  const [before, after]: [Hooks, Hooks] = [{}, {}]
  const once = async (hooks: Hooks, name: keyof Hooks): Promise<void> => {
    const hook = hooks[name]
    delete hooks[name]
    await hook?.()
  }
  const backend = wrapBackend(inner, {
    newest: async (...args) => {
      const found = await inner.newest(...args)
      await once(after, 'newest')
      return found
    },
    stage: async (...args) => {
      await once(before, 'stage')
      return inner.stage(...args)
    },
  })
  return { backend, before, after }
}

type Hooks = Partial<Record<'newest' | 'stage', () => Promise<void>>>

test('who reads or builds while another one builds and prunes is told of no damage', async () => {
  const one = await kit()
  const { backend, before, after } = interrupted(one.backend)
  let round = 0
  const replaced = async (): Promise<void> => {
    round += 1
    const all = Array.from({ length: 500 }, (_, i) => ({ pi: `e${i}`, value: { round, i } }))
    await one.dataset.putBatch(all)
    await one.dataset.build()
    await one.dataset.prune({ policy: { last: 1 } })
  }
  await replaced()
  const opened = async (): Promise<Dataset> => new Cairn(backend, { cacheBytes: 1 }).dataset()
  const reader = await opened()
  after.newest = replaced
  expect((await reader.get('e7'))?.ver).toBe(2)
  after.newest = replaced
  expect((await reader.list({ limit: 500 })).items.every(({ ver }) => ver === 3)).toBe(true)
  after.newest = replaced
  expect((await (await opened()).get('e7'))?.ver).toBe(4)
  before.stage = replaced
  await expect(reader.build({ force: true })).rejects.toMatchObject({ code: 'conflict' })
})

test('a lease that was taken too late stops no prune', async () => {
  const { backend, dataset } = await kit()
  const { cid } = (await collect(dataset.snapshots()))[0] ?? { cid: new Uint8Array() }
  for (let i = 0; i < 4; i++) {
    await dataset.put('a', i)
    await dataset.build()
  }
  await dataset.prune({ policy: { last: 1 } })
  const note = { dataset: 'main', commit: 0, snapshots: [printCid(cid)], purpose: 'export' }
  await backend.lease(JSON.stringify(note))
  await dataset.put('a', 9)
  await dataset.build()
  expect((await dataset.prune({ policy: { last: 1 } })).forgotten).toBe(1)
})

test('a copy restored twice never gives a position again', async () => {
  const one = await kit()
  await one.dataset.put('a', 1)
  const other = await kit()
  await other.dataset.put('x', 1)
  await using foreign = await exported(other.dataset)
  const { undo } = await one.cairn.restoreCar([foreign.car], { replace: true })
  const first = await one.dataset.put('y', 1)
  await one.dataset.rollback({ commit: undo ?? -1 })
  await one.cairn.restoreCar([foreign.car], { replace: true })
  const second = await one.dataset.put('y', 2)
  expect(second.position).toBeGreaterThan(first.position ?? 0)
})
