/** A copy in a bucket is whole when its sidecar is there, whatever happened on the way. */
import { rmSync } from 'node:fs'
import { open, readFile, rm, writeFile } from 'node:fs/promises'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { checksumOf, digestOf, partsOf } from '../../src/offsite/parts.ts'
import { pushTask } from '../../src/tasks/offsite.ts'
import { codeOf, cidOf } from '../backup/backups.ts'
import { bucketClient } from '../helpers/minio.ts'
import { addBackup, DAY, newSite, PART, useMinio } from './kit.ts'

const minio = useMinio()

test('what the bucket lacks is copied, base before delta, the newest first; then nothing is', async () => {
  const site = await newSite(minio())
  await addBackup(site.folder, 'old', { at: 1 * DAY, seq: 1 })
  const since = cidOf('base')
  await addBackup(site.folder, 'base', { at: 2 * DAY, seq: 2, snapshot_cid: since })
  await addBackup(site.folder, 'delta', { at: 3 * DAY, seq: 3, since })
  await addBackup(site.folder, 'sealed', { at: 0, seq: 0, dataset: 'other', encrypted: true })
  const keys: string[] = []
  site.disturb(({ operation, key }) => {
    if (operation === 'PutObject') keys.push(key.replace('cairn/', ''))
    return undefined
  })
  const first = await pushTask(site.context(), { address: site.address })
  expect(first).toMatchObject({ status: 'pushed', pushed: 4, sent_bytes: 4000 })
  expect(keys.filter((key) => !key.startsWith('sealed'))).toEqual(
    ['base', 'delta', 'old'].flatMap((name) => [`${name}.car`, `${name}.sha256`, `${name}.json`]),
  )
  expect(keys).toContain('sealed.car.age')
  const { backups, damaged, unfinished } = await site.listing()
  expect(backups).toHaveLength(4)
  expect([damaged, unfinished]).toEqual([[], []])
  const head = await site.inBucket((bucket) => bucket.head('delta.car'))
  expect(head?.metadata).toMatchObject({
    'cairn-dataset': 'main',
    'cairn-seq': '3',
    'cairn-snapshot': cidOf('delta'),
    'cairn-sha256': backups[0]?.sidecar.sha256,
    'cairn-size': '1000',
    'cairn-content': 'full',
    'cairn-since': since,
  })
  keys.length = 0
  const again = await pushTask(site.context(), { address: site.address })
  expect(again).toMatchObject({ status: 'already_pushed', pushed: 0, sent_bytes: 0 })
  expect(keys).toEqual([])
})

test('a large one goes in parts; an upload that was cut off is found again, and only what is missing sent', async () => {
  const site = await newSite(minio())
  const size = 3 * PART + 12_345
  const { sidecar } = await addBackup(site.folder, 'large', { size })
  site.disturb(({ operation, query }) =>
    operation === 'UploadPart' && query.get('partNumber') === '3' ? 'hold' : undefined,
  )
  const abort = new AbortController()
  const cut = pushTask(site.context({ signal: abort.signal }), { address: site.address })
  while (site.proxy.held() === 0 || (await partsThere(site)) < 3)
    await new Promise((resolve) => setTimeout(resolve, 20))
  abort.abort()
  expect(await codeOf(cut)).toBe('aborted')
  expect((await site.listing()).objects.size).toBe(0)
  site.disturb(() => undefined)
  const record = await pushTask(site.context(), { address: site.address })
  expect(record).toMatchObject({ pushed: 1, sent_bytes: PART })
  expect((await site.listing()).backups[0]?.sidecar.sha256).toBe(sidecar.sha256)
  const verified = await pushTask(site.context(), { address: site.address, verify: true })
  expect(verified.status).toBe('already_pushed')
  expect(await site.inBucket((bucket) => bucket.uploads.unfinished('large.car'))).toEqual([])
})

async function partsThere(site: Awaited<ReturnType<typeof newSite>>): Promise<number> {
  return site.inBucket(async (bucket) => {
    const [upload] = await bucket.uploads.unfinished('large.car')
    if (upload === undefined) return 0
    return (await bucket.uploads.parts('large.car', upload.id))?.length ?? 0
  })
}

