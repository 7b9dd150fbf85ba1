/** What lies in a bucket and is not as Cairn would have written it. */
import { expect, test } from 'vitest'
import { carHeader } from '../../src/car/encode.ts'
import { indexHead, indexPlace } from '../../src/car/index-v2.ts'
import { commitKey, packKey as nameOf } from '../../src/backend/s3/layout.ts'
import { encodePack } from '../../src/backend/s3/pack.ts'
import { cidParts } from '../../src/model/cid.ts'
import type { Block } from '../../src/model/cid.ts'
import {
  block,
  commitMany,
  expectError,
  rawBlock,
  request,
  stageAll,
} from '../conformance/material.ts'
import { HOUR, useSites, type Site } from './s3-kit.ts'

const newSite = useSites()

/** The name of a pack, for its bytes as they should be. */
const packKey = (now: number, indexAt: number, bytes: Uint8Array): string =>
  nameOf(now, indexAt, false, bytes.subarray(indexAt))

const isThere = async (site: Site, one: Block): Promise<boolean> => {
  const [bytes] = await (await site.openPlain()).getBlocks([one.cid])
  if (bytes !== undefined) expect(Buffer.from(bytes)).toEqual(Buffer.from(one.bytes))
  return bytes !== undefined
}

test('foreign objects are passed over', async () => {
  const site = await newSite()
  const backend = await site.openPlain()
  for (const key of [
    'packs/README',
    'packs/zzzzzzzzz-0123456789abcdef-0.car.tmp',
    'datasets/readme',
    'datasets/main/commits/last',
    'datasets/main/commits/0000000000001',
    'datasets/main/marks/floor-no-number',
    'datasets/main/marks/floor-99999999999',
    'leases/other/x',
    'else/where',
  ])
    await site.bucket.put(key, Buffer.from('foreign'))
  const one = block(300)
  await stageAll(backend, [one])
  await commitMany(backend, 3)
  expect(await isThere(site, one)).toBe(true)
  expect((await (await site.openPlain()).newest('main', -1))?.number).toBe(2)
})

test('a commit whose number is far beyond all others is damage, and is told at once', async () => {
  const site = await newSite()
  await commitMany(await site.openPlain(), 3)
  const copied = await site.bucket.get(commitKey('main', 2))
  await site.bucket.put(commitKey('main', 999_999_999_999), copied?.bytes ?? new Uint8Array(0))
  await site.bucket.delete(['datasets/main/head'])
  await expectError((await site.openPlain()).hasBlocks([block(10).cid]), 'pointer_damaged')
})

test('a pack with a name of the far future hides none that come later', async () => {
  const site = await newSite()
  const reader = await site.openPlain()
  const far = encodePack([block(100)])
  await site.bucket.put(packKey(36 ** 9 - 1, far.indexAt, far.bytes), far.bytes)
  expect(await reader.hasBlocks([block(10).cid])).toEqual([false])
  const one = block(300)
  await stageAll(await site.openPlain(), [one])
  expect(await reader.hasBlocks([one.cid])).toEqual([true])
})

test.each<[string, (index: Uint8Array) => Uint8Array]>([
  ['is cut', (index) => index.subarray(0, index.length - 1)],
  ['is empty', () => new Uint8Array(0)],
  ['says that it has more than there is', (index) => Buffer.concat([indexHead(2 ** 30), index])],
  ['points outside', (index) => Buffer.concat([index.subarray(0, -8), Buffer.alloc(8, 0xff)])],
  ['points before everything', (index) => Buffer.concat([index.subarray(0, -8), Buffer.alloc(8)])],
])('a block is found in a pack whose index %s', async (_, damage) => {
  const site = await newSite()
  const one = block(300)
  const { bytes, indexAt } = encodePack([one])
  const damaged = Buffer.concat([bytes.subarray(0, indexAt), damage(bytes.subarray(indexAt))])
  await site.bucket.put(packKey(Date.now(), indexAt, bytes), damaged)
  const [found] = await (await site.openPlain()).getBlocks([one.cid])
  expect(Buffer.from(found ?? [])).toEqual(Buffer.from(one.bytes))
})

test('a pack whose name lies about its index does not keep others from being read', async () => {
  const site = await newSite()
  const [one, other] = [block(300), block(300)]
  const { bytes, indexAt } = encodePack([one])
  for (const at of [0, 51, indexAt - 1, indexAt + 1, bytes.length, bytes.length + 1, 36 ** 6 - 1])
    await site.bucket.put(packKey(Date.now(), at, bytes), bytes)
  await stageAll(await site.openPlain(), [other])
  expect(await isThere(site, other)).toBe(true)
  expect(await isThere(site, one)).toBe(true)
})

test('an index that names a block of another place gives bytes that are not the block', async () => {
  const site = await newSite()
  const [one, wanted] = [rawBlock(Buffer.alloc(300, 1)), rawBlock(Buffer.alloc(300, 2))]
  const { bytes, indexAt } = encodePack([one])
  const place = indexPlace(carHeader([]).length)
  const lying = [indexHead(1), cidParts(wanted.cid).digest, place]
  const pack = Buffer.concat([bytes.subarray(0, indexAt), ...lying])
  await site.bucket.put(packKey(Date.now(), indexAt, pack), pack)
  const backend = await site.openPlain()
  const [lie] = await backend.getBlocks([wanted.cid])
  expect(Buffer.from(lie ?? [])).not.toEqual(Buffer.from(wanted.bytes))
  await backend.heal([wanted])
  expect(await isThere(site, wanted)).toBe(true)
})

