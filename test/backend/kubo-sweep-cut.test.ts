/** Sweeps that are cut off: by a death, a lost answer, a sleep. What is needed stays, and the next sweep ends it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { isCairnError } from '../../src/errors.ts'
import { printCid, type Block } from '../../src/model/cid.ts'
import type { Backend, HeldBlock, HeldCid } from '../../src/store/backend.ts'
import { linking } from '../helpers/kubo-blocks.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import {
  allPins,
  HOUR,
  marksOf,
  namesIn,
  nodeOfTests,
  pinned,
  heldBefore,
  holdEach,
  sweep as sweepAll,
} from '../helpers/kubo-holds.ts'

const MINUTE = 60_000

const node = nodeOfTests()
const { open, openThrough, proxyWith } = node

/** A node of its own: what a kill leaves must not lie in the way of the next try. */
async function ownNode(): Promise<KuboNode> {
  const own = await startKuboNode({ offline: false })
  node.onEnd(() => own.dispose())
  return own
}
/** See kubo-crash.test.ts: Kubo itself may not come back from a kill. */
const ON_A_NEW_NODE = { timeout: 30_000, retry: { count: 2, condition: /error loading filesroot/ } }

const holdBefore = (blocks: readonly HeldBlock[], url = node.url): Promise<void> =>
  heldBefore(url, blocks)

const held = (...blocks: readonly HeldBlock[]): HeldCid[] => marksOf(blocks)

const isPinned = (blocks: readonly Block[], url = node.url): Promise<boolean[]> =>
  pinned(url, blocks)

const listed = async (path: string): Promise<number> => (await namesIn(node.url, path)).length

const sweep = (
  backend: Backend,
  { marks = [], offers = [] }: { marks?: readonly HeldBlock[]; offers?: readonly HeldBlock[] } = {},
): Promise<number> => sweepAll(backend, marksOf(marks), marksOf(offers))

test('what a crashed staging held is let go of an hour later, by its intents', async () => {
  let now = Date.now()
  const clock = (): number => now
  const crashed = await open({ now: clock })
  const [lost, kept] = [linking('deep'), linking('self')]
  const staging = await crashed.stage('main', 'a build')
  await staging.put([lost, kept, linking('staged')])
  await staging.flush()
  await crashed.close()
  const backend = await open({ now: clock })
  now += 59 * MINUTE
  expect(await sweep(backend)).toBe(0)
  now += 2 * MINUTE
  // A commit names one of them.
  expect(await sweep(backend, { marks: [kept] })).toBe(2)
  expect(await isPinned([lost, kept])).toEqual([false, true])
  expect(await allPins(node.url)).toEqual(new Set([printCid(kept.cid)]))
  expect(await listed('/cairn/intents')).toBe(0)
})

test('an intent that cannot be read stops a sweep for an hour, and is told of afterwards', async () => {
  let now = Date.now()
  const told: unknown[] = []
  const backend = await open({ now: () => now, onBackgroundError: (e) => told.push(e) })
  const block = linking('deep')
  await holdBefore([block])
  const name = `${new Date(now).toISOString().replace(/[-:]/g, '')}-0123456789ab`
  await askNode(node.url, 'files/cp', [
    ['arg', `/ipfs/${printCid(Uint8Array.from([1, 0x55, 0, 4, 0x6f, 0x6f, 0x70, 0x73]))}`],
    ['arg', `/cairn/intents/${name}`],
  ])
  await expect(sweep(backend, { offers: [block] })).rejects.toMatchObject({ code: 'busy' })
  expect(await isPinned([block])).toEqual([true])
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
    const proxy = await proxyWith((call) => {
      if (call.startsWith('pin/rm') && ++requests === 3) setTimeout(() => void own.kill(), 1)
      return 'pass'
    }, own.url)
    const backend = await open({ url: proxy.url, retryMs: 15_000 })
    const gone = Array.from({ length: 400 }, () => linking('deep'))
    const kept = Array.from({ length: 20 }, () => linking('deep'))
    await holdBefore([...gone, ...kept], own.url)
    const one = await backend.sweep({ waitMs: 0 })
    await one.mark(held(...kept))
    await one.offer(held(...gone, ...kept))
    const freeing = one.free().catch((error: unknown) => error)
    await sleep(300)
    while (requests < 3) await sleep(10)
    await own.restart()
    expect(isCairnError(await freeing)).toBe(true)
    await one.end()
    const left = (await isPinned(gone, own.url)).filter(Boolean).length
    expect(left).toBeGreaterThan(0)
    expect(await sweep(backend, { marks: kept, offers: [...gone, ...kept] })).toBe(left)
    expect((await isPinned(gone, own.url)).some(Boolean)).toBe(false)
    expect((await isPinned(kept, own.url)).every(Boolean)).toBe(true)
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
  await holdBefore(gone)
  const backend = await open({ now: clock, commitDeadlineMs: 1_000 })
  await expect(sweep(sweeper, { offers: gone })).rejects.toMatchObject({
    code: 'backend_unavailable',
  })
  const pins = await allPins(node.url)
  const left = gone.filter(({ cid }) => pins.has(printCid(cid))).slice(0, 1)
  await expect(backend.sweep({ waitMs: 0 })).rejects.toMatchObject({ code: 'busy' })
  // Whether its last request is still on its way nobody knows: who relies on those pins waits.
  await expect(holdEach(backend, left)).rejects.toMatchObject({ code: 'backend_timeout' })
  now += HOUR + MINUTE
  const after = await open({ now: clock })
  await holdEach(after, left)
  expect(await sweep(after, { offers: gone, marks: left })).toBeGreaterThan(0)
  expect(await isPinned(gone)).toEqual(gone.map((block) => block === left[0]))
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
  await holdBefore(gone)
  await expect(sweep(sweeper, { offers: gone })).rejects.toMatchObject({
    code: 'backend_unavailable',
  })
  expect(proxy.seen.filter((call) => call.startsWith('pin/rm'))).toHaveLength(1)
  expect(await listed('/cairn/sweeps')).toBe(0)
  await sweep(sweeper, { offers: gone })
  expect((await isPinned(gone)).some(Boolean)).toBe(false)
})

test('a sweep that is aborted between its requests is over, also where nobody may ask what the node is at', async () => {
  const cut = new AbortController()
  const [sweeper, proxy] = await openThrough((call) => {
    if (call.startsWith('pin/rm')) cut.abort()
    return call === 'diag/cmds' ? 'lose' : 'pass'
  })
  const blocks = Array.from({ length: 200 }, () => linking('deep'))
  await holdBefore(blocks)
  const one = await sweeper.sweep({ waitMs: 0 })
  await one.offer(held(...blocks))
  await expect(one.free({ signal: cut.signal })).rejects.toMatchObject({ code: 'aborted' })
  await one.end()
  expect(proxy.seen).not.toContain('diag/cmds')
  const next = await sweeper.sweep({ waitMs: 0 })
  await next.end()
})

test('a sweeper that slept does not go on', async () => {
  let now = Date.now()
  const backend = await open({ now: () => now })
  const block = linking('deep')
  await holdEach(backend, [block])
  const one = await backend.sweep({ waitMs: 0 })
  await one.offer(held(block))
  now += 31 * MINUTE
  await expect(one.free()).rejects.toMatchObject({ code: 'backend_timeout' })
  await one.end()
  expect(await isPinned([block])).toEqual([true])
})
