/** Promise 6: memory stays bounded however large the dataset. */
import { beforeAll, expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { builtDist } from '../helpers/built.ts'
import { countingBackend, wrapBackend } from '../helpers/counting-backend.ts'
import { collect, expectRefused, newestCommit, openTest, tempDir } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'
import { startWorker } from '../helpers/processes.ts'

const A = tipOf('a')
const MIB = 1 << 20

beforeAll(async () => {
  await builtDist()
}, 120_000)

test('a process with a small heap makes, updates, streams and pages a dataset larger than its memory', async () => {
  const count = 400_000
  const options = { count, cacheBytes: 4 * MIB }
  const worker = await startWorker('memory', `lmdb:${await tempDir()}`, options, [
    '--max-old-space-size=40',
  ])
  expect(await worker.ended(), JSON.stringify(worker.said.at(-1))).toBe(0)
  const [made, updated, streamed, paged] = worker.said
  expect(made?.['entries']).toBe(count)
  expect(updated?.['bytesWritten']).toBeGreaterThan(170 * MIB)
  expect(streamed?.['entries']).toBe(count)
  expect(paged?.['items']).toBe(50_000)
  expect(made?.['treeBytes']).toBeGreaterThan(170 * MIB)
  for (const { phase, peak } of worker.said) expect(peak, String(phase)).toBeLessThan(160 * MIB)
}, 120_000)

test('the recent chain never holds more than its limit, whoever appends', async () => {
  const counting = countingBackend(openMemory())
  const { dataset } = await openTest({ backend: counting, init: { chainLimit: 100 } })
  const other = await openTest({ backend: counting })
  for (let i = 0; i < 40; i++) {
    const { dataset: target } = i % 3 === 0 ? other : { dataset }
    await target.appendBatch(Array.from({ length: 30 }, (_, n) => ({ pi: `b${i}-${n}`, tip: A })))
    expect((await newestCommit(counting)).recentCount).toBeLessThanOrEqual(100)
  }
  const unbuilt = await openTest({ backend: counting, options: { autoBuild: false } })
  const fill = async (): Promise<void> => {
    for (let n = 0; ; n++) await unbuilt.dataset.append({ pi: `fill-${n}`, tip: A })
  }
  await expectRefused(fill(), 'chain_full')
  expect((await newestCommit(counting)).recentCount).toBe(100)
})

/** A tree of some hundred leaves; `most` is what the store was asked for at once, in blocks and bytes. */
async function watched(): Promise<{
  dataset: Awaited<ReturnType<typeof openTest>>['dataset']
  most: { read: number; staged: number }
  reads: () => number
}> {
  const memory = openMemory()
  const writer = await openTest({ backend: memory, init: { chunkSize: 64, chainLimit: 50_000 } })
  const ids = Array.from(
    { length: 20_000 },
    (_, i) => `${'x'.repeat(300)}${String(i).padStart(6, '0')}`,
  )
  await writer.dataset.appendBatch(ids.map((pi) => ({ pi, tip: A })))
  await writer.dataset.build()
  const most = { read: 0, staged: 0 }
  const counting = countingBackend(
    wrapBackend(memory, {
      getBlocks: async (cids, options) => {
        const blocks = await memory.getBlocks(cids, options)
        most.read = Math.max(
          most.read,
          blocks.reduce((sum, bytes) => sum + (bytes?.length ?? 0), 0),
        )
        return blocks
      },
      stage: async (dataset, label, options) => {
        const staging = await memory.stage(dataset, label, options)
        return {
          ...staging, // by which the store knows it again
          put: (blocks, callOptions) => {
            most.staged = Math.max(
              most.staged,
              blocks.reduce((sum, { bytes }) => sum + bytes.length, 0),
            )
            return staging.put(blocks, callOptions)
          },
          flush: (callOptions) => staging.flush(callOptions),
          end: (outcome) => staging.end(outcome),
        }
      },
    }),
  )
  const { dataset } = await openTest({
    backend: counting,
    clock: writer.clock,
    cairn: { cacheBytes: 1 << 16 },
  })
  return { dataset, most, reads: () => counting.reads }
}

test('a page and a lookup read a few blocks, wherever they are', async () => {
  const { dataset, reads } = await watched()
  for (const offset of [0, 777, 10_000, 19_990]) {
    const before = reads()
    expect((await dataset.list({ offset, limit: 10 })).items).toHaveLength(10)
    expect(reads() - before, `offset ${offset}`).toBeLessThanOrEqual(16)
  }
  const before = reads()
  await dataset.get(`${'x'.repeat(300)}012345`)
  expect(reads() - before).toBeLessThanOrEqual(6)
})

test('a stream reads on only as it is read', async () => {
  const { dataset, reads } = await watched()
  const before = reads()
  for await (const { pi } of dataset.entries()) if (pi.endsWith('20')) break
  expect(reads() - before).toBeLessThanOrEqual(10)
  expect(await collect(dataset.entries())).toHaveLength(20_000)
  expect(reads() - before).toBeGreaterThan(200)
})

test('a build that rewrites everything reads and writes piece by piece', async () => {
  const { dataset, most } = await watched()
  const ids = (await collect(dataset.entries())).map(({ pi }) => pi)
  await dataset.appendBatch(
    ids.filter((_, i) => i % 20 === 0).map((pi) => ({ pi, tip: tipOf('b') })),
  )
  const { bytesWritten } = await dataset.build()
  expect(bytesWritten).toBeGreaterThan(6 * MIB)
  expect(most.staged).toBeLessThan(3 * MIB)
  expect(most.read).toBeLessThan(3 * MIB)
})

test('a stream of bytes goes to the store as it comes', async () => {
  const memory = openMemory()
  let stored = 0
  let ahead = 0
  let made = 0
  const backend = wrapBackend(memory, {
    stage: async (dataset, label, options) => {
      const staging = await memory.stage(dataset, label, options)
      return {
        ...staging, // by which the store knows it again
        put: async (blocks, callOptions) => {
          stored += blocks.reduce((sum, { bytes }) => sum + bytes.length, 0)
          await staging.put(blocks, callOptions)
        },
        flush: (callOptions) => staging.flush(callOptions),
        end: (outcome) => staging.end(outcome),
      }
    },
  })
  const { dataset } = await openTest({ backend, init: { content: 'linked' } })
  const source = async function* (): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 96; i++) {
      made += MIB / 2
      ahead = Math.max(ahead, made - stored)
      yield new Uint8Array(MIB / 2).fill(i)
    }
  }
  await dataset.put('film', source())
  expect(made).toBe(48 * MIB)
  expect(ahead).toBeLessThan(24 * MIB)
})
