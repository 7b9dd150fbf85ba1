/**
 * At every request that a sweep or a writer sends: it dies there, or another writer does all of its work
 * there. Then nothing that a commit needs is gone after a collection, and after two more sweeps nothing is
 * held that no commit needs.
 *
 * A sample by KUBO_BUNDLES_SEED; KUBO_BUNDLES=all takes every step.
 */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { isCairnError } from '../../src/errors.ts'
import { printCid, type Block } from '../../src/model/cid.ts'
import type { Backend, HeldBlock } from '../../src/store/backend.ts'
import { pinsOf, request } from '../helpers/kubo-blocks.ts'
import {
  bundleOf,
  HOUR,
  loseAllHolds,
  MANY,
  manyDeep,
  marksOf,
  namesIn,
  nodeOfTests,
  put,
  survivors,
  sweep,
} from '../helpers/kubo-holds.ts'
import { askNode } from '../helpers/kubo-node.ts'
import { startNodeProxy, type Fate } from '../helpers/node-proxy.ts'
import { Random } from '../helpers/random.ts'

const SEED = Number(process.env['KUBO_BUNDLES_SEED'] ?? randomInt(2 ** 31))
const ALL = process.env['KUBO_BUNDLES'] === 'all'
const SAMPLE = 3
const NEEDED = 7

const node = nodeOfTests()

interface Blocks {
  readonly deep: readonly HeldBlock[]
  readonly content: readonly Block[]
}

const withContent = ({ deep, content }: Blocks, from: number, to: number): Block[] => [
  ...deep.slice(from, to),
  ...content.slice(from, to),
]

async function withBackend<T>(
  url: string,
  hours: number,
  use: (backend: Backend) => Promise<T>,
): Promise<T> {
  const backend = await openKubo({ url, retryMs: 0, now: () => Date.now() + hours * HOUR })
  try {
    return await use(backend)
  } finally {
    await backend.close()
  }
}

/** As `withBackend`, of one who may be cut off: how it ends is not asked. */
async function dying(url: string, use: (backend: Backend) => Promise<unknown>): Promise<void> {
  await withBackend(url, 0, use).catch((error: unknown) => {
    if (!isCairnError(error)) throw error
  })
}

/** A proxy that does something at one request, counted from 0; answers how many there were. */
async function atStep(
  step: number,
  meet: () => Fate | Promise<Fate>,
  use: (url: string) => Promise<unknown>,
): Promise<number> {
  let count = 0
  let dead = false
  const proxy = await startNodeProxy(node.url, async (call) => {
    if (call === 'version') return 'pass'
    if (dead) return 'lose'
    if (count++ !== step) return 'pass'
    const fate = await meet()
    dead = fate !== 'pass'
    return fate
  })
  try {
    await use(proxy.url)
    return count
  } finally {
    await proxy.close()
  }
}

/** Which steps to try, of as many as there are when nothing happens. */
function stepsOf(count: number): number[] {
  const all = Array.from({ length: count }, (_, step) => step)
  if (ALL) return all
  const random = new Random(SEED)
  return all
    .map((step) => ({ step, at: random.next() }))
    .toSorted((a, b) => a.at - b.at)
    .slice(0, SAMPLE)
    .map(({ step }) => step)
}

/** Two sweeps, hours later, of which the first may find what the dead left. */
async function expectExactly(needed: readonly HeldBlock[], blocks: Blocks): Promise<void> {
  for (const hours of [3, 6])
    await withBackend(node.url, hours, (backend) =>
      sweep(backend, marksOf(needed), marksOf(blocks.deep)),
    )
  const held = new Set(needed.map(({ cid }) => printCid(cid)))
  const content = blocks.content.filter((_, i) =>
    held.has(printCid(blocks.deep[i]?.cid ?? new Uint8Array())),
  )
  const there = await withBackend(node.url, 6, (backend) =>
    survivors(backend, [...needed, ...content]),
  )
  expect(there).toBe(2 * needed.length)
  const pins = await pinsOf(node.url, 'recursive')
  const bundles = await namesIn(node.url, '/cairn/bundles')
  expect(pins.filter((cid) => !held.has(cid)).sort(), 'pins of bundles').toEqual(bundles.sort())
  expect(bundles.length === 0 || needed.length > 0, 'bundles that nothing needs').toBe(true)
  expect(await namesIn(node.url, '/cairn/intents')).toEqual([])
  expect(await pinsOf(node.url, 'direct')).toEqual([])
}

const isCommitted = async (): Promise<boolean> =>
  (await namesIn(node.url, '/cairn/datasets/main/00000000')).length > 0

/** One that reads the commits once it has begun: what was committed by then is marked, of the first `count`. */
const sweepOf =
  ({ deep }: Blocks, count = 0) =>
  async (backend: Backend): Promise<void> => {
    const one = await backend.sweep({ waitMs: 0 })
    try {
      await one.mark(marksOf(deep.slice(0, (await isCommitted()) ? count : 0)))
      await one.mark(marksOf(deep.slice(MANY - NEEDED)))
      await one.offer(marksOf(deep))
      await one.free()
    } finally {
      await one.end()
    }
  }

for (const fate of ['lose', 'mute'] as const)
  test(`a sweep that dies at any request loses nothing, and the next ones end its work (${fate})`, async () => {
    const once = async (step: number): Promise<number> => {
      await loseAllHolds(node.url)
      const blocks = manyDeep()
      await bundleOf(node.url, blocks.deep, blocks.content)
      const count = await atStep(
        step,
        () => fate,
        (url) => dying(url, sweepOf(blocks)),
      )
      const needed = withContent(blocks, MANY - NEEDED, MANY)
      expect(await withBackend(node.url, 0, (one) => survivors(one, needed))).toBe(2 * NEEDED)
      await expectExactly(blocks.deep.slice(MANY - NEEDED), blocks)
      await expectExactly([], blocks)
      return count
    }
    for (const step of stepsOf(await once(-1)))
      await once(step).catch((error: unknown) => {
        throw new Error(`step ${step}, seed ${SEED}`, { cause: error })
      })
  }, 600_000)

