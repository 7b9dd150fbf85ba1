/** A primary whose replica is behind a service: acknowledgements, fencing and prunes as with a store; and their price. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { transport } from '../../src/client/transport.ts'
import { serviceSource } from '../../src/remote/service-source.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { collect, expectRefused, newestCommit } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'
import { cut, farSide, type FarSide, type Meddling } from '../helpers/far-side.ts'
import { startService } from '../helpers/service.ts'

const calls = ({ sent }: FarSide, from: number): string[] =>
  sent.slice(from).map(({ method, path }) => `${method} ${path.replace('/v1/datasets/main', '')}`)

async function acknowledging(far: FarSide, meddling: Meddling = {}, ackMs = 10_000) {
  const backend = wrapBackend(openMemory(), { close: async () => {} })
  const replicas = { stores: [far.target({ retries: 0, ...meddling })], ack: 1, ackMs }
  const primary = new Cairn(backend, { replicas })
  return { backend, primary, dataset: await primary.open() }
}

test('a write is acknowledged when the service has it; writes that wait share a push', async () => {
  const far = await farSide({ init: {} })
  const { primary, dataset } = await acknowledging(far)
  await dataset.put('a', 1)
  const there = await far.service().service.dataset('main')
  expect(await there.get('a')).toBeDefined()
  const before = far.sent.length
  await Promise.all(Array.from({ length: 200 }, (_, i) => dataset.put(`e${i}`, i)))
  expect(await there.count()).toBe(201)
  expect(far.sent.length - before).toBeLessThan(40)
  await primary.close()
})

test('what an acknowledged write takes: a commit, its block of the log, its content', async () => {
  const far = await farSide({ init: {} })
  const { primary, dataset } = await acknowledging(far)
  await dataset.put('a', 1)
  const before = far.sent.length
  await dataset.put('b', 2)
  expect(calls(far, before)).toEqual(['POST /syncs', 'PUT /syncs/ID/N', 'PUT /syncs/ID/N'])
  const linked = far.sent.length
  await dataset.append({ pi: 'b', tip: null })
  expect(calls(far, linked)).toEqual(['POST /syncs', 'PUT /syncs/ID/N'])
  await primary.close()
})

test('a service that is away is waited for, and told of', async () => {
  const far = await farSide({ init: {} })
  let away = false
  const before = (): void => (away ? cut() : undefined)
  const { primary, dataset } = await acknowledging(far, { before }, 700)
  await dataset.put('a', 1)
  away = true
  await expectRefused(dataset.put('b', 2, { ver: 1 }), 'not_replicated')
  // It is pruned after, and the log says where it is.
  await dataset.build()
  const pruned = await dataset.prune({ policy: { last: 1 } })
  expect(pruned.verdicts.flatMap(({ reasons }) => reasons).join()).toContain(
    'replica 1 (http) cannot be asked',
  )
  away = false
  await dataset.put('b', 2, { ver: 1 })
  expect(await (await far.service().service.dataset('main')).get('b')).toBeDefined()
  await dataset.prune({ policy: { last: 1 } })
  expect((await collect(dataset.snapshots())).length).toBe(1)
  await primary.close()
})

test('a primary whose copy was promoted is fenced, by its next write or by one that waits', async () => {
  const far = await farSide({ init: {} })
  const { backend, primary, dataset } = await acknowledging(far)
  await dataset.put('a', 1)
  await far.service().service.cairn.promote()
  await expectRefused(dataset.put('b', 2), 'fenced')
  expect((await newestCommit(backend)).fenced).toMatchObject({ by: { number: 2 }, count: 1 })
  await primary.close()
  const back = new Cairn(backend, { replicas: { stores: [far.target()] } })
  await expectRefused((await back.dataset()).put('c', 3), 'fenced')
  await back.close()
})

test('5,000 new entries of 100,000: the requests, and no more blocks than are new', async () => {
  const backend = openMemory()
  const primary = new Cairn(backend)
  const { dataset } = await primary.init('main', { content: 'external', chunkSize: 1000 })
  const fill = (from: number, count: number, of: string) =>
    dataset.appendBatch(
      Array.from({ length: count }, (_, i) => ({
        pi: `e${String(from + i).padStart(6, '0')}`,
        tip: tipOf(`${of}${from + i}`),
      })),
    )
  for (let from = 0; from < 100_000; from += 10_000) {
    await fill(from, 10_000, 'old')
    await dataset.build()
  }
  await dataset.prune({ policy: { last: 1 } })
  const far = await farSide()
  const source = primary.asSource()
  const first = await far.target().sync(source, 'main')
  expect(first).toMatchObject({ blocks: 221, requests: 9 })
  expect(calls(far, 0).length).toBe(9)
  for (let i = 0; i < 10; i++) await fill(50_000 + 500 * i, 500, 'new')
  const chain = far.sent.length
  const grown = await far.target().sync(source, 'main')
  // The log comes along with its newest block.
  expect(grown).toMatchObject({ blocks: 10, requests: 2 })
  await dataset.build()
  const built = await far.target().sync(source, 'main')
  expect(far.sent.length - chain).toBe(grown.requests + built.requests)
  // Header, kept list, root, and the leaves of 5,000 neighbours.
  expect(built).toMatchObject({ blocks: 13, requests: 5 })
  expect(await (await far.service().service.dataset('main')).count()).toBe(100_000)
}, 60_000)

test('writes that were made one after the other are brought in a few requests, whoever asks', async () => {
  const backend = openMemory()
  const primary = new Cairn(backend)
  const dataset = await primary.open()
  const far = await farSide()
  const { url } = await startService({ backend, init: null, automation: false })
  const asked: string[] = []
  const counted: typeof fetch = (input, init) => {
    asked.push(new URL(input instanceof Request ? input.url : input).pathname)
    return fetch(input, init)
  }
  const pulled = new Cairn(openMemory())
  const source = serviceSource(url, 'main', transport({ url, fetch: counted }))
  const both = async (): Promise<number[]> => {
    const pushed = await far.target().sync(primary.asSource(), 'main')
    const from = asked.length
    expect(await pulled.sync(source)).toMatchObject({ blocks: pushed.blocks })
    return [pushed.blocks, pushed.requests, asked.length - from]
  }
  await both()
  for (let i = 0; i < 100; i++) await dataset.put(`e${i}`, { i })
  // The commit with the first request; the log in one, its contents in three.
  expect(await both()).toEqual([200, 5, 5])
  for (let i = 0; i < 300; i++) await dataset.append({ pi: `e${i % 100}`, tip: null })
  expect(await both()).toEqual([300, 2, 2])
})
