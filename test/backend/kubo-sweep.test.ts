/** Letting go of pins while others go on writing: nothing that is needed, and all that is not. */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { openKubo, type KuboOptions } from '../../src/backend/kubo/index.ts'
import { isCairnError } from '../../src/errors.ts'
import { printCid, type Block } from '../../src/model/cid.ts'
import type { Backend, HeldBlock, HeldCid } from '../../src/store/backend.ts'
import { leaf, linking, request } from '../helpers/kubo-blocks.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { startNodeProxy, type Fate, type NodeProxy } from '../helpers/node-proxy.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

let node: KuboNode
const cleanups: (() => Promise<void>)[] = []

beforeAll(async () => {
  node = await startKuboNode({ offline: true })
}, 60_000)
afterAll(() => node.dispose())
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
  await askNode(node.url, 'files/rm', { arg: '/cairn', force: 'true' })
})

async function open(url: string, more: Partial<KuboOptions> = {}): Promise<Backend> {
  const backend = await openKubo({ url, ...more })
  cleanups.push(() => backend.close())
  return backend
}

async function openThrough(
  decide: (call: string) => Fate | Promise<Fate>,
  more: Partial<KuboOptions> = {},
): Promise<[Backend, NodeProxy]> {
  const proxy = await startNodeProxy(node.url, decide)
  cleanups.push(() => proxy.close())
  return [await open(proxy.url, { retryMs: 100, ...more }), proxy]
}

/** A node of its own: what a kill leaves must not lie in the way of the next try. */
async function ownNode(): Promise<KuboNode> {
  const own = await startKuboNode({ offline: false })
  cleanups.push(() => own.dispose())
  return own
}
/** See kubo-crash.test.ts: Kubo itself may not come back from a kill. */
const ON_A_NEW_NODE = { timeout: 30_000, retry: { count: 2, condition: /error loading filesroot/ } }

/** So few at a time that each gets a pin of its own. */
async function stage(backend: Backend, blocks: readonly HeldBlock[]): Promise<void> {
  const staging = await backend.stage('main', 'a build')
  for (let at = 0; at < blocks.length; at += 7) {
    await staging.put(blocks.slice(at, at + 7))
    await staging.flush()
  }
  await staging.end('committed')
}

/** By a writer of its own, whose intents are gone when this is. */
async function stageBefore(blocks: readonly HeldBlock[], url = node.url): Promise<void> {
  const writer = await open(url)
  await stage(writer, blocks)
  await writer.close()
}

const held = (...blocks: readonly HeldBlock[]): HeldCid[] =>
  blocks.map(({ cid, hold }) => ({ cid, hold: hold === 'self' ? 'self' : 'deep' }))

async function allPins(url = node.url): Promise<Set<string>> {
  const pins = new Set<string>()
  for (const type of ['recursive', 'direct']) {
    const answer = JSON.parse(await askNode(url, 'pin/ls', { type })) as { Keys?: object }
    for (const cid of Object.keys(answer.Keys ?? {})) pins.add(cid)
  }
  return pins
}

const pinned = async (blocks: readonly Block[], url = node.url): Promise<boolean[]> => {
  const pins = await allPins(url)
  return blocks.map(({ cid }) => pins.has(printCid(cid)))
}

const listed = async (path: string): Promise<number> => {
  const answer = await askNode(node.url, 'files/ls', { arg: path }).catch(() => '{}')
  return ((JSON.parse(answer) as { Entries?: unknown[] | null }).Entries ?? []).length
}

/** One whole sweep. */
async function sweep(
  backend: Backend,
  { marks = [], offers = [] }: { marks?: readonly HeldBlock[]; offers?: readonly HeldBlock[] } = {},
): Promise<number> {
  const one = await backend.sweep({ waitMs: 0 })
  try {
    await one.mark(held(...marks))
    await one.offer(held(...offers))
    return (await one.free()).blocks
  } finally {
    await one.end()
  }
}

