/**
 * The engine against a model made of plain maps: several writers in turn append, delete, build, roll back
 * and reopen, and every commit there ever was must read as the model remembers it.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import type { Backend } from '../../src/store/backend.ts'
import { collect, newestCommit, openTest, type Opened } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'

interface LogEntry {
  readonly pi: string
  readonly ver: number
  readonly dead: boolean
}

/** What one commit makes current: a snapshot of the log so far, and what came after it. */
interface ModelState {
  readonly folded: readonly LogEntry[]
  readonly chain: readonly LogEntry[]
}

const WRITERS = 2

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      writer: fc.nat(WRITERS - 1),
      ids: fc.uniqueArray(fc.nat(25), { minLength: 1, maxLength: 8 }),
      dead: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('build' as const), writer: fc.nat(WRITERS - 1) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('rollback' as const),
      writer: fc.nat(WRITERS - 1),
      to: fc.nat(1000),
      keepChain: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('reopen' as const), writer: fc.nat(WRITERS - 1) }),
  },
)

function newestOf({ folded, chain }: ModelState): Map<string, LogEntry> {
  const newest = new Map<string, LogEntry>()
  for (const entry of [...folded, ...chain]) newest.set(entry.pi, entry)
  return newest
}

const printed = (state: ModelState): string[] =>
  [...newestOf(state).values()]
    .filter(({ dead }) => !dead)
    .map(({ pi, ver }) => `${pi}@${ver}`)
    .toSorted()

/** The entries of the recent chain that the other state's log lacks: behind the last that both have. */
function notIn(
  chain: readonly LogEntry[],
  { folded, chain: other }: ModelState,
): readonly LogEntry[] {
  const log = new Set([...folded, ...other])
  return chain.slice(chain.findLastIndex((entry) => log.has(entry)) + 1)
}

async function follow(
  backend: Backend,
  writers: Opened[],
  states: ModelState[],
  one: StepOf,
): Promise<void> {
  const now = states.at(-1) ?? { folded: [], chain: [] }
  const { dataset, clock } = writers[one.writer] ?? (await openTest({ backend }))
  if (one.kind === 'reopen') {
    writers[one.writer] = await openTest({ backend, clock })
    return
  }
  if (one.kind === 'append') {
    const newest = newestOf(now)
    const entries = one.ids.map((n) => {
      const pi = `k${n}`
      return { pi, ver: (newest.get(pi)?.ver ?? 0) + 1, dead: one.dead }
    })
    const answers = await dataset.appendBatch(
      entries.map(({ pi }) => ({ pi, tip: one.dead ? null : tipOf(`${pi} ${states.length}`) })),
    )
    expect(answers.map(({ ver }) => ver)).toEqual(entries.map(({ ver }) => ver))
    states.push({ folded: now.folded, chain: [...now.chain, ...entries] })
    return
  }
  if (one.kind === 'build') {
    const { status, live } = await dataset.build()
    expect(live).toBe(printed(now).length)
    if (status === 'built') states.push({ folded: [...now.folded, ...now.chain], chain: [] })
    return
  }
  const target = one.to % states.length
  const past = states[target] ?? now
  await dataset.rollback({ commit: target }, { keepChain: one.keepChain })
  const kept = one.keepChain ? notIn(now.chain, past).map((entry) => ({ ...entry })) : []
  states.push({ folded: past.folded, chain: [...past.chain, ...kept] })
}

type StepOf = typeof step extends fc.Arbitrary<infer T> ? T : never

test('whatever writers do in turn, every commit reads as it was made, and as it is again after a rollback', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
      const backend = openMemory()
      const writers: Opened[] = []
      for (let i = 0; i < WRITERS; i++)
        writers.push(await openTest({ backend, init: { chunkSize: 64 } }))
      const states: ModelState[] = [{ folded: [], chain: [] }]
      let next = 0
      for (const one of steps) {
        await follow(backend, writers, states, one)
        const commit = await newestCommit(backend)
        expect(commit.number).toBe(states.length - 1)
        expect(commit.totalCount).toBe(printed(states.at(-1) ?? { folded: [], chain: [] }).length)
        expect(commit.recentCount).toBe(states.at(-1)?.chain.length)
        expect(commit.next).toBeGreaterThanOrEqual(next)
        next = commit.next
      }
      const reader = await openTest({ backend })
      for (const { dataset } of [...writers, reader]) {
        const page = await dataset.list({ limit: 1000, order: 'asc' })
        expect(page.items.map(({ pi, ver }) => `${pi}@${ver}`).toSorted()).toEqual(
          printed(states.at(-1) ?? { folded: [], chain: [] }),
        )
        expect((await dataset.list({ limit: 1000, offset: 3 })).items).toHaveLength(
          Math.max(0, page.totalCount - 3),
        )
      }
      for (const [number, state] of states.entries()) {
        const past = await collect(reader.dataset.entries({ at: { commit: number } }))
        expect(past.map(({ pi, ver }) => `${pi}@${ver}`).toSorted(), `commit ${number}`).toEqual(
          printed(state),
        )
      }
      const last = states.at(-1) ?? { folded: [], chain: [] }
      for (const pi of newestOf(last).keys()) {
        const logged = await collect(reader.dataset.history(pi))
        const expected = [...last.folded, ...last.chain]
          .filter((entry) => entry.pi === pi)
          .toReversed()
        expect(logged.map(({ entry }) => entry.ver)).toEqual(expected.map(({ ver }) => ver))
        const positions = logged.map(({ position }) => position)
        expect(positions).toEqual([...new Set(positions)].toSorted((a, b) => b - a))
      }
    }),
    { numRuns: 150, includeErrorInReport: true },
  )
})
