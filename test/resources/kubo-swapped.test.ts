/** A node that was emptied, or has another's repository now: nobody may take it for the one it was. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { refusal } from '../helpers/engine.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { startFaultProxy, type FaultProxy } from './faulty-node.ts'

let nodes: KuboNode[]
const cleanups: (() => Promise<void>)[] = []

beforeAll(async () => {
  nodes = await Promise.all([startKuboNode({ offline: true }), startKuboNode({ offline: true })])
}, 60_000)
afterAll(() => Promise.all(nodes.map((node) => node.dispose())))
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
  for (const { url } of nodes) await askNode(url, 'files/rm', { arg: '/cairn', force: 'true' })
})

const urlOf = (index: number): string => nodes[index]?.url ?? ''

/** One address, behind which is now this node and now that. */
async function address(): Promise<FaultProxy> {
  const proxy = await startFaultProxy(urlOf(0))
  cleanups.push(() => proxy.close())
  return proxy
}

async function openMain(url: string): Promise<Dataset> {
  const cairn = new Cairn(await openKubo({ url, retryMs: 500, openMs: 5_000 }))
  cleanups.push(() => cairn.close())
  await cairn.init('main', { content: 'external' })
  return cairn.dataset('main')
}

const TIP = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

async function append(dataset: Dataset, count: number, name: string): Promise<void> {
  for (let i = 0; i < count; i++) await dataset.append({ pi: `${name}-${i}`, tip: TIP })
}

const READS: readonly [string, (dataset: Dataset) => Promise<unknown>][] = [
  ['get', (dataset) => dataset.get('own-0')],
  ['list', (dataset) => dataset.list({ limit: 10 })],
  ['status', (dataset) => dataset.status()],
  ['snapshots', (dataset) => dataset.snapshots().next()],
]
const WRITES: readonly [string, (dataset: Dataset) => Promise<unknown>][] = [
  ['append', (dataset) => dataset.append({ pi: 'late', tip: TIP })],
  ['build', (dataset) => dataset.build()],
]

/** Until a writer has told them, readers alone must find out. */
test.each([
  ['nothing', undefined, READS],
  ['nothing', undefined, WRITES],
  ['a dataset with fewer commits', 1, READS],
  ['a dataset with fewer commits', 1, WRITES],
  ['a dataset with as many commits', 3, READS],
  ['a dataset with as many commits', 3, WRITES],
  ['a dataset with more commits', 5, READS],
  ['a dataset with more commits', 5, WRITES],
] as const)(
  'a node with %s in its place (%s) is not the one it was',
  async (_what, count, calls) => {
    const proxy = await address()
    const dataset = await openMain(proxy.url)
    await append(dataset, 3, 'own')
    if (count !== undefined) await append(await openMain(urlOf(1)), count, 'other')
    const there = await commitsOn(urlOf(1))
    proxy.pointAt(urlOf(1))
    for (const [name, call] of calls) {
      expect(`${name}: ${(await refusal(call(dataset))).code}`).toBe(`${name}: store_changed`)
    }
    expect(await commitsOn(urlOf(1))).toEqual(there)
    // The right one again, and all is well without opening anything anew.
    proxy.pointAt(urlOf(0))
    await append(dataset, 1, 'after')
    expect((await dataset.list({ limit: 10 })).totalCount).toBe(4)
  },
)

test('/cairn of another node, put in the place of ours, is noticed by who only reads', async () => {
  const dataset = await openMain(urlOf(0))
  await append(dataset, 3, 'own')
  await append(await openMain(urlOf(1)), 3, 'other')
  for (let number = 0; number < 4; number++) {
    const path = `/cairn/datasets/main/00000000/${String(number).padStart(10, '0')}`
    const text = await askNode(urlOf(1), 'files/read', { arg: path })
    const body = new FormData()
    body.append('file', new Blob([text]))
    await fetch(`${urlOf(0)}/api/v0/files/write?arg=${path}&truncate=true`, {
      method: 'POST',
      body,
    })
  }
  expect((await refusal(dataset.get('own-0'))).code).toBe('store_changed')
})

async function commitsOn(url: string): Promise<string> {
  const path = { arg: '/cairn/datasets/main/00000000', long: 'true', U: 'true' }
  return askNode(url, 'files/ls', path).catch((error: unknown) => String(error))
}