test('a sweep lets go of what has no mark, and a collection then removes that and only that', async () => {
  const backend = await open(node.url)
  const [ours, gone] = [leaf(), leaf()]
  const keptDeep = linking('deep', ours)
  const keptAlone = linking('self', leaf())
  const goneDeep = linking('deep', gone)
  const goneAlone = linking('self', leaf())
  const unoffered = linking('deep')
  const blocks = [keptDeep, keptAlone, goneDeep, goneAlone, unoffered]
  const content = [ours, gone]
  expect(await backend.commit(request(0, { blocks, content }))).toBe('committed')
  const one = await backend.sweep({ waitMs: 0 })
  expect(one.frees).toBe('holds')
  expect(await one.mark(held(keptDeep, keptAlone, keptDeep))).toEqual([true, true, false])
  await one.offer(held(keptDeep, goneDeep, goneAlone, linking('deep')))
  let done = 0
  expect(await one.free({ onProgress: (count) => (done = count) })).toEqual({
    blocks: 2,
    bytes: undefined,
  })
  await one.end()
  expect(done).toBe(2)
  expect(await pinned(blocks)).toEqual([true, true, false, false, true])
  const { before = 0, after = Infinity } = await backend.compact()
  expect(after).toBeLessThan(before)
  const has = await backend.hasBlocks([...blocks, ...content].map(({ cid }) => cid))
  expect(has).toEqual([true, true, false, false, true, true, false])
  expect(await listed('/cairn/sweeps')).toBe(0)
  expect(await listed('/cairn/condemned')).toBe(0)
})

test('a pin that the node’s owner gave a name is not dropped', async () => {
  const backend = await open(node.url)
  const [deep, alone, plain] = [linking('deep'), linking('self'), linking('deep')]
  await stageBefore([deep, alone, plain])
  await askNode(node.url, 'pin/add', { arg: printCid(deep.cid), name: 'mine' })
  await askNode(node.url, 'pin/add', { arg: printCid(alone.cid), name: 'too', recursive: 'false' })
  expect(await sweep(backend, { offers: [deep, alone, plain] })).toBe(1)
  expect(await pinned([deep, alone, plain])).toEqual([true, true, false])
})

test('more pins than fit a request go, though some of them are gone before their turn', async () => {
  const others = Array.from({ length: 5 }, () => linking('deep'))
  let first = true
  const [backend] = await openThrough(async (call) => {
    if (first && call.startsWith('pin/rm')) {
      first = false
      for (const { cid } of others) await askNode(node.url, 'pin/rm', { arg: printCid(cid) })
    }
    return 'pass' as const
  })
  const many = Array.from({ length: 300 }, (_, i) => linking(i % 3 === 0 ? 'self' : 'deep'))
  await stageBefore([...many, ...others])
  expect(await sweep(backend, { offers: [...many, ...others] })).toBeGreaterThanOrEqual(300)
  expect((await pinned([...many, ...others])).some(Boolean)).toBe(false)
})

test('one sweep at a time: another is busy, and has its turn afterwards', async () => {
  const [one, two] = [await open(node.url), await open(node.url)]
  const first = await one.sweep({ waitMs: 0 })
  await expect(two.sweep({ waitMs: 150 })).rejects.toMatchObject({ code: 'busy' })
  const waiting = two.sweep({ waitMs: 5_000 })
  await sleep(100)
  await first.end()
  const second = await waiting
  await expect(first.free()).rejects.toMatchObject({ code: 'closed' })
  await second.end()
  const tries = await Promise.allSettled(
    Array.from({ length: 6 }, () => one.sweep({ waitMs: 2_000 })),
  )
  const won = tries.filter((each) => each.status === 'fulfilled')
  expect(won.length).toBeLessThanOrEqual(1)
  for (const { value } of won) await value.end()
})

// --- Writers and a sweep ----------------------------------------------------------------------------

