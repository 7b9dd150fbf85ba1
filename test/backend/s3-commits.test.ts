/** Commits in a bucket: which is the newest, and what became of a put whose answer was lost. */
import { expect, onTestFinished, test, vi } from 'vitest'
import type { BucketBackend } from '../../src/backend/s3/index.ts'
import { commitKey, headOf } from '../../src/backend/s3/layout.ts'
import { block, commitMany, expectError, request } from '../conformance/material.ts'
import { HOUR, isPutOf, once, totalOf, useSites, type Site } from './s3-kit.ts'

const newSite = useSites()

const newestOf = async (backend: BucketBackend): Promise<number | undefined> =>
  (await backend.newest('main', -1))?.number

const hint = (site: Site, text: string): Promise<void> =>
  site.bucket.put(headOf('main'), Buffer.from(text))

test('who comes cold finds the newest by a hint, a stale one, a wrong one, or none', async () => {
  const site = await newSite()
  const writer = await site.openPlain()
  await commitMany(writer, 40)
  await writer.close()
  const cold = async (): Promise<{ newest: number | undefined; requests: number }> => {
    const backend = await site.open()
    const before = totalOf(site.proxy)
    const newest = await newestOf(backend)
    const requests = totalOf(site.proxy) - before
    await backend.close()
    return { newest, requests }
  }
  await hint(site, '39')
  // The hint, the commit, the one behind it, the floor.
  expect(await cold()).toEqual({ newest: 39, requests: 4 })
  await hint(site, '32')
  expect((await cold()).newest).toBe(39)
  for (const text of ['41', '999999999999', '-1', '1e3', 'no number', '']) {
    await hint(site, text)
    expect(await cold(), text).toEqual({ newest: 39, requests: expect.any(Number) as number })
  }
  await site.bucket.delete([headOf('main')])
  expect(await cold()).toEqual({ newest: 39, requests: 5 })
})

test('a cold reader of 300 commits makes few requests, since they were folded', async () => {
  const site = await newSite()
  const writer = await site.openPlain()
  const blocks = Array.from({ length: 300 }, () => block(300))
  for (const [number, one] of blocks.entries())
    expect(await writer.commit(request(number, { blocks: [one] }))).toBe('committed')
  await writer.close()
  const reader = await site.open()
  const before = totalOf(site.proxy)
  expect(await newestOf(reader)).toBe(299)
  const found = await reader.getBlocks(blocks.map(({ cid }) => cid))
  const requests = totalOf(site.proxy) - before
  expect(found.map((bytes) => Buffer.from(bytes ?? []))).toEqual(
    blocks.map(({ bytes }) => Buffer.from(bytes)),
  )
  const marks = (await site.bucket.list('datasets/main/marks/')).objects.map(({ key }) => key)
  const folded = Number(marks.find((key) => key.includes('/folded-'))?.slice(-12))
  const packs = (await site.bucket.list('packs/')).objects.length
  expect(folded).toBeGreaterThan(150)
  expect(packs).toBeLessThanOrEqual(4)
  // One for each commit since the last fold, two for each pack, and those that find them.
  expect(requests).toBeLessThanOrEqual(299 - folded + 2 * packs + 16)
})

test.each(['refuse-after', 'cut-after'] as const)(
  'a commit whose answer is lost (%s) is there once',
  async (fault) => {
    const site = await newSite()
    const backend = await site.open()
    await commitMany(backend, 2)
    site.disturb(once(fault, isPutOf('/commits/')))
    const made = request(2)
    expect(await backend.commit(made)).toBe('committed')
    expect(await backend.commit(made)).toBe('committed')
    expect(await newestOf(await site.openPlain())).toBe(2)
  },
)

test('a put that comes late finds its number given away, also where its writer had given up', async () => {
  const site = await newSite()
  const slow = await site.open()
  await commitMany(slow, 2)
  const made = request(2)
  // Nobody knows what became of it: the put is on its way, and nothing can be asked.
  let silent = false
  site.disturb((call) => {
    if (silent) return 'refuse'
    silent = isPutOf('/commits/')(call)
    return silent ? 'late' : undefined
  })
  await expectError(slow.commit(made), 'commit_unknown')
  site.disturb(() => undefined)
  const other = await site.openPlain()
  const others = request(2)
  expect(await other.commit(others)).toBe('committed')
  expect(await other.commit(request(3))).toBe('committed')
  await site.proxy.release()
  expect(Buffer.from((await other.getCommit('main', 2)) ?? [])).toEqual(Buffer.from(others.bytes))
  expect(await slow.commit(made)).toBe('conflict')
  expect(await newestOf(slow)).toBe(3)
})

test('a put that comes late to a number that is free is the commit, and its writer finds out', async () => {
  const site = await newSite()
  const slow = await site.open()
  await commitMany(slow, 2)
  const made = request(2)
  let silent = false
  site.disturb((call) => {
    if (silent) return 'refuse'
    silent = isPutOf('/commits/')(call)
    return silent ? 'late' : undefined
  })
  await expectError(slow.commit(made), 'commit_unknown')
  site.disturb(() => undefined)
  await site.proxy.release()
  expect(await newestOf(await site.openPlain())).toBe(2)
  expect(await slow.commit(made)).toBe('committed')
})