test('two who go on with the same upload both end well', async () => {
  const site = await newSite(minio())
  await addBackup(site.folder, 'large', { size: PART + 5 })
  await site.inBucket((bucket) => bucket.uploads.begin('large.car'))
  const pushes = [1, 2].map(() => pushTask(site.context(), { address: site.address }))
  for (const record of await Promise.all(pushes)) expect(record.pushed).toBe(1)
  expect((await pushTask(site.context(), { address: site.address, verify: true })).pushed).toBe(0)
  expect(await site.inBucket((bucket) => bucket.uploads.unfinished('large.car'))).toEqual([])
})

test('a part that is there and is not ours is sent again', async () => {
  const site = await newSite(minio())
  const { sidecar } = await addBackup(site.folder, 'large', { size: PART + 5 })
  await site.inBucket(async (bucket) => {
    const id = await bucket.uploads.begin('large.car')
    await bucket.uploads.part('large.car', id, 1, new Uint8Array(PART))
  })
  const record = await pushTask(site.context(), { address: site.address })
  expect(record.sent_bytes).toBe(PART + 5)
  await expectBytes(site, 'large.car', sidecar.size_bytes)
  expect((await pushTask(site.context(), { address: site.address, verify: true })).pushed).toBe(0)
})

test.each(['refuse', 'refuse-after', 'cut-after', 'lose', 'truncate'] as const)(
  'each request that meets "%s" once is made again',
  async (fault) => {
    const site = await newSite(minio())
    await addBackup(site.folder, 'large', { size: PART + 5 })
    await addBackup(site.folder, 'small')
    const met = new Set<string>()
    site.disturb(({ operation, key, query }) => {
      const name = `${operation} ${key} ${query.get('partNumber') ?? ''}`
      if (met.has(name)) return undefined
      met.add(name)
      return fault
    })
    expect(await pushTask(site.context(), { address: site.address })).toMatchObject({ pushed: 2 })
    site.disturb(() => undefined)
    const verified = await pushTask(site.context(), { address: site.address, verify: true })
    expect(verified.status).toBe('already_pushed')
    expect(met.size).toBeGreaterThan(10)
  },
)

test('without its CAR in the bucket no sidecar is put; what came that far is gone on with', async () => {
  const site = await newSite(minio())
  await addBackup(site.folder, 'small')
  const abort = new AbortController()
  site.disturb(({ operation, key }) => {
    if (operation !== 'PutObject' || !key.endsWith('.sha256')) return undefined
    abort.abort()
    return 'lose'
  })
  const cut = pushTask(site.context({ signal: abort.signal }), { address: site.address })
  expect(await codeOf(cut)).toBe('aborted')
  expect((await site.listing()).unfinished).toEqual(['small.car'])
  const sent: string[] = []
  site.disturb(({ operation, key }) => {
    if (operation === 'PutObject') sent.push(key)
    return undefined
  })
  expect(await pushTask(site.context(), { address: site.address })).toMatchObject({ sent_bytes: 0 })
  expect(sent).toEqual(['cairn/small.sha256', 'cairn/small.json'])
})

test('what lies there without a sidecar is read where its checksum tells nothing, and counts if it is ours', async () => {
  const site = await newSite(minio())
  const [ours, other] = [
    await addBackup(site.folder, 'ours', { at: DAY }),
    await addBackup(site.folder, 'other'),
  ]
  const client = bucketClient(minio().endpoint, minio().env)
  const put = async (Key: string, Body: Uint8Array): Promise<void> => {
    const named = { Bucket: site.bucketName, Key: `cairn/${Key}` }
    await client.send(new PutObjectCommand({ ...named, Body }))
  }
  await put('ours.car', await readFile(ours.paths.car))
  await put('other.car', randomBytes(1000))
  client.destroy()
  const record = await pushTask(site.context(), { address: site.address })
  expect(record.cars.map(({ name, sent_bytes }) => [name, sent_bytes])).toEqual([
    ['ours.car', 0],
    ['other.car', 1000],
  ])
  const got = await site.inBucket((bucket) => bucket.get('other.car'))
  expect(got?.bytes).toEqual(new Uint8Array(await readFile(other.paths.car)))
})