test('a writer that comes upon a condemned pin waits, and makes it again', async () => {
  const block = linking('deep')
  let reached = (): void => {}
  let letGo = (): void => {}
  const atPinRm = new Promise<void>((resolve) => (reached = resolve))
  const mayGoOn = new Promise<void>((resolve) => (letGo = resolve))
  const [sweeper] = await openThrough(async (call): Promise<Fate> => {
    if (!call.startsWith('pin/rm')) return 'pass'
    reached()
    await mayGoOn
    return 'pass'
  })
  await stageBefore([block])
  const sweeping = sweep(sweeper, { offers: [block] })
  await atPinRm
  // Its intent comes too late for the sweep to see.
  const late = await open(node.url)
  let staged = false
  const staging = stage(late, [block]).then(() => (staged = true))
  await sleep(200)
  const early = staged
  letGo()
  expect(await sweeping).toBe(1)
  expect(early).toBe(false)
  await staging
  expect(await pinned([block])).toEqual([true])
})

test('a pin of a block alone that is about to go does not take one that is deep with it', async () => {
  const block = linking('self')
  await stageBefore([block])
  const writer = await open(node.url)
  const [sweeper] = await openThrough(async (call): Promise<Fate> => {
    if (call.startsWith('pin/rm')) await stage(writer, [{ ...block, hold: 'deep' }])
    return 'pass'
  })
  await sweep(sweeper, { offers: [block] })
  expect(await pinned([block])).toEqual([true])
})

test('a sweep spares what a writer has said to rely on before the sweep looked', async () => {
  const block = linking('deep')
  await stageBefore([block])
  const builder = await open(node.url)
  const staging = await builder.stage('main', 'a build')
  await staging.put([block])
  await staging.flush()
  expect(await sweep(await open(node.url), { offers: [block] })).toBe(0)
  expect(await pinned([block])).toEqual([true])
  await staging.end('dropped')
})

test('a writer and a sweep that want the same pin at the same time: it stays, whoever is first', async () => {
  const jitter = async (): Promise<Fate> => {
    if (randomInt(3) === 0) await sleep(randomInt(12))
    return 'pass'
  }
  const [sweeper] = await openThrough(jitter)
  const [writer] = await openThrough(jitter)
  let freed = 0
  const ROUNDS = 25
  for (let round = 0; round < ROUNDS; round++) {
    const [shared, alone, unneeded] = [linking('deep'), linking('self'), linking('deep')]
    await stageBefore([shared, alone, unneeded])
    const [count] = await Promise.all([
      sweep(sweeper, { offers: [shared, alone, unneeded] }),
      sleep(randomInt(60)).then(() => stage(writer, [shared, alone])),
    ])
    freed += count
    expect(await pinned([shared, alone, unneeded]), `round ${round}`).toEqual([true, true, false])
  }
  // Both orders came.
  expect(freed).toBeGreaterThan(ROUNDS)
  expect(freed).toBeLessThan(ROUNDS * 3)
}, 30_000)

test('what was committed after the marks were made is not let go of', async () => {
  const blocks = [linking('deep'), linking('self')]
  await stageBefore(blocks)
  const sweeper = await open(node.url)
  const one = await sweeper.sweep({ waitMs: 0 })
  const again = await open(node.url)
  await stage(again, blocks)
  expect(await again.commit(request(0, { blocks: [linking('deep')] }))).toBe('committed')
  await again.close()
  await one.offer(held(...blocks))
  expect((await one.free()).blocks).toBe(0)
  await one.end()
  expect(await pinned(blocks)).toEqual([true, true])
})

test('commits during a sweep leave few files, and none once it has ended', async () => {
  const writer = await open(node.url)
  const one = await writer.sweep({ waitMs: 0 })
  for (let number = 0; number < 60; number++) {
    await writer.commit(request(number, { blocks: [linking('deep')] }))
  }
  await sleep(500)
  expect(await listed('/cairn/intents')).toBeLessThan(45)
  await one.end()
  await writer.commit(request(60, { blocks: [linking('deep')] }))
  await writer.close()
  expect(await listed('/cairn/intents')).toBe(0)
})

