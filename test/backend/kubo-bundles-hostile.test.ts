/** Bundles under what goes wrong: damage, other people's hands, failed imports, late writers, lost records. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { printCid, type Block, type CidBytes } from '../../src/model/cid.ts'
import type { HeldBlock, HeldCid, Hold } from '../../src/store/backend.ts'
import { leaf, linking, pinsOf, request } from '../helpers/kubo-blocks.ts'
import { corruptOnNode, loseOnNode } from '../helpers/kubo-damage.ts'
import { askNode } from '../helpers/kubo-node.ts'
import {
  bundleOf as bundle,
  HOUR,
  MANY,
  manyDeep,
  marksOf,
  namesIn,
  nodeOfTests,
  pinCounts,
  put,
  survivors,
  sweep,
} from '../helpers/kubo-holds.ts'
import type { Fate } from '../helpers/node-proxy.ts'

const node = nodeOfTests()
const { open, later, proxyWith } = node

const bundleOf = (held: readonly HeldBlock[], content: readonly Block[]): Promise<CidBytes> =>
  bundle(node.url, held, content)
const pins = (): Promise<[recursive: number, direct: number]> => pinCounts(node.url)
const records = (): Promise<string[]> => namesIn(node.url, '/cairn/bundles')
const intents = (): Promise<string[]> => namesIn(node.url, '/cairn/intents')

for (const [what, damage] of [
  ['lost', loseOnNode],
  ['damaged', corruptOnNode],
] as const)
  test(`a bundle whose own block is ${what} takes nothing with it that is needed`, async () => {
    const backend = await open()
    const { deep, content } = manyDeep()
    const alone = Array.from({ length: MANY }, () => linking('self', leaf()))
    const other = manyDeep()
    const bundle = await bundleOf([...deep, ...alone], content)
    const whole = await bundleOf(other.deep, other.content)
    await damage(node.url, bundle)
    const needed = [...deep.slice(1), ...alone.slice(1)]
    await sweep(backend, marksOf([...needed, ...other.deep]))
    expect(await records()).toEqual([printCid(whole)])
    expect(await pins()).toEqual([MANY, MANY - 1])
    expect(await survivors(backend, [...needed, ...content.slice(1)])).toBe(3 * (MANY - 1))
    expect(await survivors(backend, [...deep.slice(0, 1), ...content.slice(0, 1)])).toBe(0)
    expect(await survivors(backend, [...other.deep, ...other.content])).toBe(2 * MANY)
  })

test('a bundle that a node says it lacks, though it has it, takes nothing with it', async () => {
  const { deep, content } = manyDeep()
  const bundle = printCid(await bundleOf(deep, content))
  const proxy = await proxyWith((call) => (call === `block/get ${bundle}` ? 'lose' : 'pass'))
  const backend = await open({ url: proxy.url, retryMs: 0 })
  await expect(sweep(backend, marksOf(deep))).rejects.toMatchObject({ code: 'backend_unavailable' })
  expect(await survivors(backend, [...deep, ...content])).toBe(2 * MANY)
  expect(await records()).toEqual([bundle])
})

test('a bundle whose pin somebody dropped gives what is needed pins of their own', async () => {
  const backend = await open()
  const { deep, content } = manyDeep()
  const bundle = await bundleOf(deep, content)
  await askNode(node.url, 'pin/rm', { arg: printCid(bundle) })
  await sweep(backend, marksOf(deep))
  expect(await records()).toEqual([])
  expect(await survivors(backend, [...deep, ...content])).toBe(2 * MANY)
})

test('a bundle that the owner of the node gave a name stays theirs, and what is needed is held besides', async () => {
  const backend = await open()
  const { deep, content } = manyDeep()
  const bundle = printCid(await bundleOf(deep, content))
  await askNode(node.url, 'pin/add', { arg: bundle, name: 'mine' })
  expect(await sweep(backend, marksOf(deep.slice(1)))).toBe(0)
  expect(await pinsOf(node.url, 'recursive')).toContain(bundle)
  await askNode(node.url, 'pin/rm', { arg: bundle })
  expect(await survivors(backend, [...deep, ...content])).toBe(2 * (MANY - 1))
})

test('names among the records that are no bundles are let alone, and so are their pins', async () => {
  const backend = await open()
  const few = manyDeep()
  const [deep, content] = [few.deep.slice(0, 3), few.content.slice(0, 3)]
  await backend.commit(request(0, { blocks: deep, content }))
  expect(await pins()).toEqual([3, 0])
  await askNode(node.url, 'files/mkdir', { arg: '/cairn/bundles', parents: 'true' })
  const names = ['notes', ...[leaf(), ...deep, ...content].map(({ cid }) => printCid(cid))]
  for (const name of names)
    await askNode(node.url, 'files/cp', [
      ['arg', '/ipfs/bafkqaaa'],
      ['arg', `/cairn/bundles/${name}`],
    ])
  expect(await sweep(backend, [])).toBe(0)
  expect(await survivors(backend, [...deep, ...content])).toBe(6)
})

test('a staging that has ended can be named by no commit: what it held may be gone', async () => {
  for (const outcome of ['dropped', 'committed'] as const) {
    const backend = await open()
    const { deep, content } = manyDeep()
    const staging = await backend.stage('main', 'a build')
    await put(staging, deep, content)
    await staging.end(outcome)
    await expect(backend.commit(request(0, { staging }))).rejects.toMatchObject({
      code: 'conflict',
    })
    expect(await backend.datasets()).toEqual([])
  }
})

test('a batch that is sent again after an import without an answer is held, and let go of whole', async () => {
  let fate: Fate = 'mute'
  const proxy = await proxyWith((call) => {
    if (!call.startsWith('dag/import')) return 'pass'
    const now = fate
    fate = 'pass'
    return now
  })
  const writer = await openKubo({ url: proxy.url })
  const { deep, content } = manyDeep()
  const staging = await writer.stage('main', 'a restore')
  await expect(put(staging, deep, content)).rejects.toMatchObject({ code: 'backend_unavailable' })
  await staging.flush()
  expect(await pins()).toEqual([2, 0])
  await writer.commit(request(0, { staging }))
  await staging.end('committed')
  await writer.close()
  const backend = await later(2)
  for (let times = 0; times < 2; times++) {
    await sweep(backend, marksOf(deep))
    expect(await survivors(backend, [...deep, ...content])).toBe(2 * MANY)
  }
  await sweep(backend, marksOf(deep.slice(1)))
  expect(await survivors(backend, [...deep, ...content])).toBe(2 * (MANY - 1))
  await sweep(backend, [], marksOf(deep))
  expect(await pins()).toEqual([0, 0])
  expect(await records()).toEqual([])
  expect(await intents()).toEqual([])
})

test('a staging that is dropped while its import still runs on the node leaves nothing for good', async () => {
  const proxy = await proxyWith((call) => (call.startsWith('dag/import') ? 'mute' : 'pass'))
  const writer = await openKubo({ url: proxy.url })
  const { deep, content } = manyDeep()
  const staging = await writer.stage('main', 'a restore')
  await expect(put(staging, deep, content)).rejects.toMatchObject({ code: 'backend_unavailable' })
  await staging.end('dropped')
  await writer.close()
  const backend = await later(2)
  await sweep(backend, [])
  expect(await pins()).toEqual([0, 0])
  expect(await survivors(backend, [...deep, ...content])).toBe(0)
})

test('leaves that two datasets share through bundles of their own stay for the one that needs them', async () => {
  const backend = await open()
  const { deep, content } = manyDeep()
  const [one, two] = [manyDeep(), manyDeep()]
  await bundleOf([...deep, ...one.deep], [...content, ...one.content])
  await bundleOf([...deep, ...two.deep], [...content, ...two.content])
  const needed = [...deep, ...two.deep]
  expect(await sweep(backend, marksOf(needed), marksOf([...deep, ...one.deep]))).toBe(1)
  const kept = [...needed, ...content, ...two.content]
  expect(await survivors(backend, kept)).toBe(kept.length)
  expect(await survivors(backend, [...one.deep, ...one.content])).toBe(0)
  await sweep(backend, marksOf(two.deep), marksOf(needed))
  expect(await survivors(backend, [...two.deep, ...two.content])).toBe(2 * MANY)
  expect(await survivors(backend, [...deep, ...content])).toBe(0)
})

test('leaves without links are held however they were put, and let go of: alone and then deep, and the other way', async () => {
  const orders: [Hold, Hold][] = [
    ['self', 'deep'],
    ['deep', 'self'],
  ]
  for (const order of orders) {
    const backend = await open()
    const leaves = Array.from({ length: MANY }, leaf)
    for (const hold of order)
      await bundleOf(
        leaves.map((one) => ({ ...one, hold })),
        [],
      )
    const marks = leaves.map(({ cid }): HeldCid => ({ cid, hold: 'deep' }))
    await sweep(backend, marks)
    expect(await survivors(backend, leaves)).toBe(MANY)
    await sweep(backend, marks.slice(1), marks)
    expect(await survivors(backend, leaves)).toBe(MANY - 1)
    await sweep(backend, [], marks)
    expect(await pins()).toEqual([0, 0])
    expect(await survivors(backend, leaves)).toBe(0)
  }
})

test('what is marked alone and then deep is held deep', async () => {
  const backend = await open()
  const { deep, content } = manyDeep()
  await bundleOf(deep, content)
  const needed = deep.slice(1)
  const one = await backend.sweep({ waitMs: 0 })
  expect(await one.mark(marksOf(needed, 'self'))).not.toContain(false)
  expect(await one.mark(marksOf(needed, 'deep'))).not.toContain(true)
  expect(await one.mark(marksOf(needed, 'self'))).not.toContain(true)
  await one.free()
  await one.end()
  expect(await survivors(backend, [...needed, ...content.slice(1)])).toBe(2 * (MANY - 1))
})

test('a writer taken for dead that ends its work while its bundle is broken up leaves no pin for good', async () => {
  const writer = await open()
  const { deep, content } = manyDeep()
  const staging = await writer.stage('main', 'a build')
  await put(staging, deep, content)
  expect(await writer.commit(request(0, { staging }))).toBe('committed')
  const [own] = await intents()
  let ended: Promise<void> | undefined
  const endAndTidy = async (): Promise<void> => {
    await staging.end('committed')
    while ((await intents()).includes(own ?? '')) await sleep(20)
  }
  const proxy = await proxyWith(async (call): Promise<Fate> => {
    if (/^files.cp .* .cairn.condemned/.test(call)) await (ended ??= endAndTidy())
    return 'pass'
  })
  const sweeper = await open({ url: proxy.url, now: () => Date.now() + 2 * HOUR })
  await sweep(sweeper, marksOf(deep.slice(1)))
  expect(ended).toBeDefined()
  // What kept it from the sweep goes with the writer's next work.
  const small = linking('self', leaf())
  await writer.commit(request(1, { blocks: [small] }))
  await writer.close()
  const backend = await later(6)
  await sweep(backend, [], marksOf([...deep, small]))
  expect(await pins()).toEqual([0, 0])
  expect(await records()).toEqual([])
})

test('the file that keeps intents during a sweep tells of bundles as what they are: one whose record is lost is read before it goes', async () => {
  const backend = await open()
  const { deep, content } = manyDeep()
  const sweeping = await backend.sweep({ waitMs: 0 })
  await bundleOf(deep, content)
  await sweeping.end()
  expect((await intents()).length).toBe(1)
  await askNode(node.url, 'files/rm', { arg: '/cairn/bundles', force: 'true' })
  await sweep(await later(2), marksOf(deep))
  expect(await pins()).toEqual([1, 0])
  expect(await records()).toHaveLength(1)
})

test('the file that keeps intents during a sweep and outlives its process drops no bundle that is needed', async () => {
  const backend = await open()
  const { deep, content } = manyDeep()
  const sweeping = await backend.sweep({ waitMs: 0 })
  await bundleOf(deep, content)
  await sweeping.free()
  await sweeping.end()
  expect((await intents()).length).toBe(1)
  const next = await later(2)
  await sweep(next, marksOf(deep))
  expect(await pins()).toEqual([1, 0])
  expect(await intents()).toEqual([])
  await sweep(next, marksOf(deep.slice(1)))
  expect(await survivors(next, [...deep, ...content])).toBe(2 * (MANY - 1))
  await sweep(next, [], marksOf(deep))
  expect(await pins()).toEqual([0, 0])
})
