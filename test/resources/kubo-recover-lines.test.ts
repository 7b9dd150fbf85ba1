/** Which of the commits that lie about are a dataset's history, against a model that knows what was made. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  commitLines,
  lineEndingAt,
  type FoundCommit,
} from '../../src/backend/kubo/recover-lines.ts'
import { printCid, rawCidOf, type CidBytes } from '../../src/model/cid.ts'

const cidOf = (name: string): CidBytes => rawCidOf(createHash('sha256').update(name).digest())

function commit(name: string, number: number, prev: CidBytes | null, oldest = 0): FoundCommit {
  const rest = { dataset: 'main', identity: 'i', ts: number, snapshotSeq: 0, totalCount: 0 }
  return { ...rest, cid: cidOf(name), number, prev, oldest }
}

/** The commits that were made, and for each number those that other writers wanted to make. */
function history(losers: readonly number[]): { made: FoundCommit[]; lost: FoundCommit[] } {
  const made: FoundCommit[] = []
  const lost: FoundCommit[] = []
  for (const [number, count] of losers.entries()) {
    const prev = made.at(-1)?.cid ?? null
    made.push(commit(`made ${number}`, number, prev))
    for (let i = 0; i < count; i++) lost.push(commit(`lost ${number} ${i}`, number, prev))
  }
  return { made, lost }
}

const names = (commits: readonly FoundCommit[]): string[] => commits.map(({ cid }) => printCid(cid))

test('the history that was made is always among the lines, and alone unless its end is in doubt', () => {
  const losers = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(losers, fc.infiniteStream(fc.integer()), (counts, order) => {
      const { made, lost } = history(counts)
      const found = [...made, ...lost]
        .map((one) => ({ one, at: order.next().value as number }))
        .toSorted((a, b) => a.at - b.at)
        .map(({ one }) => one)
      const lines = commitLines(found)
      const own = lines.find(({ newest }) => newest.cid === made.at(-1)?.cid)
      expect(names(own?.commits ?? [])).toEqual(names(made.toReversed()))
      expect(own?.lost).toBe(0)
      // Before the first commit there is nothing by which two beginnings could be told to be rivals.
      const doubts = made.length === 1 ? counts[0] : (counts.at(-1) ?? 0) + (counts[0] ?? 0)
      expect(lines).toHaveLength(1 + (doubts ?? 0))
    }),
  )
})

test('two histories under one name are both shown, the longer one first', () => {
  const first = history([0, 0, 0, 0]).made
  const other = [commit('b0', 0, null), commit('b1', 1, cidOf('b0')), commit('b2', 2, cidOf('b1'))]
  const lines = commitLines([...other, ...first])
  expect(lines.map(({ newest }) => newest.number)).toEqual([3, 2])
})

test('what is missing in between ends a line, and is counted as lost', () => {
  const { made } = history([0, 0, 0, 0, 0, 0])
  const [line, ...rest] = commitLines(made.filter(({ number }) => number !== 2))
  expect(line?.commits.map(({ number }) => number)).toEqual([5, 4, 3])
  expect(line?.lost).toBe(3)
  // Of what ended before the gap nothing proves that the rest was built on it.
  expect(rest.map(({ newest }) => newest.number)).toEqual([1])
})

test('what was pruned is no loss, and an earlier end can be chosen', () => {
  const { made } = history([0, 0, 0, 0, 0])
  const newest = commit('pruned', 5, cidOf('made 4'), 3)
  const [line] = commitLines([...made, newest])
  expect(line?.commits.map(({ number }) => number)).toEqual([5, 4, 3])
  expect(line?.lost).toBe(0)
  expect(lineEndingAt(made, made[2] as FoundCommit).commits).toHaveLength(3)
})