test('a commit whose pins are new asks the node nothing more because of sweeps', async () => {
  const [backend, proxy] = await openThrough(() => 'pass')
  await backend.commit(request(0, { blocks: [linking('deep')] }))
  await sleep(400)
  proxy.seen.length = 0
  await backend.commit(request(1, { blocks: [linking('deep')] }))
  const asked = proxy.seen.map((call) => call.split(' ')[0] ?? '').toSorted()
  const commit = [
    'dag/import',
    'files/cp',
    'files/cp',
    'files/read',
    'files/read',
    'files/stat',
    'pin/ls',
  ]
  // The background looks whether a sweep is under way, once for all commits of a fifth of a second.
  expect(asked.filter((call) => call !== 'files/ls' && call !== 'files/rm')).toEqual(commit)
})

// --- Crashes ----------------------------------------------------------------------------------------

test('what a crashed staging held is let go of an hour later, by its intents', async () => {
  let now = Date.now()
  const clock = (): number => now
  const crashed = await open(node.url, { now: clock })
  const [lost, kept] = [linking('deep'), linking('self')]
  const staging = await crashed.stage('main', 'a build')
  await staging.put([lost, kept, linking('staged')])
  await staging.flush()
  const before = (await allPins()).size
  await crashed.close()
  const backend = await open(node.url, { now: clock })
  now += 59 * MINUTE
  expect(await sweep(backend)).toBe(0)
  now += 2 * MINUTE
  // A commit names one of them.
  expect(await sweep(backend, { marks: [kept] })).toBe(2)
  expect(await pinned([lost, kept])).toEqual([false, true])
  expect((await allPins()).size).toBe(before - 2)
  expect(await listed('/cairn/intents')).toBe(0)
})

test('an intent that cannot be read stops a sweep for an hour, and is told of afterwards', async () => {
  let now = Date.now()
  const told: unknown[] = []
  const backend = await open(node.url, { now: () => now, onBackgroundError: (e) => told.push(e) })
  const block = linking('deep')
  await stageBefore([block])
  const name = `${new Date(now).toISOString().replace(/[-:]/g, '')}-0123456789ab`
  await askNode(node.url, 'files/cp', [
    ['arg', `/ipfs/${printCid(Uint8Array.from([1, 0x55, 0, 4, 0x6f, 0x6f, 0x70, 0x73]))}`],
    ['arg', `/cairn/intents/${name}`],
  ])
  await expect(sweep(backend, { offers: [block] })).rejects.toMatchObject({ code: 'busy' })
  expect(await pinned([block])).toEqual([true])
  now += HOUR + MINUTE
  expect(await sweep(backend, { offers: [block] })).toBe(1)
  expect(told).toMatchObject([{ code: 'busy' }])
})

test(
  'a sweep whose node is killed in the middle is finished by the next one',
  ON_A_NEW_NODE,
  async () => {
    const own = await ownNode()
    let requests = 0
    const proxy = await startNodeProxy(own.url, (call) => {
      if (call.startsWith('pin/rm') && ++requests === 3) setTimeout(() => void own.kill(), 1)
      return 'pass'
    })
    cleanups.push(() => proxy.close())
    const backend = await open(proxy.url, { retryMs: 15_000 })
    const gone = Array.from({ length: 400 }, () => linking('deep'))
    const kept = Array.from({ length: 20 }, () => linking('deep'))
    await stageBefore([...gone, ...kept], own.url)
    const one = await backend.sweep({ waitMs: 0 })
    await one.mark(held(...kept))
    await one.offer(held(...gone, ...kept))
    const freeing = one.free().catch((error: unknown) => error)
    await sleep(300)
    while (requests < 3) await sleep(10)
    await own.restart()
    expect(isCairnError(await freeing)).toBe(true)
    await one.end()
    const left = (await pinned(gone, own.url)).filter(Boolean).length
    expect(left).toBeGreaterThan(0)
    expect(await sweep(backend, { marks: kept, offers: [...gone, ...kept] })).toBe(left)
    expect((await pinned(gone, own.url)).some(Boolean)).toBe(false)
    expect((await pinned(kept, own.url)).every(Boolean)).toBe(true)
  },
)

