/**
 * Followers against a model of the log: whatever appends, builds, loads, rollbacks and prunes of two
 * programs on one store do meanwhile, each is given, generation by generation, every entry once and in order,
 * or is told that history is gone where it is.
 */
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { blocksAlong, layTrail } from '../../src/chain/trail.ts'
import { Cairn } from '../../src/cairn.ts'
import { REAL_TIMERS } from '../../src/engine/context.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { isCairnError } from '../../src/errors.ts'
import { printCid } from '../../src/model/cid.ts'
import { collect, newestCommit, openTest } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'
import { Random } from '../helpers/random.ts'
import { schedulerOf } from '../helpers/scheduled-backend.ts'

/** `POSITION ID@VERSION` */
type Line = string

const positionOf = (line: Line): number => Number(line.slice(0, line.indexOf(' ')))
const from = (log: readonly Line[], position: number): Line[] =>
  log.filter((line) => positionOf(line) >= position)

interface ModelState {
  readonly log: readonly Line[]
  /** How many of them are in the recent chain. */
  readonly recent: number
}

interface ModelGeneration {
  /** Where its first commit stood. */
  readonly next: number
  log: readonly Line[]
}

/** What a follower was given between two changes of generation. */
interface Stretch {
  readonly generation: number
  readonly since: number
  readonly given: Line[]
}

interface Followed {
  readonly stretches: Stretch[]
  /** The floor that it was told, when it ended because history was gone. */
  gone: number | undefined
}

const LAST = 'the last one'

async function followed(dataset: Dataset, since: number, pace: Random): Promise<Followed> {
  const { generation } = await dataset.head()
  const result: Followed = {
    stretches: [{ generation: generation.number, since, given: [] }],
    gone: undefined,
  }
  try {
    for await (const change of dataset.changes({ since, generation })) {
      if (pace.int(0, 3) === 0) await delay(pace.int(0, 3))
      if (change.kind === 'generation') {
        const { number } = change.generation
        result.stretches.push({ generation: number, since: change.next, given: [] })
        continue
      }
      const { pi, ver } = change.entry
      result.stretches.at(-1)?.given.push(`${change.position} ${pi}@${ver}`)
      if (pi === LAST) return result
    }
  } catch (error) {
    if (!isCairnError(error, 'history_gone')) throw error
    result.gone = Number(error.details['floor'])
  }
  return result
}

class World {
  readonly random: Random
  readonly datasets: readonly [Dataset, Dataset]
  readonly #newest: () => ReturnType<typeof newestCommit>
  state: ModelState = { log: [], recent: 0 }
  readonly generations: Map<number, ModelGeneration> = new Map([[1, { next: 0, log: [] }]])
  readonly commits: Map<number, ModelState> = new Map<number, ModelState>()
  readonly snapshots: Map<string, ModelState> = new Map<string, ModelState>()

  constructor(
    random: Random,
    datasets: readonly [Dataset, Dataset],
    newest: () => ReturnType<typeof newestCommit>,
  ) {
    this.random = random
    this.datasets = datasets
    this.#newest = newest
  }

  any(): Dataset {
    return this.datasets[this.random.int(0, 1) as 0 | 1]
  }

  /** Takes up the state that is current now: what was in the log, and what came to it. */
  async take(before: readonly Line[], added: readonly Line[]): Promise<void> {
    const commit = await this.#newest()
    const log = [...before, ...added.toSorted((a, b) => positionOf(a) - positionOf(b))]
    const { number } = commit.generation
    const generation = this.generations.get(number)
    if (generation === undefined) this.generations.set(number, { next: commit.next, log })
    else generation.log = log
    this.state = { log, recent: commit.recentCount }
    this.commits.set(commit.number, this.state)
    const folded = { log: log.slice(0, log.length - commit.recentCount), recent: 0 }
    const known = this.snapshots.get(printCid(commit.snapshot))
    if (known === undefined) this.snapshots.set(printCid(commit.snapshot), folded)
  }

