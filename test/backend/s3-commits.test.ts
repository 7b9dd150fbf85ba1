/** Commits in a bucket: which is the newest, and what became of a put whose answer was lost. */
import { expect, onTestFinished, test, vi } from 'vitest'
import type { BucketBackend } from '../../src/backend/s3/index.ts'
import { commitKey, headOf } from '../../src/backend/s3/layout.ts'
import type { Block } from '../../src/model/cid.ts'
import { block, commitMany, expectError, request } from '../conformance/material.ts'
import type { BucketCall } from '../helpers/bucket-proxy.ts'
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

interface Slept {
  readonly site: Site
  /** By way of the proxy. It has seen 0 to 2, and nothing since; 0 to 19 were made, and 15 to 19 are kept. */
  readonly sleeper: BucketBackend
  readonly sleep: () => void
  /** A block of 18. */
  readonly late: Block
}

/** `inPart`: of what was forgotten, 2 was not deleted. */
async function afterSleep({ inPart = false } = {}): Promise<Slept> {
  const site = await newSite()
  let slept = 0
  const sleep = (): void => void (slept += 2 * HOUR)
  const sleeper = await site.open({ now: () => Date.now() + slept })
  await commitMany(sleeper, 3)
  const kept = await site.bucket.get(commitKey('main', 2))
  const busy = await site.openPlain({ now: () => Date.now() + 2 * HOUR })
  const late = block(300)
  for (let number = 3; number < 20; number++)
    await busy.commit(request(number, { blocks: number === 18 ? [late] : [] }))
  await busy.forget('main', 15)
  expect((await site.bucket.list('datasets/main/commits/')).objects.length).toBe(5)
  if (inPart) await site.bucket.put(commitKey('main', 2), kept?.bytes ?? new Uint8Array(0))
  sleep()
  return { site, sleeper, sleep, late }
}

const isListOf =
  (part: string) =>
  ({ operation, query }: BucketCall): boolean =>
    operation === 'ListObjectsV2' && (query.get('prefix') ?? '').includes(part)

/** Begins `work`, and holds its requests that are meant: so many. What comes after it is not held. */
async function heldAt<T>(
  site: Site,
  count: number,
  isMeant: (call: BucketCall) => boolean,
  work: () => Promise<T>,
): Promise<{ readonly answer: Promise<T> }> {
  site.disturb((call) => (isMeant(call) ? 'hold' : undefined))
  const answer = work()
  answer.catch(() => {})
  await vi.waitFor(() => expect(site.proxy.held()).toBe(count))
  site.disturb(() => undefined)
  return { answer }
}

test('who slept while others went on and forgot sees the newest commit', async () => {
  const { sleeper } = await afterSleep()
  expect(await newestOf(sleeper)).toBe(19)
  expect(await sleeper.commit(request(3))).toBe('forgotten')
  expect(await sleeper.commit(request(20))).toBe('committed')
})

test('commits that were deleted but in part hide nothing, from who slept or who comes cold', async () => {
  const { site, sleeper } = await afterSleep({ inPart: true })
  await hint(site, '2')
  expect(await newestOf(sleeper)).toBe(19)
  expect(await newestOf(await site.openPlain())).toBe(19)
})

test('what one call of who slept found missing says nothing to others before it has read the floor', async () => {
  const { site, sleeper, late } = await afterSleep()
  // Of the search and of the look at the commit that was known.
  const first = await heldAt(site, 2, isListOf('/marks/'), () => newestOf(sleeper))
  expect(await sleeper.hasBlocks([late.cid])).toEqual([true])
  expect(await newestOf(sleeper)).toBe(19)
  await site.proxy.release()
  expect(await first.answer).toBe(19)
})

test('a call of who slept that is aborted before it has read the floor leaves nothing behind', async () => {
  const { site, sleeper } = await afterSleep()
  const stop = new AbortController()
  const first = await heldAt(site, 2, isListOf('/marks/'), () =>
    sleeper.newest('main', -1, { signal: stop.signal }),
  )
  stop.abort()
  await expectError(first.answer, 'aborted')
  expect(await newestOf(sleeper)).toBe(19)
})

test.each([false, true])(
  'a forgotten number is not given again while a call of who slept is under way (deleted in part: %s)',
  async (inPart) => {
    const { site, sleeper } = await afterSleep({ inPart })
    const first = await heldAt(site, inPart ? 1 : 2, isListOf('/marks/'), () => newestOf(sleeper))
    expect(await sleeper.commit(request(3))).toBe('forgotten')
    await site.proxy.release()
    expect(await first.answer).toBe(19)
  },
)

test('a call that comes late with an old head takes nothing from who knows a newer one', async () => {
  const { site, sleeper, sleep } = await afterSleep()
  const first = await heldAt(site, 2, isListOf('/marks/'), () => newestOf(sleeper))
  sleep()
  expect(await newestOf(sleeper)).toBe(19)
  // While it asks for 20, the first call reads the floor and looks for what is above.
  site.disturb((call) => {
    if (call.key.endsWith(commitKey('main', 20))) return { before: 500 }
    return isListOf('/commits/')(call) ? { before: 1000 } : undefined
  })
  const third = sleeper.newest('main', 19)
  await site.proxy.release()
  expect(await third).toBeUndefined()
  expect(await first.answer).toBe(19)
})

test('a commit is not put into a bucket that another call found emptied', async () => {
  const site = await newSite()
  const backend = await site.open()
  await commitMany(backend, 3)
  const sweeps = await backend.sweeps()
  // It has settled that 3 is next.
  const made = await heldAt(
    site,
    1,
    ({ key }) => key.endsWith('/sweep.json'),
    () => backend.commit(request(3, { sweeps })),
  )
  const { objects } = await site.bucket.list('datasets/')
  await site.bucket.delete(objects.map(({ key }) => key))
  await expectError(backend.newest('main', 2), 'store_changed')
  await site.proxy.release()
  await expectError(made.answer, 'store_changed')
  expect((await site.bucket.list('datasets/main/commits/')).objects).toEqual([])
})

test('a commit stands whose writer slept before it saw that the one before was forgotten', async () => {
  const site = await newSite()
  const slow = await site.open()
  await commitMany(slow, 3)
  const made = await heldAt(
    site,
    1,
    ({ operation }) => operation === 'HeadObject',
    () => slow.commit(request(3)),
  )
  const busy = await site.openPlain({ now: () => Date.now() + 2 * HOUR })
  await vi.waitFor(async () => expect(await newestOf(busy)).toBe(3))
  for (let number = 4; number < 20; number++) await busy.commit(request(number))
  await busy.forget('main', 3)
  await site.proxy.release()
  expect(await made.answer).toBe('committed')
  expect(await newestOf(slow)).toBe(19)
  expect(await site.bucket.get(commitKey('main', 3))).toBeDefined()
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