test('a sweeper that dies in the middle stands in the way for an hour, and no longer', async () => {
  let now = Date.now()
  const clock = (): number => now
  let requests = 0
  let dead = false
  const [sweeper] = await openThrough(
    (call) => {
      dead ||= call.startsWith('pin/rm') && ++requests === 2
      return dead ? 'lose' : 'pass'
    },
    { now: clock, commitDeadlineMs: 1_000 },
  )
  const gone = Array.from({ length: 300 }, () => linking('deep'))
  await stageBefore(gone)
  const backend = await open(node.url, { now: clock, commitDeadlineMs: 1_000 })
  await expect(sweep(sweeper, { offers: gone })).rejects.toMatchObject({
    code: 'backend_unavailable',
  })
  const pins = await allPins()
  const left = gone.filter(({ cid }) => pins.has(printCid(cid))).slice(0, 1)
  await expect(backend.sweep({ waitMs: 0 })).rejects.toMatchObject({ code: 'busy' })
  // Whether its last request is still on its way nobody knows: who relies on those pins waits.
  await expect(stage(backend, left)).rejects.toMatchObject({ code: 'backend_timeout' })
  now += HOUR + MINUTE
  const after = await open(node.url, { now: clock })
  await stage(after, left)
  expect(await sweep(after, { offers: gone, marks: left })).toBeGreaterThan(0)
  expect(await pinned(gone)).toEqual(gone.map((block) => block === left[0]))
  expect(await listed('/cairn/sweeps')).toBe(0)
  expect(await listed('/cairn/condemned')).toBe(0)
})

test('pins whose answer was lost are not asked for twice, and the sweep can be made again', async () => {
  let lost = false
  const [sweeper, proxy] = await openThrough((call) => {
    if (lost || !call.startsWith('pin/rm')) return 'pass'
    lost = true
    return 'mute'
  })
  const gone = Array.from({ length: 10 }, () => linking('deep'))
  await stageBefore(gone)
  await expect(sweep(sweeper, { offers: gone })).rejects.toMatchObject({
    code: 'backend_unavailable',
  })
  expect(proxy.seen.filter((call) => call.startsWith('pin/rm'))).toHaveLength(1)
  expect(await listed('/cairn/sweeps')).toBe(0)
  await sweep(sweeper, { offers: gone })
  expect((await pinned(gone)).some(Boolean)).toBe(false)
})

test('a sweeper that slept does not go on', async () => {
  let now = Date.now()
  const backend = await open(node.url, { now: () => now })
  const block = linking('deep')
  await stage(backend, [block])
  const one = await backend.sweep({ waitMs: 0 })
  await one.offer(held(block))
  now += 31 * MINUTE
  await expect(one.free()).rejects.toMatchObject({ code: 'backend_timeout' })
  await one.end()
  expect(await pinned([block])).toEqual([true])
})

test('whole directories of old commits are forgotten, never the two newest', async () => {
  const backend = await open(node.url)
  for (let number = 0; number < 515; number++) await backend.commit(request(number))
  await backend.forget('main', 255)
  expect(await backend.oldest('main')).toBe(0)
  await backend.forget('main', 400)
  expect(await backend.oldest('main')).toBe(256)
  await backend.forget('main', 10_000)
  expect(await backend.oldest('main')).toBe(256)
  expect((await backend.newest('main', -1))?.number).toBe(514)
  await backend.forget('nothing', 10_000)
})