  async burst(build: boolean): Promise<void> {
    const added: Line[] = []
    const append = async (dataset: Dataset): Promise<void> => {
      for (let n = this.random.int(1, 4); n > 0; n--) {
        const pi = `e${this.random.int(0, 9)}`
        const { position, ver } = await dataset.append({ pi, tip: tipOf(pi + this.random.next()) })
        added.push(`${position} ${pi}@${ver}`)
      }
    }
    const tasks = [append(this.datasets[0]), append(this.datasets[1])]
    if (build) tasks.push(this.build())
    await Promise.all(tasks)
    await this.take(this.state.log, added)
  }

  async build(): Promise<void> {
    await this.any()
      .build()
      .catch((error: unknown) => {
        if (!isCairnError(error, 'conflict')) throw error
      })
  }

  async bulk(): Promise<void> {
    const first = (await this.#newest()).next
    const ids = Array.from({ length: this.random.int(1, 5) }, (_, i) => `b${first}-${i}`)
    await this.any().bulkLoad(ids.map((pi) => ({ pi, tip: tipOf(pi) })))
    await this.take(
      this.state.log,
      ids.map((pi, i) => `${first + i} ${pi}@1`),
    )
  }

  async rollback(): Promise<void> {
    const { oldest, next } = await this.#newest()
    const keepChain = this.random.int(0, 1) === 0
    const commits = [...this.commits].filter(([number]) => number >= oldest)
    const kept = await collect(this.any().snapshots())
    const snapshots = kept.flatMap(({ cid }) => {
      const state = this.snapshots.get(printCid(cid))
      return state === undefined ? [] : [[printCid(cid), state] as const]
    })
    const [commit, past] = commits[this.random.int(0, commits.length - 1)] ?? []
    const [snapshot, older] = snapshots[this.random.int(0, snapshots.length - 1)] ?? []
    const toCommit = commit !== undefined && this.random.int(0, 1) === 0
    const target = toCommit ? past : older
    if (target === undefined) return
    await this.any().rollback(toCommit ? { commit } : { snapshot }, { keepChain })
    const there = new Set(target.log)
    const chain = this.state.log.slice(this.state.log.length - this.state.recent)
    const later = chain.slice(chain.findLastIndex((line) => there.has(line)) + 1)
    const again = keepChain
      ? later.map((line, i) => `${next + i} ${line.slice(line.indexOf(' ') + 1)}`)
      : []
    await this.take(target.log, again)
  }

  async prune(): Promise<void> {
    await this.any().prune({ policy: { last: this.random.int(1, 3) } })
    await this.take(this.state.log, [])
  }

  async step(): Promise<void> {
    const does = this.random.int(0, 11)
    if (does < 5) await this.burst(false)
    else if (does < 7) await this.burst(true)
    else if (does < 8) await this.bulk()
    else if (does < 9) await this.rollback()
    else if (does < 10) await this.prune()
    else {
      await this.build()
      await this.take(this.state.log, [])
    }
  }

  /** The log by pages of any size is the model's, as far as it is kept. */
  async check(): Promise<void> {
    const dataset = this.any()
    const { floor, next } = await dataset.head()
    const since = this.random.int(floor, next)
    const limit = this.random.int(1, 7)
    const lines: Line[] = []
    for (let at = since; at < next;) {
      const page = await dataset.log({ since: at, limit })
      lines.push(
        ...page.items.map(({ position, entry: { pi, ver } }) => `${position} ${pi}@${ver}`),
      )
      expect(page.items.length === limit || page.next === next).toBe(true)
      at = page.next
    }
    expect(lines).toEqual(from(this.state.log, since))
  }

  /** Each stretch is a beginning of its generation's log, and the last one is all of it. */
  checkFollowed({ stretches, gone }: Followed): void {
    const newest = Math.max(...this.generations.keys())
    for (const [i, { generation, since, given }] of stretches.entries()) {
      const model = this.generations.get(generation)
      if (model === undefined) throw new Error(`there was no generation ${generation}`)
      const before = stretches[i - 1]
      if (before !== undefined) {
        expect(generation).toBeGreaterThan(before.generation)
        expect(since).toBeGreaterThanOrEqual(model.next)
      }
      const expected = from(model.log, since)
      const ended = i === stretches.length - 1 && gone === undefined
      expect(given).toEqual(ended ? expected : expected.slice(0, given.length))
      if (ended) expect(generation).toBe(newest)
    }
    if (gone === undefined) return
    const last = stretches.at(-1)
    const next = last?.given.at(-1)
    expect(gone).toBeGreaterThan(next === undefined ? (last?.since ?? 0) : positionOf(next) + 1)
  }
}

async function play(seed: number, scheduled: boolean): Promise<World> {
  const random = new Random(seed)
  const scheduler = schedulerOf(seed)
  const store = openMemory()
  const backend = scheduled ? scheduler.wrap(store) : store
  const timers = { ...REAL_TIMERS, delay: () => delay(1) }
  const { dataset: one } = await openTest({ backend, cairn: { timers } })
  const two = await new Cairn(backend, { timers }).dataset()
  const world = new World(random, [one, two], () => newestCommit(store))
  await world.take([], [])
  const followers: Promise<Followed>[] = []
  for (let steps = random.int(4, 14); steps > 0; steps--) {
    if (random.int(0, 2) === 0) {
      const { floor, next } = await world.any().head()
      const pace = new Random(random.int(0, 2 ** 31))
      followers.push(followed(world.any(), random.int(floor, next), pace))
    }
    await world.step()
    await world.check()
  }
  const { position } = await one.append({ pi: LAST, tip: tipOf(LAST) })
  await world.take(world.state.log, [`${position} ${LAST}@1`])
  for (const one of await Promise.all(followers)) world.checkFollowed(one)
  scheduler.stop()
  return world
}

test.each([
  ['at once', false, 120],
  ['in an order that a seed decides', true, 25],
] as const)(
  'followers of a dataset that everything is done to (%s)',
  async (_, scheduled, numRuns) => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        await play(seed, scheduled)
      }),
      { numRuns, endOnFailure: true },
    )
  },
  60_000,
)