test('other bytes in the place of the newest copy, or of its base, are found without --verify, and replaced', async () => {
  const site = await newSite(minio())
  const large = { seq: 2, snapshot_cid: cidOf('base'), size: PART + 5 }
  await addBackup(site.folder, 'old', { seq: 1 })
  const base = await addBackup(site.folder, 'base', large)
  const delta = await addBackup(site.folder, 'delta', { seq: 3, since: cidOf('base') })
  await pushTask(site.context(), { address: site.address })
  for (const { sidecar, paths } of [delta, base]) {
    const name = sidecar.filename
    await site.inBucket((bucket) => bucket.put(name, new Uint8Array(sidecar.size_bytes)))
    const record = await pushTask(site.context(), { address: site.address })
    const sent = record.cars.filter(({ status }) => status === 'pushed')
    expect(sent).toMatchObject([{ name, sent_bytes: sidecar.size_bytes }])
    const got = await site.inBucket((bucket) => bucket.get(name))
    expect((await readFile(paths.car)).equals(got?.bytes ?? new Uint8Array())).toBe(true)
  }
  const asked: string[] = []
  site.disturb(({ operation, key }) => {
    if (key.endsWith('.car')) asked.push(`${operation} ${key}`)
    return undefined
  })
  expect((await pushTask(site.context(), { address: site.address })).pushed).toBe(0)
  // One look at each, and none at older ones.
  expect(asked.sort()).toEqual(['HeadObject cairn/base.car', 'HeadObject cairn/delta.car'])
})

test('a newest copy that others have put there is read, and counts if it is ours', async () => {
  const site = await newSite(minio())
  const { paths } = await addBackup(site.folder, 'one')
  await pushTask(site.context(), { address: site.address })
  const bytes = await readFile(paths.car)
  await site.inBucket((bucket) => bucket.put('one.car', bytes))
  const record = await pushTask(site.context(), { address: site.address })
  expect(record).toMatchObject({ status: 'already_pushed', sent_bytes: 0 })
})

test('other bytes of an older copy are found by --verify, and replaced', async () => {
  const site = await newSite(minio())
  await addBackup(site.folder, 'one')
  await addBackup(site.folder, 'two', { seq: 2 })
  await pushTask(site.context(), { address: site.address })
  await site.inBucket((bucket) => bucket.put('one.car', new Uint8Array(1000)))
  expect((await pushTask(site.context(), { address: site.address })).pushed).toBe(0)
  expect((await pushTask(site.context(), { address: site.address, verify: true })).pushed).toBe(1)
  await site.inBucket((bucket) => bucket.put('one.car', new Uint8Array(999)))
  expect((await site.listing()).damaged).toMatchObject([{ path: 'one.car' }])
  expect((await pushTask(site.context(), { address: site.address })).pushed).toBe(1)
  expect((await pushTask(site.context(), { address: site.address, verify: true })).pushed).toBe(0)
})

test('a CAR that is not what its sidecar says is not copied, large or small', async () => {
  const site = await newSite(minio())
  for (const size of [1000, PART + 1000]) {
    const { paths } = await addBackup(site.folder, 'bad', { size })
    await using file = await open(paths.car, 'r+')
    await file.write(Buffer.from('not this'), 0, 8, size - 8)
    expect(await codeOf(pushTask(site.context(), { address: site.address }))).toBe('invalid_car')
    expect((await site.listing()).objects.size).toBe(0)
  }
})

test('a damaged CAR keeps no other from being copied, and one that a prune took is none', async () => {
  const site = await newSite(minio())
  const bad = await addBackup(site.folder, 'bad', { at: 3 * DAY })
  await addBackup(site.folder, 'good', { at: 2 * DAY })
  const gone = await addBackup(site.folder, 'gone', { at: DAY })
  await writeFile(bad.paths.car, new Uint8Array(1000))
  site.disturb(({ key }) => {
    if (key.endsWith('good.car')) rmSync(gone.paths.car, { force: true })
    return undefined
  })
  await expect(pushTask(site.context(), { address: site.address })).rejects.toMatchObject({
    code: 'invalid_car',
    message: expect.stringMatching(/bad\.car/),
  })
  expect((await site.listing()).backups.map(({ paths }) => paths.car)).toEqual(['good.car'])
  await rm(bad.paths.sidecar)
  expect((await pushTask(site.context(), { address: site.address })).pushed).toBe(0)
})