test('a sweep leaves a pack in which a block is damaged', async () => {
  const site = await newSite()
  const [one, other] = [block(300), block(300)]
  const { bytes, indexAt } = encodePack([one, other])
  const damaged = Buffer.from(bytes)
  damaged[indexAt - 5] = (damaged[indexAt - 5] ?? 0) ^ 1
  await site.bucket.put(packKey(Date.now() - HOUR, indexAt, bytes), damaged)
  const backend = await site.openPlain()
  const sweep = await backend.sweep({ waitMs: 5000 })
  await sweep.mark([{ cid: one.cid, hold: 'self' }])
  await sweep.free()
  await sweep.end()
  expect((await site.bucket.list('packs/')).objects.length).toBe(1)
  expect(await isThere(site, one)).toBe(true)
})

test('of a commit whose blocks are damaged the commit is read, and the block can be mended', async () => {
  const site = await newSite()
  const backend = await site.openPlain()
  const one = block(300)
  const made = request(0, { blocks: [one] })
  await backend.commit(made)
  const key = commitKey('main', 0)
  const damaged = Buffer.from((await site.bucket.get(key))?.bytes ?? [])
  const at = damaged.indexOf(one.bytes) + 20
  damaged[at] = (damaged[at] ?? 0) ^ 1
  await site.bucket.put(key, damaged)
  const reader = await site.openPlain()
  expect(Buffer.from((await reader.newest('main', -1))?.bytes ?? [])).toEqual(
    Buffer.from(made.bytes),
  )
  const [bytes] = await reader.getBlocks([one.cid])
  expect(Buffer.from(bytes ?? [])).not.toEqual(Buffer.from(one.bytes))
  await reader.heal([one])
  expect(await isThere(site, one)).toBe(true)
})

test('a commit that is damaged itself is told, and the ones before it are read', async () => {
  const site = await newSite()
  const backend = await site.openPlain()
  await commitMany(backend, 3)
  const key = commitKey('main', 2)
  const whole = Buffer.from((await site.bucket.get(key))?.bytes ?? [])
  const flipped = Buffer.from(whole)
  const at = whole.indexOf('nonce')
  flipped[at] = (flipped[at] ?? 0) ^ 1
  for (const bytes of [flipped, whole.subarray(0, 70), Buffer.from('no CAR'), Buffer.alloc(0)]) {
    await site.bucket.put(key, bytes)
    const reader = await site.openPlain()
    await expectError(reader.newest('main', -1), 'pointer_damaged')
    expect(await reader.getCommit('main', 1)).toBeDefined()
  }
})

test.each([
  ['{"kind":"cairn-bucket","format":2}', 'format_unsupported'],
  ['{"kind":"another","format":1}', 'store_not_found'],
  ['null', 'store_not_found'],
  ['', 'store_not_found'],
] as const)('a bucket that says %s of itself is not opened', async (marker, code) => {
  const site = await newSite()
  await site.bucket.put('cairn.json', Buffer.from(marker))
  await expectError(site.openPlain({ create: true }), code)
})

test('objects that are larger than any of ours are not read', async () => {
  const site = await newSite()
  const large = Buffer.alloc(100_000)
  await site.bucket.put('sweep.json', large)
  await expectError((await site.openPlain()).sweeps(), 'backend_refused')
  await site.bucket.put('sweep.json', Buffer.from('{"begun":-1}'))
  await expectError((await site.openPlain()).sweeps(), 'pointer_damaged')
  await site.bucket.put('datasets/main/head', large)
  await expectError((await site.openPlain()).newest('main', -1), 'backend_refused')
})

test('answers that are cut, short or changed on their way are asked for again', async () => {
  const site = await newSite()
  const writer = await site.openPlain()
  const blocks = [block(300), block(400)]
  await stageAll(writer, blocks)
  const made = request(0, { blocks: [block(500)] })
  await writer.commit(made)
  for (const fault of ['truncate', 'shorten', 'flip'] as const) {
    const reader = await site.open({ retryMs: 30_000 })
    // Every other request for something meets the fault.
    const asked = new Map<string, number>()
    site.disturb(({ operation, key, query }) => {
      const name = `${operation} ${key} ${query.get('prefix')}`
      const times = asked.get(name) ?? 0
      asked.set(name, times + 1)
      const isMeant = fault !== 'flip' || operation === 'GetObject'
      return isMeant && times % 2 === 0 ? fault : undefined
    })
    expect(Buffer.from((await reader.newest('main', -1))?.bytes ?? [])).toEqual(
      Buffer.from(made.bytes),
    )
    const found = await reader.getBlocks(blocks.map(({ cid }) => cid))
    expect(found.map((bytes) => Buffer.from(bytes ?? []))).toEqual(
      blocks.map(({ bytes }) => Buffer.from(bytes)),
    )
    site.disturb(() => undefined)
  }
})
