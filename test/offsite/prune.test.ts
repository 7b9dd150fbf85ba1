/** The rules by which copies go, and what they never take. */
import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { printSidecar, printSums } from '../../src/backup/sidecar.ts'
import { copyOffsite, pruneOffsiteTask, pushTask } from '../../src/tasks/offsite.ts'
import { parseRetention } from '../../src/tasks/retention.ts'
import { backup, cidOf, codeOf } from '../backup/backups.ts'
import { addBackup, DAY, newSite, PART, useMinio, type Site } from './kit.ts'

const minio = useMinio()
const LAST = { last: 1 }
const BYTE = new Uint8Array(1)

const names = async (site: Site): Promise<string[]> =>
  (await site.listing()).backups.map(({ paths }) => paths.car)

/** One copy a day, each of no more than a byte. */
async function days(site: Site, count: number): Promise<void> {
  await site.inBucket(async (bucket) => {
    const puts = Array.from({ length: count }, async (_, i) => {
      const day = i + 1
      const sha256 = createHash('sha256').update(BYTE).digest('hex')
      const made = backup(`d${day}`, { at: day * DAY, seq: day, next: day, sha256 })
      await bucket.put(`d${day}.car`, BYTE)
      await bucket.put(`d${day}.sha256`, Buffer.from(printSums(made.sidecar)))
      await bucket.put(`d${day}.json`, Buffer.from(printSidecar(made.sidecar)))
    })
    await Promise.all(puts)
  })
}

test('of 200 days 30 daily, 12 weekly and 12 monthly ones stay; a dry run changes nothing', async () => {
  const site = await newSite(minio())
  await days(site, 200)
  const policy = parseRetention('daily=30,weekly=12,monthly=12') ?? {}
  const context = site.context({ now: () => 200 * DAY })
  const options = { address: site.direct, policy }
  const planned = await pruneOffsiteTask(context, { ...options, dryRun: true })
  expect(planned.status).toBe('planned')
  expect(await names(site)).toHaveLength(200)
  const pruned = await pruneOffsiteTask(context, options)
  expect(pruned).toMatchObject({
    status: 'pruned',
    kept: planned.kept,
    forgotten: 200 - planned.kept,
  })
  const left = await names(site)
  expect(left).toHaveLength(planned.kept)
  expect(left.slice(0, 30)).toEqual(Array.from({ length: 30 }, (_, i) => `d${200 - i}.car`))
  // 30 days, then of the weeks and months before those the newest of each, and the oldest.
  expect(planned.kept).toBeGreaterThan(30 + 6)
  expect(planned.kept).toBeLessThan(30 + 12 + 12)
  expect((await site.listing()).objects.size).toBe(3 * planned.kept)
  expect(await pruneOffsiteTask(context, options)).toMatchObject({ status: 'already_pruned' })
})

test('the newest stays, and so do the base of a delta that stays, and the newest that can be restored', async () => {
  const site = await newSite(minio())
  const since = cidOf('base')
  await addBackup(site.folder, 'old', { at: DAY, seq: 1, next: 1 })
  await addBackup(site.folder, 'base', { at: 2 * DAY, seq: 2, next: 2, snapshot_cid: since })
  await addBackup(site.folder, 'delta', { at: 3 * DAY, seq: 3, next: 3, since })
  await addBackup(site.folder, 'lost', { at: 4 * DAY, seq: 4, next: 4, since: cidOf('gone') })
  await addBackup(site.folder, 'other', { at: 0, dataset: 'other' })
  await pushTask(site.context(), { address: site.address })
  const pruned = await pruneOffsiteTask(site.context(), { address: site.address, policy: LAST })
  expect(Object.fromEntries(pruned.cars.map(({ name, reasons }) => [name, reasons[0]]))).toEqual({
    'lost.car': 'newest good',
    'delta.car': 'newest good',
    'base.car': 'base of delta.car',
    'old.car': undefined,
    'other.car': 'newest good',
  })
  expect(await names(site)).toEqual(['lost.car', 'delta.car', 'base.car', 'other.car'])
})

