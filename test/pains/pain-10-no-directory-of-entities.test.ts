/**
 * Pain P10: every listing walked a directory of the node's MFS with a name for each entity, and timed out at
 * 40,000 of them. Here MFS holds a handful of names however many entities there are, and what a request asks
 * of the node does not grow with them. With the real `cairn serve` on a real node, all of whose calls are seen.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { startNodeProxy, type NodeProxy } from '../helpers/node-proxy.ts'
import { request } from '../helpers/service.ts'
import { serve } from '../helpers/served.ts'
import { Sandbox } from '../cli/sandbox.ts'

const SIZES = { few: 200, many: 40_000 } as const
const TIP = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const id = (n: number): string => `pi-${String(n).padStart(6, '0')}`

let sandbox: Sandbox
let node: KuboNode
let proxy: NodeProxy

beforeAll(async () => {
  ;[sandbox, node] = await Promise.all([Sandbox.make(), startKuboNode()])
  proxy = await startNodeProxy(node.url, () => 'pass')
  for (const [dataset, size] of Object.entries(SIZES)) {
    const lines = Array.from({ length: size }, (_, n) => `{"pi":"${id(n)}","tip":"${TIP}"}\n`)
    // Small leaves: whoever reads all of them cannot hide it.
    const made = { CAIRN_CONTENT: 'external', CAIRN_CHUNK_SIZE: '256' }
    const env = { CAIRN_STORE: `kubo:${node.url}`, ...made }
    await sandbox.ok(['import', '-', '-d', dataset], { env, input: lines.join('') })
    await sandbox.ok(['build-snapshot', '-d', dataset], { env })
  }
})

afterAll(async () => {
  await proxy.close()
  await node.dispose()
  await sandbox.remove()
})

interface Entries {
  readonly Entries: { readonly Name: string; readonly Type: number }[] | null
}

/** All names in MFS, and how many the largest directory has. */
async function namesBelow(path: string): Promise<{ names: number; largest: number }> {
  const listing = await askNode(node.url, 'files/ls', { arg: path || '/', long: 'true' })
  const entries = (JSON.parse(listing) as Entries).Entries ?? []
  const folders = entries.filter(({ Type }) => Type === 1).map(({ Name }) => `${path}/${Name}`)
  const below = await Promise.all(folders.map(namesBelow))
  return {
    names: below.reduce((sum, { names }) => sum + names, entries.length),
    largest: Math.max(entries.length, ...below.map(({ largest }) => largest)),
  }
}

test('P10: 40,000 entities are no directory: names in MFS and calls of the node stay as few', async () => {
  const env = { CAIRN_STORE: `kubo:${proxy.url}`, CAIRN_CONTENT: 'external' }
  const quiet = ['--health-interval', '1h', '--build-schedule', 'never', '--save', 'never']
  const served = await serve(sandbox, [...quiet, '--cache-bytes', '1MiB'], env)

  /** What the node is asked for while the service answers one request. */
  const callsOf = async (
    dataset: keyof typeof SIZES,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ calls: number; json: Record<string, unknown> }> => {
    const before = proxy.seen.length
    const url = `${served.url}/v1/datasets/${dataset}/${path}`
    const { status, json, text } = await request(url, method, body)
    if (status > 202) throw new Error(`${status}: ${text}`)
    return { calls: proxy.seen.length - before, json: json as Record<string, unknown> }
  }

  const asked = async (dataset: keyof typeof SIZES): Promise<number[]> => {
    const size = SIZES[dataset]
    const page = async (query: string): Promise<{ calls: number; first: string }> => {
      const { calls, json } = await callsOf(dataset, 'GET', `entities?limit=10&${query}`)
      expect(json).toMatchObject({ total_count: size })
      const { items } = json as { items: { pi: string }[] }
      expect(items).toHaveLength(10)
      return { calls, first: items[0]?.pi ?? '' }
    }
    const newest = await page('')
    const deep = await page(`offset=${size / 2}`)
    const oldest = await page('order=asc')
    expect([newest.first, deep.first, oldest.first]).toEqual([
      id(size - 1),
      id(size / 2 - 1),
      id(0),
    ])
    const one = await callsOf(dataset, 'GET', `entities/${id((size / 3) | 0)}`)
    const put = await callsOf(dataset, 'PUT', `entities/${id(7)}`, { tip: TIP, ver: 2 })
    const job = await callsOf(dataset, 'POST', 'jobs', { kind: 'build' })
    const { id: jobId } = job.json['job'] as { id: string }
    const built = await callsOf(dataset, 'GET', `jobs/${jobId}?wait_ms=30000`)
    expect(built.json).toMatchObject({ job: { state: 'succeeded', result: { folded: 1 } } })
    return [newest.calls, deep.calls, oldest.calls, one.calls, put.calls, job.calls + built.calls]
  }

  const few = await asked('few')
  const many = await asked('many')
  // A tree of 40,000 has one or two levels more, and what looks after both asks for where they stand.
  const allowed = few.map((calls) => calls + 20)
  expect({ many, allowed, more: many.filter((calls, i) => calls > (allowed[i] ?? 0)) }).toEqual({
    many,
    allowed,
    more: [],
  })
  const listings = proxy.seen.filter((call) => call.startsWith('files/ls'))
  expect(listings.filter((call) => !call.startsWith('files/ls /cairn'))).toEqual([])

  const { names, largest } = await namesBelow('')
  expect(largest).toBeLessThan(20)
  expect(names).toBeLessThan(60)
})
