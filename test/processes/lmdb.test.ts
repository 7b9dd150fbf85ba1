/** Several processes on one embedded store. */
import { beforeAll, expect, test } from 'vitest'
import { openCairn } from '../../src/compose.ts'
import { builtDist } from '../helpers/built.ts'
import { collect, tempDir } from '../helpers/engine.ts'
import { acksOf, expectRaceLosesNothing, startWorker } from '../helpers/processes.ts'

const PROCESSES = 8
const EACH = 2000

beforeAll(async () => {
  await builtDist()
}, 120_000)

test('8 processes that append 2,000 entries each while builds run lose none, and repeat no position', async () => {
  const store = `lmdb:${await tempDir()}`
  const names = Array.from({ length: PROCESSES }, (_, i) => `w${i}`)
  const writers = await expectRaceLosesNothing({ store, names, each: EACH, builds: 4 })
  const cairn = await openCairn(store)
  const [logged] = await collect((await cairn.dataset()).history('w3-000777'))
  const acks = writers.flatMap(acksOf)
  expect(logged?.position).toBe(acks.find(({ pi }) => pi === 'w3-000777')?.position)
  await cairn.close()
})

test('processes whose small chain is always full make room for each other', async () => {
  const store = `lmdb:${await tempDir()}`
  const init = { chainLimit: 60, chunkSize: 64 }
  const names = ['a', 'b', 'c', 'd']
  const writers = await Promise.all(
    names.map((name) => startWorker('append', store, { name, count: 400, batch: 20, init })),
  )
  for (const writer of writers)
    expect(await writer.ended(), JSON.stringify(writer.said.at(-1))).toBe(0)
  const positions = writers.flatMap((writer) => acksOf(writer).map(({ position }) => position))
  expect(positions.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1600 }, (_, i) => i))
  const cairn = await openCairn(store)
  const dataset = await cairn.dataset()
  expect((await dataset.list()).totalCount).toBe(1600)
  expect((await dataset.build()).seq).toBeGreaterThan(20)
  await cairn.close()
})