for (const outcome of ['committed', 'dropped'] as const)
  for (const fate of ['lose', 'mute'] as const)
    test(`a writer that dies at any request leaves what it committed, and nothing else for good (${outcome}, ${fate})`, async () => {
      const once = async (step: number): Promise<number> => {
        await loseAllHolds(node.url)
        const blocks = manyDeep()
        const count = await atStep(
          step,
          () => fate,
          (url) =>
            dying(url, async (backend) => {
              const staging = await backend.stage('main', 'a build')
              try {
                await put(staging, blocks.deep, blocks.content)
                if (outcome === 'committed') await backend.commit(request(0, { staging }))
              } finally {
                await staging.end(outcome)
              }
            }),
        )
        await expectExactly((await isCommitted()) ? blocks.deep : [], blocks)
        await expectExactly([], blocks)
        return count
      }
      for (const step of stepsOf(await once(-1)))
        await once(step).catch((error: unknown) => {
          throw new Error(`step ${step}, seed ${SEED}`, { cause: error })
        })
    }, 600_000)

test('a collection at any request of a writer takes nothing that it commits', async () => {
  const once = async (step: number): Promise<number> => {
    await loseAllHolds(node.url)
    const blocks = manyDeep()
    let collecting: Promise<string> | undefined
    const meet = async (): Promise<Fate> => {
      collecting = askNode(node.url, 'repo/gc', { quiet: 'true' })
      // It may wait for this very request.
      await Promise.race([collecting, sleep(150)])
      return 'pass'
    }
    const count = await atStep(step, meet, (url) =>
      withBackend(url, 0, async (backend) => {
        const staging = await backend.stage('main', 'a build')
        await put(staging, blocks.deep, blocks.content)
        expect(await backend.commit(request(0, { staging }))).toBe('committed')
        await staging.end('committed')
      }),
    )
    await collecting
    await expectExactly(blocks.deep, blocks)
    return count
  }
  for (const step of stepsOf(await once(-1)))
    await once(step).catch((error: unknown) => {
      throw new Error(`step ${step}, seed ${SEED}`, { cause: error })
    })
}, 600_000)

/** What another writer does meanwhile, and how many of the blocks its commit needs, from the first. */
const WRITERS: Readonly<Record<string, readonly [number, (blocks: Blocks) => Promise<void>]>> = {
  'puts all in a bundle of its own': [
    MANY,
    (blocks) =>
      withBackend(node.url, 0, async (backend) => {
        const staging = await backend.stage('main', 'a build')
        await put(staging, blocks.deep, blocks.content)
        expect(await backend.commit(request(0, { staging }))).toBe('committed')
        await staging.end('committed')
      }),
  ],
  'needs a few of those that go': [
    2,
    (blocks) =>
      withBackend(node.url, 0, async (backend) => {
        const [some, content] = [blocks.deep.slice(0, 2), blocks.content.slice(0, 2)]
        expect(await backend.commit(request(0, { blocks: some, content }))).toBe('committed')
      }),
  ],
  'puts all and drops it': [
    0,
    (blocks) =>
      withBackend(node.url, 0, async (backend) => {
        const staging = await backend.stage('main', 'a build')
        await put(staging, blocks.deep, blocks.content)
        await staging.end('dropped')
      }),
  ],
}

const cases = Object.entries(WRITERS).flatMap(([name, writer]) =>
  (['a bundle', 'pins of their own'] as const).map((by) => [name, by, ...writer] as const),
)

for (const [name, by, count, write] of cases)
  test(`a writer that ${name} at any request of a sweep keeps what it commits (held by ${by})`, async () => {
    const once = async (step: number): Promise<number> => {
      await loseAllHolds(node.url)
      await askNode(node.url, 'files/mkdir', { arg: '/cairn', parents: 'true' })
      const blocks = manyDeep()
      // Few at a time get pins of their own.
      const size = by === 'a bundle' ? MANY : MANY / 2
      for (let at = 0; at < MANY; at += size) {
        const [some, content] = [
          blocks.deep.slice(at, at + size),
          blocks.content.slice(at, at + size),
        ]
        await bundleOf(node.url, some, content)
      }
      let writing: Promise<void> | undefined
      const meet = async (): Promise<Fate> => {
        writing = write(blocks)
        // It may wait for this very sweep.
        await Promise.race([writing, sleep(150)])
        return 'pass'
      }
      const requests = await atStep(step, meet, (url) =>
        withBackend(url, 0, sweepOf(blocks, count)),
      )
      await writing
      const needed = [
        ...new Set([
          ...blocks.deep.slice(0, writing ? count : 0),
          ...blocks.deep.slice(MANY - NEEDED),
        ]),
      ]
      const theirs = withContent(blocks, 0, writing ? count : 0)
      const there = await withBackend(node.url, 0, (one) => survivors(one, theirs))
      expect(there).toBe(theirs.length)
      await expectExactly(needed, blocks)
      await expectExactly([], blocks)
      return requests
    }
    for (const step of stepsOf(await once(-1)))
      await once(step).catch((error: unknown) => {
        throw new Error(`step ${step}, seed ${SEED}`, { cause: error })
      })
  }, 600_000)