test('a trail leads forwards from every place, however few blocks it remembers', async () => {
  const { dataset, backend } = await openTest()
  const lines: Line[] = []
  for (let n = 0; n < 150; n++) {
    const ids = Array.from({ length: 1 + (n % 3) }, (_, i) => `e${n}-${i}`)
    await dataset.appendBatch(ids.map((pi) => ({ pi, tip: tipOf(pi) })))
    for (const pi of ids) lines.push(`${lines.length} ${pi}@1`)
    if (n % 40 === 39) await dataset.build()
  }
  await dataset.build()
  const { base, identity, next, floor } = await newestCommit(backend)
  const way = { head: base, identities: [identity], floor, next, signal: undefined }
  for (const marks of [2, 3, 4, 9, 64, 150, 151]) {
    for (const low of [0, 1, 2, 77, 150, 296, 299, 300]) {
      const trail = await layTrail(backend, way, low, next, marks)
      expect(trail.marks.length).toBeLessThanOrEqual(marks)
      for (const since of [low, low + 1, low + 40].filter((one) => one <= next)) {
        const blocks = await collect(blocksAlong(backend, way, trail, since))
        const given = blocks.flatMap(({ first, entries }) =>
          entries.map(({ pi, ver }, i) => `${first + i} ${pi}@${ver}`),
        )
        expect(from(given, since)).toEqual(from(lines, since))
        // Not one block more than there need be.
        expect(blocks.every(({ first, entries }) => first + entries.length > since)).toBe(true)
      }
    }
  }
})
