/** Several processes on one Kubo node. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCairn } from '../../src/compose.ts'
import { builtDist } from '../helpers/built.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { acksOf, rootFromScratch, startWorker, workerEntry } from '../helpers/processes.ts'

const PROCESSES = 4
const EACH = 500

let node: KuboNode

beforeAll(async () => {
  await builtDist()
  node = await startKuboNode()
  await askNode(node.url, 'files/rm', { arg: '/cairn', force: 'true' })
}, 300_000)
afterAll(() => node.dispose())

test('4 processes that append 500 entries each while builds run lose none, and repeat no position', async () => {
  const store = `kubo:${node.url}`
  const builder = await startWorker('build', store)
  await builder.hasSaid(1)
  const names = Array.from({ length: PROCESSES }, (_, i) => `w${i}`)
  const writers = await Promise.all(
    names.map((name) => startWorker('append', store, { name, count: EACH, batch: 20 })),
  )
  for (const writer of writers)
    expect(await writer.ended(), JSON.stringify(writer.said.at(-1))).toBe(0)
  builder.child.stdin?.end()
  expect(await builder.ended(), JSON.stringify(builder.said.at(-1))).toBe(0)
  expect(builder.said.at(-1)?.['built']).toBeGreaterThan(1)

  const positions = writers.flatMap((writer) => acksOf(writer).map(({ position }) => position))
  const every = Array.from({ length: PROCESSES * EACH }, (_, i) => i)
  expect(positions.toSorted((a, b) => a - b)).toEqual(every)

  const cairn = await openCairn(store)
  const dataset = await cairn.dataset()
  const { root, entries } = await dataset.build()
  expect(entries).toBe(PROCESSES * EACH)
  const expected = names.flatMap((name) =>
    Array.from({ length: EACH }, (_, n) => workerEntry(name, n)),
  )
  expect(Buffer.compare(root, await rootFromScratch(expected))).toBe(0)
  await cairn.close()
}, 120_000)
