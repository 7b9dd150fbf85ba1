/** Opening a bucket for the first time asks its server whether it can be trusted with commits. */
import { expect, test } from 'vitest'
import { openBucketStore } from '../../src/backend/s3/index.ts'
import { chanceFaults } from '../helpers/bucket-faults.ts'
import { startBucketProxy } from '../helpers/bucket-proxy.ts'
import { startLooseBucket, type Flaw } from '../helpers/loose-bucket.ts'
import { Random } from '../helpers/random.ts'
import { expectError } from '../conformance/material.ts'
import { useSites } from './s3-kit.ts'

const newSite = useSites()

const addressOf = (endpoint: string): string => `//bucket/prefix?endpoint=${endpoint}`

test('a server that keeps all rules is fit, is asked once, and keeps nothing of it', async () => {
  await using server = await startLooseBucket('none')
  const address = addressOf(server.endpoint)
  await (await openBucketStore({ address, create: true })).close()
  expect([...server.objects.keys()]).toEqual(['prefix/cairn.json'])
  await using proxy = await startBucketProxy(server.endpoint)
  await (await openBucketStore({ address: addressOf(proxy.endpoint), create: true })).close()
  expect([...proxy.counts]).toEqual([['GetObject', 1]])
})

test.each<[Flaw, RegExp]>([
  ['not atomic', /of 8 writers put one object, each as the first/],
  ['ignores If-None-Match', /8 of 8 writers put one object/],
  ['ignores checksums', /whose checksum was wrong/],
  ['lists nothing new', /does not list what was put/],
  ['lists what was deleted', /lists what was deleted/],
  ['keeps the last of those who lost', /other bytes than those of the writer who won/],
])('a server (%s) is refused, and nothing is made there', async (flaw, why) => {
  await using server = await startLooseBucket(flaw)
  const opening = openBucketStore({ address: addressOf(server.endpoint), create: true })
  await expect(opening).rejects.toMatchObject({
    code: 'backend_refused',
    message: expect.stringMatching(why) as string,
  })
  expect([...server.objects.keys()]).toEqual([])
})

test('a server that knows no conditional put is refused', async () => {
  await using server = await startLooseBucket('refuses If-None-Match')
  const address = addressOf(server.endpoint)
  await expectError(openBucketStore({ address, create: true }), 'backend_refused')
  expect([...server.objects.keys()]).toEqual([])
})

test('a bucket without a store is not made one unasked', async () => {
  await using server = await startLooseBucket('none')
  await expectError(openBucketStore({ address: addressOf(server.endpoint) }), 'store_not_found')
  expect(server.objects.size).toBe(0)
})

test('a fit server is not taken for unfit because answers are lost on the way', async () => {
  const site = await newSite(false)
  const faults = chanceFaults(new Random(7), 0.03)
  site.disturb(faults.decide)
  const backend = await site.open({ create: true, retryMs: 10_000 })
  expect(faults.count()).toBeGreaterThan(0)
  expect((await backend.status()).details['format']).toBe(1)
  const left = (await site.bucket.list('')).objects.map(({ key }) => key)
  expect(left).toEqual(['cairn.json'])
})