/** Copies of so many days, sent from the folder, which has none of them any more. */
async function sent(site: Site, count: number, size = 1000): Promise<void> {
  for (let day = 1; day <= count; day++)
    await addBackup(site.folder, `d${day}`, { at: day * DAY, seq: day, next: day, size })
  await pushTask(site.context(), { address: site.direct })
  await rm(site.folder, { recursive: true })
}

const overwrite = (site: Site, name: string, size = 1000): Promise<void> =>
  site.inBucket((bucket) => bucket.put(`${name}.car`, new Uint8Array(size).fill(7)))

/** What is asked for of CARs alone, as `HeadObject d3`. */
function watchCars(site: Site): string[] {
  const asked: string[] = []
  site.disturb(({ operation, key }) => {
    if (key.endsWith('.car')) asked.push(`${operation} ${key.replace(/^.*\/|\.car$/g, '')}`)
    return undefined
  })
  return asked
}

test('a damaged newest copy pushes no good one out: the newest that holds stays, and it is told of', async () => {
  for (const size of [1000, PART + 5]) {
    const site = await newSite(minio())
    await sent(site, 5, size)
    await overwrite(site, 'd5', size)
    const notes: string[] = []
    const context = site.context({ onNote: (text) => notes.push(text) })
    const asked = watchCars(site)
    const options = { address: site.address, policy: LAST }
    const planned = await pruneOffsiteTask(context, { ...options, dryRun: true })
    const pruned = await pruneOffsiteTask(context, options)
    expect(pruned).toEqual({ ...planned, status: 'pruned' })
    expect(pruned).toMatchObject({ kept: 1, forgotten: 3 })
    expect(await names(site)).toEqual(['d5.car', 'd4.car'])
    expect(notes).toEqual([0, 1].map(() => expect.stringMatching(/^not touched: d5\.car: /)))
    // What a push has put is known by what the server says of it, and not read.
    expect(new Set(asked)).toEqual(new Set(['HeadObject d5', 'GetObject d5', 'HeadObject d4']))
  }
})

test('the base of the newest delta is proved as well', async () => {
  const site = await newSite(minio())
  const since = cidOf('base')
  for (const [i, name] of ['older', 'old', 'base'].entries())
    await addBackup(site.folder, name, { at: i * DAY, seq: i, next: i, snapshot_cid: cidOf(name) })
  await addBackup(site.folder, 'delta', { at: 3 * DAY, seq: 3, next: 3, since })
  await pushTask(site.context(), { address: site.address })
  await overwrite(site, 'base')
  const options = { address: site.address, policy: LAST }
  expect(await pruneOffsiteTask(site.context(), options)).toMatchObject({ forgotten: 1 })
  expect(await names(site)).toEqual(['delta.car', 'base.car', 'old.car'])
})

test('where all copies are damaged none goes', async () => {
  const site = await newSite(minio())
  await sent(site, 3)
  for (const name of ['d1', 'd2', 'd3']) await overwrite(site, name)
  const options = { address: site.address, policy: LAST }
  expect(await pruneOffsiteTask(site.context(), options)).toMatchObject({ forgotten: 0 })
  expect(await names(site)).toEqual(['d3.car', 'd2.car', 'd1.car'])
})

test('what others have put there is read; while that fails none goes', async () => {
  const site = await newSite(minio())
  await days(site, 3)
  const options = { address: site.address, policy: LAST }
  const abort = new AbortController()
  site.disturb(({ operation, key }) => {
    if (operation !== 'GetObject' || !key.endsWith('d3.car')) return undefined
    abort.abort()
    return 'lose'
  })
  const cut = pruneOffsiteTask(site.context({ signal: abort.signal }), options)
  expect(await codeOf(cut)).toBe('aborted')
  expect(await names(site)).toHaveLength(3)
  const asked = watchCars(site)
  expect(await pruneOffsiteTask(site.context(), options)).toMatchObject({ forgotten: 2 })
  expect(asked).toEqual(['HeadObject d3', 'GetObject d3'])
  asked.length = 0
  expect(await pruneOffsiteTask(site.context(), options)).toMatchObject({ forgotten: 0 })
  expect(asked).toEqual([])
})