test('a sidecar that lies is replaced by the one of the folder', async () => {
  const site = await newSite(minio())
  const { sidecar } = await addBackup(site.folder, 'one')
  await pushTask(site.context(), { address: site.address })
  const lie = { ...sidecar, sha256: 'f'.repeat(64) }
  await site.inBucket((bucket) => bucket.put('one.json', Buffer.from(JSON.stringify(lie))))
  expect((await pushTask(site.context(), { address: site.address })).pushed).toBe(1)
  expect((await site.listing()).backups[0]?.sidecar.sha256).toBe(sidecar.sha256)
})

test('what the rules would remove again is not copied', async () => {
  const site = await newSite(minio())
  for (let day = 1; day <= 5; day++)
    await addBackup(site.folder, `d${day}`, { at: day * DAY, seq: day })
  const keep = { last: 2 }
  const context = site.context({ now: () => 6 * DAY })
  const record = await pushTask(context, { address: site.address, keep })
  expect(record.cars.map(({ name, status }) => `${name} ${status}`)).toEqual([
    'd5.car pushed',
    'd4.car pushed',
    'd3.car not_kept',
    'd2.car not_kept',
    'd1.car not_kept',
  ])
})

test('a class that the server does not know is refused with its name; sidecars never go into one', async () => {
  const site = await newSite(minio())
  await addBackup(site.folder, 'one')
  const address = `${site.address}&class=NO_SUCH_CLASS`
  await expect(pushTask(site.context(), { address })).rejects.toMatchObject({
    code: 'backend_refused',
    message: expect.stringMatching(/InvalidStorageClass/),
  })
  const classes: (string | undefined)[] = []
  site.disturb(({ operation, headers }) => {
    if (operation === 'PutObject')
      classes.push(headers['x-amz-storage-class'] as string | undefined)
    return undefined
  })
  await pushTask(site.context(), { address: `${site.address}&class=STANDARD` })
  expect(classes).toEqual(['STANDARD', undefined, undefined])
})

test('a bucket that is away, refuses the keys, or is not there has a code, and nothing is said to be copied', async () => {
  const site = await newSite(minio())
  await addBackup(site.folder, 'one')
  const none = site.direct.replace(site.bucketName, 'no-such-bucket')
  expect(await codeOf(pushTask(site.context(), { address: none }))).toBe('store_not_found')
  const wrong = ['s3://AB', 'file:///tmp', 's3://bucket/../x', 's3://bucket?endpoint=http://a:b@c']
  for (const address of wrong)
    expect(await codeOf(pushTask(site.context(), { address }))).toBe('config')
  await rm(site.folder, { recursive: true })
  await writeFile(site.folder, 'a file')
  expect(await codeOf(pushTask(site.context(), { address: site.address }))).toBe('usage')
})

test('parts cover a file, are few enough, and the checksum is of their digests', () => {
  for (const size of [0, 1, PART - 1, PART, PART + 1, 200 * 2 ** 30, 5 * 2 ** 40]) {
    const parts = partsOf(size)
    expect(parts.length).toBeLessThanOrEqual(10_000)
    let at = 0
    for (const part of parts) {
      expect(part.from).toBe(at)
      at += part.size
    }
    expect(at).toBe(size)
  }
  const one = digestOf(Buffer.from('a'))
  expect(checksumOf([one])).toBe(one)
  expect(checksumOf([one, one])).toBe(
    `${digestOf(Buffer.concat([Buffer.from(one, 'base64'), Buffer.from(one, 'base64')]))}-2`,
  )
})

async function expectBytes(
  site: Awaited<ReturnType<typeof newSite>>,
  key: string,
  size: number,
): Promise<void> {
  const head = await site.inBucket((bucket) => bucket.head(key))
  expect(head?.size).toBe(size)
}
