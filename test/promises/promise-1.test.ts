/** Promise 1: an append that was acknowledged is never lost. */
import { beforeAll, expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { CairnError } from '../../src/errors.ts'
import type { Backend } from '../../src/store/backend.ts'
import { builtDist } from '../helpers/built.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { collect, expectRefused, newestCommit, openTest, tempDir } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'
import { acksOf, startWorker, type Ack } from '../helpers/processes.ts'

const A = tipOf('a')
const B = tipOf('b')

beforeAll(async () => {
  await builtDist()
}, 120_000)

/** Every acknowledged entry is there, at its position, and positions have no gaps. */
async function expectAll(dataset: Dataset, acks: readonly Ack[]): Promise<void> {
  const { pointer } = await dataset.status()
  const positions = acks.map(({ position }) => position).toSorted((a, b) => a - b)
  expect(new Set(positions).size).toBe(acks.length)
  expect(pointer.next).toBeGreaterThan(positions.at(-1) ?? -1)
  const present = new Map((await collect(dataset.entries())).map(({ pi, ver }) => [pi, ver]))
  const lost = acks.filter(({ pi, ver }) => (present.get(pi) ?? 0) < ver)
  expect(lost).toEqual([])
}

test('appends acknowledged while builds run and other writers commit are all there', async () => {
  const backend = openMemory()
  const clock = { now: 1_700_000_000_000 }
  const writers = await Promise.all(
    [1, 2, 3].map(() => openTest({ backend, clock, init: { chunkSize: 64 } })),
  )
  const acks: Ack[] = []
  let over = false
  const building = (async () => {
    let built = 0
    while (!over) {
      const { status } = await (writers[0]?.dataset.build() ?? Promise.reject(new Error()))
      built += status === 'built' ? 1 : 0
      await new Promise((resolve) => setImmediate(resolve))
    }
    return built
  })()
  await Promise.all(
    writers.map(async ({ dataset }, w) => {
      for (let round = 0; round < 60; round++) {
        const lanes = [0, 1, 2].map((lane) =>
          dataset.appendBatch(
            Array.from({ length: 5 }, (_, i) => ({
              pi: `w${w}-${lane}-${i}-${round % 7}`,
              tip: A,
            })),
          ),
        )
        for (const answers of await Promise.all(lanes)) {
          acks.push(
            ...answers.map(({ pi, ver, position }) => ({ pi, ver, position: position ?? -1 })),
          )
        }
        // One timer turn, so that builds get between the appends.
        if (round % 4 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
    }),
  )
  over = true
  expect(await building).toBeGreaterThan(5)
  expect(acks).toHaveLength(3 * 60 * 15)
  expect(acks.map(({ position }) => position).toSorted((a, b) => a - b)).toEqual(
    acks.map((_, i) => i),
  )
  for (const { dataset } of [...writers, await openTest({ backend, clock })])
    await expectAll(dataset, acks)
  const last = await openTest({ backend, clock })
  await last.dataset.build()
  await expectAll(last.dataset, acks)
  for (const { pi, position, ver } of acks.slice(0, 20)) {
    const logged = await collect(last.dataset.history(pi))
    expect(logged.find((one) => one.position === position)?.entry.ver).toBe(ver)
  }
})

test('what was appended between the moment a build began and its commit is not folded away', async () => {
  const memory = openMemory()
  let during: (() => Promise<void>) | undefined
  const backend = wrapBackend(memory, {
    stage: async (dataset, label, options) => {
      const staging = await memory.stage(dataset, label, options)
      return {
        ...staging, // by which the store knows it again
        put: (blocks, callOptions) => staging.put(blocks, callOptions),
        flush: async (callOptions) => {
          await during?.()
          await staging.flush(callOptions)
        },
        end: (outcome) => staging.end(outcome),
      }
    },
  })
  const { dataset, clock } = await openTest({ backend })
  const other = await openTest({ backend: memory, clock })
  await dataset.append({ pi: 'old', tip: A })
  during = async () => {
    await dataset.append({ pi: 'mine', tip: A })
    await other.dataset.appendBatch([
      { pi: 'theirs', tip: A },
      { pi: 'old', tip: B },
    ])
  }
  expect(await dataset.build()).toMatchObject({ folded: 1, recentCount: 3 })
  during = undefined
  for (const round of [1, 2]) {
    const { dataset: reader } = await openTest({ backend: memory, clock })
    expect(
      (await collect(reader.entries())).map(({ pi, ver }) => [pi, ver]),
      `round ${round}`,
    ).toEqual([
      ['mine', 1],
      ['old', 2],
      ['theirs', 1],
    ])
    await reader.build()
  }
})

test('after kill -9 at random moments every acknowledged append is there, and the store goes on', async () => {
  const store = await tempDir()
  const acks: Ack[] = []
  let builds = 0
  const isEnough = (): boolean => acks.length > 500 && builds > 5
  // A busy machine needs more rounds until it has been a test.
  for (let round = 0; round < 5 || (round < 20 && !isEnough()); round++) {
    const options = { name: `r${round}`, init: { chainLimit: 300, chunkSize: 64 } }
    const worker = await startWorker('untilKilled', `lmdb:${store}`, options)
    await worker.hasSaid(5)
    await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 300))
    worker.child.kill('SIGKILL')
    expect(await worker.ended()).toBeNull()
    expect(worker.said.filter(({ error }) => error !== undefined)).toEqual([])
    acks.push(...acksOf(worker))
    builds += worker.said.filter(({ built }) => built !== undefined).length

    const { dataset, cairn } = await openTest({ backend: await openLmdb({ dir: store }) })
    await expectAll(dataset, acks)
    const { position, ver } = await dataset.append({ pi: `after-${round}`, tip: A })
    expect(position).toBeGreaterThan(Math.max(...acks.map((ack) => ack.position)))
    acks.push({ pi: `after-${round}`, ver, position: position ?? -1 })
    await cairn.close()
  }
  expect(isEnough()).toBe(true)
}, 120_000)

interface Unsure {
  readonly backend: Backend
  /** What becomes of the next commits, one after another; then they succeed. */
  readonly script: ('committed, then unknown' | 'not committed, but unknown' | 'unavailable')[]
}

function unsureBackend(inner: Backend): Unsure {
  const script: Unsure['script'] = []
  const unknown = (): CairnError =>
    new CairnError('commit_unknown', 'The answer was lost.', { hint: 'Ask again.' })
  const backend = wrapBackend(inner, {
    commit: async (request, options) => {
      const next = script.shift()
      if (next === 'unavailable')
        throw new CairnError('backend_unavailable', 'It is gone.', { hint: 'Wait.' })
      if (next === 'not committed, but unknown') throw unknown()
      const outcome = await inner.commit(request, options)
      if (next === 'committed, then unknown') throw unknown()
      return outcome
    },
  })
  return { backend, script }
}

test('a commit of unknown outcome is found out, whether it had taken effect or not', async () => {
  const { backend, script } = unsureBackend(openMemory())
  const { dataset } = await openTest({ backend })
  const acks: Ack[] = []
  for (const [i, outcome] of (
    ['committed, then unknown', 'not committed, but unknown'] as const
  ).entries()) {
    script.push(outcome)
    const { pi, ver, position } = await dataset.append({ pi: `e${i}`, tip: A })
    acks.push({ pi, ver, position: position ?? -1 })
    script.push(outcome)
    expect(await dataset.build()).toMatchObject({ status: 'built', entries: i + 1 })
    await expectAll(dataset, acks)
  }
  expect(acks.map(({ position }) => position)).toEqual([0, 1])
  expect((await collect(dataset.history('e0'))).length).toBe(1)
})

test('a commit of unknown outcome that another writer overtook is neither lost nor doubled', async () => {
  const memory = openMemory()
  const { backend, script } = unsureBackend(memory)
  const { dataset, clock } = await openTest({ backend })
  const other = await openTest({ backend: memory, clock })
  script.push('committed, then unknown')
  const appending = dataset.append({ pi: 'x', tip: A })
  await new Promise((resolve) => setTimeout(resolve, 30))
  await other.dataset.append({ pi: 'y', tip: A })
  expect(await appending).toMatchObject({ ver: 1, position: 0, status: 'appended' })
  script.push('not committed, but unknown')
  const late = dataset.append({ pi: 'x', tip: B })
  await new Promise((resolve) => setTimeout(resolve, 30))
  await other.dataset.append({ pi: 'z', tip: A })
  expect(await late).toMatchObject({ ver: 2, position: 3, status: 'appended' })
  expect((await collect(other.dataset.history('x'))).map(({ entry }) => entry.ver)).toEqual([2, 1])
})

test('a commit of unknown outcome that a prune forgot is neither doubled nor called refused', async () => {
  const memory = openMemory()
  const { backend, script } = unsureBackend(memory)
  const { dataset, clock } = await openTest({ backend })
  const other = await openTest({ backend: memory, clock })
  script.push('committed, then unknown')
  const appending = expectRefused(dataset.append({ pi: 'x', tip: A }), 'commit_unknown')
  await new Promise((resolve) => setTimeout(resolve, 30))
  await other.dataset.build()
  await other.dataset.prune({ policy: { last: 1 } })
  await other.dataset.append({ pi: 'y', tip: A })
  await other.dataset.build()
  await other.dataset.prune({ policy: { last: 1 } })
  expect(await memory.oldest('main')).toBeGreaterThan(1)
  await appending
  expect((await collect(other.dataset.entries())).map(({ pi, ver }) => `${pi}@${ver}`)).toEqual([
    'x@1',
    'y@1',
  ])
  // One that was never sent before is made anew, however far behind its writer is.
  const late = await dataset.append({ pi: 'z', tip: A })
  expect(late).toMatchObject({ ver: 1, status: 'appended' })
})

test('a writer whose next number was forgotten long ago appends behind the newest', async () => {
  const memory = openMemory()
  const { dataset, clock } = await openTest({ backend: memory })
  const other = await openTest({ backend: memory, clock })
  for (const pi of ['a', 'b', 'c']) {
    await other.dataset.append({ pi, tip: A })
    await other.dataset.build()
  }
  await other.dataset.prune({ policy: { last: 1 } })
  expect(await memory.oldest('main')).toBeGreaterThan(1)
  expect(await dataset.append({ pi: 'x', tip: A })).toMatchObject({ ver: 1, position: 3 })
})

test('while the outcome is unknown nobody is told that the append was not taken', async () => {
  const memory = openMemory()
  const { backend, script } = unsureBackend(memory)
  const { dataset, clock } = await openTest({ backend })
  script.push('committed, then unknown', 'unavailable')
  await expectRefused(dataset.append({ pi: 'x', ver: 1, tip: A }), 'commit_unknown')
  clock.now += 1
  expect(await dataset.append({ pi: 'x', ver: 1, tip: A })).toMatchObject({
    status: 'already',
    position: 0,
  })
  script.push('unavailable')
  await expectRefused(dataset.append({ pi: 'y', ver: 1, tip: A }), 'backend_unavailable')
  const reader = await openTest({ backend: memory, clock })
  expect((await collect(reader.dataset.entries())).map(({ pi }) => pi)).toEqual(['x'])
})

test('a full disk refuses appends and builds, and takes nothing away', async () => {
  const memory = openMemory()
  let full = false
  const noSpace = (): CairnError =>
    new CairnError('no_space', 'The disk is full.', { hint: 'Free some space.' })
  const backend = wrapBackend(memory, {
    commit: async (request, options) => {
      if (full) throw noSpace()
      return memory.commit(request, options)
    },
    stage: async (dataset, label, options) => {
      if (full) throw noSpace()
      return memory.stage(dataset, label, options)
    },
  })
  const { dataset } = await openTest({ backend })
  await dataset.append({ pi: 'a', tip: A })
  const { number } = await newestCommit(memory)
  full = true
  await expectRefused(dataset.append({ pi: 'b', tip: A }), 'no_space')
  await expectRefused(dataset.build(), 'no_space')
  expect((await collect(dataset.entries())).map(({ pi }) => pi)).toEqual(['a'])
  expect((await newestCommit(memory)).number).toBe(number)
  full = false
  expect(await dataset.append({ pi: 'b', tip: A })).toMatchObject({ position: 1 })
  expect(await dataset.build()).toMatchObject({ entries: 2 })
})
