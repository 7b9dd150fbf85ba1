/** What is held on a Kubo node by bundles and pins, in tests: many blocks put, swept, and looked for. */
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import { openKubo, type KuboOptions } from '../../src/backend/kubo/index.ts'
import { parseCid, printCid, type Block, type CidBytes } from '../../src/model/cid.ts'
import type { Backend, HeldBlock, HeldCid, Hold, Staging } from '../../src/store/backend.ts'
import { leaf, linking, pinsOf, request } from './kubo-blocks.ts'
import { askNode, startKuboNode, type KuboNode } from './kubo-node.ts'
import { startNodeProxy, type Fate, type NodeProxy } from './node-proxy.ts'

export const HOUR: number = 60 * 60_000
/** So many are bundled. */
export const MANY = 10

type Decide = (call: string) => Fate | Promise<Fate>

export interface NodeOfTests {
  readonly url: string
  /** What is opened is closed when the test has ended. */
  readonly open: (options?: Partial<KuboOptions>) => Promise<Backend>
  /** Opened with a clock that is so far ahead. */
  readonly later: (hours: number) => Promise<Backend>
  readonly proxyWith: (decide: Decide, url?: string) => Promise<NodeProxy>
  /** Opened behind a proxy. */
  readonly openThrough: (
    decide: Decide,
    options?: Partial<KuboOptions>,
  ) => Promise<[Backend, NodeProxy]>
  readonly onEnd: (clean: () => Promise<void>) => void
}

/** A node for the tests of a file, which finds nothing held on it before each. */
export function nodeOfTests(): NodeOfTests {
  let node: KuboNode | undefined
  const cleanups: (() => Promise<void>)[] = []
  const url = (): string => node?.url ?? 'no node has been started'
  beforeAll(async () => {
    node = await startKuboNode({ offline: true })
  }, 60_000)
  afterAll(() => node?.dispose())
  beforeEach(() => loseAllHolds(url()))
  afterEach(async () => {
    for (const clean of cleanups.splice(0).reverse()) await clean()
  })
  const onEnd = (clean: () => Promise<void>): void => void cleanups.push(clean)
  const open = async (options: Partial<KuboOptions> = {}): Promise<Backend> => {
    const backend = await openKubo({ url: url(), ...options })
    onEnd(() => backend.close())
    return backend
  }
  const proxyWith = async (decide: Decide, before = url()): Promise<NodeProxy> => {
    const proxy = await startNodeProxy(before, decide)
    onEnd(() => proxy.close())
    return proxy
  }
  return {
    get url() {
      return url()
    },
    open,
    later: (hours) => open({ now: () => Date.now() + hours * HOUR }),
    proxyWith,
    openThrough: async (decide, options = {}) => {
      const proxy = await proxyWith(decide)
      return [await open({ url: proxy.url, retryMs: 100, ...options }), proxy]
    },
    onEnd,
  }
}

/** Also what is not Cairn's: a new node has a pin of its own. */
export async function loseAllHolds(url: string): Promise<void> {
  await askNode(url, 'files/rm', { arg: '/cairn', force: 'true' })
  for (const type of ['recursive', 'direct'] as const) {
    const pins = await pinsOf(url, type)
    for (let at = 0; at < pins.length; at += 100)
      await askNode(url, 'pin/rm', [
        ...pins.slice(at, at + 100).map((cid): [string, string] => ['arg', cid]),
        ['recursive', String(type === 'recursive')],
      ])
  }
}

/** Blocks that are held, each with content of its own. */
export function manyDeep(): { readonly deep: HeldBlock[]; readonly content: Block[] } {
  const content = Array.from({ length: MANY }, leaf)
  return { deep: content.map((one) => linking('deep', one)), content }
}

export async function put(
  staging: Staging,
  deep: readonly HeldBlock[],
  content: readonly Block[],
): Promise<void> {
  const under = content.map((one): HeldBlock => ({ ...one, hold: 'under' }))
  await staging.put([...under, ...deep])
  await staging.flush()
}

/** Each by a pin of its own, as a commit holds what it names. */
export async function holdEach(backend: Backend, blocks: readonly HeldBlock[]): Promise<void> {
  const dataset = `held-${randomBytes(8).toString('hex')}`
  await backend.commit(request(0, { dataset, blocks }))
}

/** By a writer of its own, whose intents are gone when this is. */
export async function heldBefore(url: string, blocks: readonly HeldBlock[]): Promise<void> {
  const writer = await openKubo({ url })
  await holdEach(writer, blocks)
  await writer.close()
}

/** By a writer of its own that committed and ended well. */
export async function bundleOf(
  url: string,
  held: readonly HeldBlock[],
  content: readonly Block[],
): Promise<CidBytes> {
  const before = new Set(await pinsOf(url, 'recursive'))
  const writer = await openKubo({ url })
  const staging = await writer.stage('main', 'a restore')
  await put(staging, held, content)
  await staging.end('committed')
  await writer.close()
  const [bundle = ''] = (await pinsOf(url, 'recursive')).filter((cid) => !before.has(cid))
  return parseCid(bundle)
}

export const marksOf = (blocks: readonly HeldBlock[], hold?: Hold): HeldCid[] =>
  blocks.map((one) => ({ cid: one.cid, hold: (hold ?? one.hold) === 'self' ? 'self' : 'deep' }))

/** All that was ever put is offered, as one who prunes does. */
export async function sweep(
  backend: Backend,
  marks: readonly HeldCid[],
  offer: readonly HeldCid[] = [],
): Promise<number> {
  const one = await backend.sweep({ waitMs: 0 })
  try {
    await one.mark(marks)
    await one.offer(offer)
    return (await one.free()).blocks
  } finally {
    await one.end()
  }
}

export const pinCounts = async (url: string): Promise<[recursive: number, direct: number]> => [
  (await pinsOf(url, 'recursive')).length,
  (await pinsOf(url, 'direct')).length,
]

export async function allPins(url: string): Promise<Set<string>> {
  return new Set([...(await pinsOf(url, 'recursive')), ...(await pinsOf(url, 'direct'))])
}

/** Which of the blocks have a pin of their own. */
export async function pinned(url: string, blocks: readonly Block[]): Promise<boolean[]> {
  const pins = await allPins(url)
  return blocks.map(({ cid }) => pins.has(printCid(cid)))
}

export async function namesIn(url: string, path: string): Promise<string[]> {
  const answer = await askNode(url, 'files/ls', { arg: path }).catch(() => '{}')
  const { Entries } = JSON.parse(answer) as { Entries?: { Name: string }[] | null }
  return (Entries ?? []).map(({ Name }) => Name)
}

export async function survivors(backend: Backend, blocks: readonly Block[]): Promise<number> {
  await backend.compact()
  const there = await backend.hasBlocks(blocks.map(({ cid }) => cid))
  return there.filter(Boolean).length
}