test('where the commit before cannot be looked at, what took effect is not said to be made or not', async () => {
  const site = await newSite()
  const backend = await site.open()
  await commitMany(backend, 2)
  site.disturb(({ operation }) => (operation === 'HeadObject' ? 'refuse' : undefined))
  const made = request(2)
  await expectError(backend.commit(made), 'commit_unknown')
  site.disturb(() => undefined)
  expect(await backend.commit(made)).toBe('committed')
})

test('where a later try is refused, what an earlier one did stays in doubt', async () => {
  const site = await newSite()
  let slept = 0
  const slow = await site.open({ now: () => Date.now() + slept })
  await commitMany(slow, 2)
  const made = request(2)
  // The first try is on its way still; the next one would be signed too late.
  site.disturb((call) => {
    if (!isPutOf('/commits/')(call)) return undefined
    slept = HOUR
    return 'late'
  })
  await expectError(slow.commit(made), 'commit_unknown')
  site.disturb(() => undefined)
  await site.proxy.release()
  expect(await newestOf(await site.openPlain())).toBe(2)
})

test('a commit into a bucket that was emptied is taken back, and told', async () => {
  const site = await newSite()
  const backend = await site.open()
  await commitMany(backend, 3)
  const { objects } = await site.bucket.list('datasets/')
  await site.bucket.delete(objects.map(({ key }) => key))
  await expectError(backend.commit(request(3)), 'store_changed')
  expect((await site.bucket.list('datasets/main/commits/')).objects).toEqual([])
  await expectError(backend.newest('main', 2), 'store_changed')
})

test('a bucket in whose place another was put is told from it', async () => {
  const site = await newSite()
  const backend = await site.open()
  await commitMany(backend, 3)
  const { objects } = await site.bucket.list('datasets/')
  await site.bucket.delete(objects.map(({ key }) => key))
  await commitMany(await site.openPlain(), 3)
  await expectError(backend.commit(request(3)), 'store_changed')
  expect((await site.bucket.list('datasets/main/commits/')).objects.length).toBe(3)
})

test('who slept while others went on and forgot sees the newest commit', async () => {
  const site = await newSite()
  let slept = 0
  const sleeper = await site.open({ now: () => Date.now() + slept })
  await commitMany(sleeper, 3)
  const busy = await site.openPlain({ now: () => Date.now() + 2 * HOUR })
  for (let number = 3; number < 20; number++) await busy.commit(request(number))
  await busy.forget('main', 15)
  expect((await site.bucket.list('datasets/main/commits/')).objects.length).toBe(5)
  slept = 2 * HOUR
  expect(await newestOf(sleeper)).toBe(19)
  expect(await sleeper.commit(request(3))).toBe('forgotten')
  expect(await sleeper.commit(request(20))).toBe('committed')
})

test('commits that were deleted but in part hide nothing, from who slept or who comes cold', async () => {
  const site = await newSite()
  let slept = 0
  const sleeper = await site.open({ now: () => Date.now() + slept })
  await commitMany(sleeper, 3)
  const busy = await site.openPlain({ now: () => Date.now() + 2 * HOUR })
  for (let number = 3; number < 20; number++) await busy.commit(request(number))
  const kept = await site.bucket.get(commitKey('main', 2))
  await busy.forget('main', 15)
  await site.bucket.put(commitKey('main', 2), kept?.bytes ?? new Uint8Array(0))
  await hint(site, '2')
  slept = 2 * HOUR
  expect(await newestOf(sleeper)).toBe(19)
  expect(await newestOf(await site.openPlain())).toBe(19)
})

test('a number that was seen to be free is not asked for by who then slept', async () => {
  const site = await newSite()
  let slept = 0
  const backend = await site.open({ now: () => Date.now() + slept })
  await commitMany(backend, 2)
  const sweeps = await backend.sweeps()
  // Between the look at the sweeps and the put.
  site.disturb(({ key }) => {
    if (key.endsWith('/sweep.json')) slept = HOUR
    return undefined
  })
  expect(await backend.commit(request(2, { sweeps }))).toBe('conflict')
  expect(await newestOf(await site.openPlain())).toBe(1)
})

test.each([1, -1])('a clock that is wrong by %i hours does no harm', async (hours) => {
  const site = await newSite()
  const right = await site.openPlain()
  await commitMany(right, 2)
  const lease = await right.stage('main', 'a test')
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + hours * HOUR, shouldAdvanceTime: true })
  onTestFinished(() => void vi.useRealTimers())
  const wrong = await site.openPlain({ retryMs: 5000 })
  const one = block(300)
  const staging = await wrong.stage('main', 'a test')
  await staging.put([one])
  await staging.flush()
  expect(await wrong.commit(request(2, { staging }))).toBe('committed')
  await staging.end('committed')
  // What others hold is not void to it.
  await expectError(wrong.sweep({ waitMs: 300 }), 'busy')
  await lease.end('dropped')
  vi.useRealTimers()
  expect(await newestOf(right)).toBe(2)
  expect(await right.hasBlocks([one.cid])).toEqual([true])
})