test('what an export has just copied is not looked at again by the prune that follows', async () => {
  const site = await newSite(minio())
  await sent(site, 2)
  await addBackup(site.folder, 'd3', { at: 3 * DAY, seq: 3, next: 3 })
  const asked = watchCars(site)
  const copied = await copyOffsite(site.context(), { address: site.address, keep: LAST })
  expect(copied).toMatchObject({ pushed: 1, forgotten: 2 })
  // Before it is sent, and when it is there.
  expect(asked).toEqual(['HeadObject d3', 'PutObject d3', 'HeadObject d3'])
})

test('the sidecar goes first; what was cut off there is unfinished, and is not touched', async () => {
  const site = await newSite(minio())
  await days(site, 2)
  let deletes = 0
  const abort = new AbortController()
  site.disturb(({ operation }) => {
    if (operation !== 'DeleteObjects' || ++deletes < 2) return undefined
    abort.abort()
    return 'lose'
  })
  const cut = pruneOffsiteTask(site.context({ signal: abort.signal }), {
    address: site.address,
    policy: LAST,
  })
  expect(await codeOf(cut)).toBe('aborted')
  const { unfinished, objects } = await site.listing()
  expect(unfinished).toEqual(['d1.car'])
  expect(objects.has('d1.json')).toBe(false)
  site.disturb(() => undefined)
  const notes: string[] = []
  const context = site.context({ onNote: (text) => notes.push(text) })
  await pruneOffsiteTask(context, { address: site.address, policy: LAST })
  expect(notes).toEqual([expect.stringMatching(/no sidecar.*d1\.car/)])
})

test('a delete that is refused is an error with a code, and the copy is whole still', async () => {
  const site = await newSite(minio())
  await days(site, 3)
  const locked = await lockedBefore(minio().endpoint)
  const address = site.direct.replace(minio().endpoint, locked)
  await expect(pruneOffsiteTask(site.context(), { address, policy: LAST })).rejects.toMatchObject({
    code: 'access_denied',
    message: expect.stringMatching(/d2\.json/),
  })
  expect(await names(site)).toHaveLength(3)
})

/** A bucket that takes no deletes, as S3 says it: within an answer that is no error. */
async function lockedBefore(target: string): Promise<string> {
  const server = createServer((asked, answer) => {
    if (asked.url?.includes('?delete') === true) {
      let body = ''
      asked.on('data', (part: Buffer) => (body += part.toString()))
      asked.on('end', () => {
        const key = /<Key>(.*?)<\/Key>/.exec(body)?.[1] ?? ''
        answer
          .writeHead(200, { 'content-type': 'application/xml' })
          .end(
            `<?xml version="1.0"?><DeleteResult><Error><Key>${key}</Key><Code>AccessDenied</Code>` +
              '<Message>Access Denied</Message></Error></DeleteResult>',
          )
      })
      return
    }
    const { method, headers, url = '/' } = asked
    const onward = request(new URL(url, target), { method, headers, agent: false }, (from) => {
      answer.writeHead(from.statusCode ?? 500, from.headers)
      from.pipe(answer)
    })
    asked.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('uploads that nobody ended go after a week, and no others', async () => {
  for (const prefix of ['', 'a/prefix']) {
    const site = await newSite(minio(), prefix)
    await addBackup(site.folder, 'sent', { at: DAY })
    await addBackup(site.folder, 'cut', { at: 2 * DAY })
    const options = { address: site.address, policy: { last: 9 } }
    await site.inBucket(async (bucket) => {
      await bucket.uploads.begin('cut.car')
      await bucket.uploads.begin('not-ours.bin')
    })
    const early = site.context({ now: () => Date.now() + 6 * DAY })
    expect(await pruneOffsiteTask(early, options)).toMatchObject({ dropped_uploads: 0 })
    const late = site.context({ now: () => Date.now() + 8 * DAY })
    expect(await pruneOffsiteTask(late, { ...options, dryRun: true })).toMatchObject({
      dropped_uploads: 1,
    })
    expect(await pruneOffsiteTask(late, options)).toMatchObject({ dropped_uploads: 1 })
    expect(await site.inBucket((bucket) => bucket.uploads.unfinished('cut.car'))).toEqual([])
    expect(await site.inBucket((bucket) => bucket.uploads.unfinished('not-ours.bin'))).toHaveLength(
      1,
    )
  }
})
