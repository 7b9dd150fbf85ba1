/** Whatever happens on the way, a write takes effect once. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { WriteEntry } from '../../src/client/index.ts'
import type { Fate } from '../helpers/fault-proxy.ts'
import { setup, type Setup } from './setup.ts'

const POST = 'POST /v1/datasets/main/entries'
const LOST: readonly Fate[] = ['lose', 'mute', 'late', 'twice', 'half', 'hang', 'refuse', 'gateway']

/** The whole log: position, entity and version of each entry. */
async function logOf({ service }: Setup): Promise<string[]> {
  const items = await (await service.service.dataset('main')).log({ since: 0, limit: 10_000 })
  return items.items.map(({ entry }) => `${entry.pi} ${entry.ver}`)
}

test.each(LOST)('a write whose request meets "%s" takes effect once', async (fate) => {
  const setting = await setup()
  const { next, client, proxy } = setting
  const main = client({ timeoutMs: 250, random: () => 0 })
  await main.put('old', 0)
  next(POST, fate, fate)
  expect(await main.put('new', { n: 1 })).toMatchObject({ pi: 'new', ver: 1 })
  next(POST, fate)
  expect(await main.put('old', { n: 1 })).toMatchObject({ pi: 'old', ver: 2 })
  next(POST, fate)
  expect(await main.delete('old')).toMatchObject({ ver: 3, tip: null })
  next(POST, fate)
  const batch = [
    { pi: 'old', value: 1 },
    { pi: 'x', value: 1 },
    { pi: 'old', value: 2 },
  ]
  expect((await main.appendBatch(batch)).map(({ ver }) => ver)).toEqual([4, 1, 5])
  next('PUT /v1/datasets/main/entities/large', fate)
  expect(await main.put('large', Buffer.alloc(1_200_000, 1))).toMatchObject({ ver: 1 })
  await proxy.settled()
  const log = ['old 1', 'new 1', 'old 2', 'old 3', 'old 4', 'x 1', 'old 5', 'large 1']
  expect(await logOf(setting)).toEqual(log)
})

test('a write that was lost on the way back, and overtaken since, is found in the history', async () => {
  const setting = await setup()
  const { service, next, main } = setting
  const dataset = await service.service.dataset('main')
  const overtake = async (): Promise<unknown> => {
    while ((await dataset.get('a')) === undefined) await new Promise((go) => setTimeout(go, 1))
    return dataset.put('a', { other: true })
  }
  next(POST, 'mute')
  const [written] = await Promise.all([main.put('a', { n: 1 }), overtake()])
  expect(written).toMatchObject({ pi: 'a', ver: 1, position: 0, status: 'already' })
  expect(await logOf(setting)).toEqual(['a 1', 'a 2'])
})

test('a write that was lost on its way, and overtaken since, is written behind', async () => {
  const setting = await setup()
  const { service, next, proxy, client } = setting
  const dataset = await service.service.dataset('main')
  next(POST, 'late')
  const overtake = async (): Promise<void> => {
    while (!proxy.seen.some((call) => call.startsWith(POST)))
      await new Promise((go) => setTimeout(go, 1))
    await dataset.put('a', { other: true })
  }
  const main = client({ random: () => 1 })
  const [written] = await Promise.all([main.put('a', { n: 1 }), overtake()])
  await proxy.settled()
  expect(written).toMatchObject({ pi: 'a', ver: 2, status: 'appended' })
  expect(await logOf(setting)).toEqual(['a 1', 'a 2'])
})

test('what the caller demands is never given up: the refusal says what is certain', async () => {
  const setting = await setup()
  const { service, next, main } = setting
  const dataset = await service.service.dataset('main')
  await dataset.put('a', { other: true })
  next(POST, 'lose')
  await expect(main.put('a', { n: 1 }, { expect_ver: 0 })).rejects.toMatchObject({
    code: 'conflict',
    uncertain: false,
  })
  next(POST, 'mute')
  expect(await main.put('a', { n: 1 }, { expect_ver: 1 })).toMatchObject({ ver: 2 })
  expect(await logOf(setting)).toEqual(['a 1', 'a 2'])
})

test('where the history does not reach, nothing is claimed and nothing is written again', async () => {
  const setting = await setup()
  const { service, next, client } = setting
  const dataset = await service.service.dataset('main')
  const overtake = async (): Promise<void> => {
    while ((await dataset.get('a')) === undefined) await new Promise((go) => setTimeout(go, 1))
    for (const other of [1, 2]) {
      await dataset.put('a', { other })
      await dataset.build()
    }
    await dataset.prune({ policy: { last: 1 } })
  }
  next(POST, 'mute', 'lose', 'lose', 'lose')
  const main = client({ random: () => 1 })
  const [written] = await Promise.allSettled([main.put('a', { n: 1 }), overtake()])
  expect(written).toMatchObject({ reason: { code: 'conflict', uncertain: true } })
  expect(await main.get('a')).toMatchObject({ ver: 3 })
})

const FATES = ['pass', 'pass', 'pass', 'lose', 'mute', 'late', 'twice', 'half', 'gateway'] as const

test('clients that write the same entities over bad lines: each write is in the log once', async () => {
  const { service, next, client, proxy } = await setup()
  const dataset = await service.service.dataset('main')
  let run = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...FATES), { minLength: 10, maxLength: 60 }),
      fc.array(fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 3 }), {
        minLength: 2,
        maxLength: 8,
      }),
      async (fates, writes) => {
        run++
        const { next: since } = await dataset.head()
        next('', ...fates)
        const write = async (entities: number[], i: number): Promise<number> => {
          const value = (j: number): unknown => ({ run, i, j })
          const entries: WriteEntry[] = entities.map((pi, j) => ({ pi: `e${pi}`, value: value(j) }))
          const main = client({ retries: 80, timeoutMs: 1000, random: () => 0 })
          return (await main.appendBatch(entries)).length
        }
        const counts = await Promise.all(writes.map(write))
        await proxy.settled()
        const { items } = await dataset.log({ since, limit: 1000 })
        const tips = new Set(items.map(({ entry }) => String(entry.tip)))
        const total = counts.reduce((sum, one) => sum + one, 0)
        expect([items.length, tips.size]).toEqual([total, total])
      },
    ),
    { numRuns: 8 },
  )
})

test('who wants no repetition gets one request, and is told what is not certain', async () => {
  const { next, client, proxy } = await setup()
  const main = client({ retries: 0 })
  next(POST, 'mute')
  await expect(main.put('a', 1)).rejects.toMatchObject({ code: 'unreachable', uncertain: true })
  expect(proxy.seen).toEqual([POST])
  next(POST, 'refuse')
  await expect(main.put('a', 1)).rejects.toMatchObject({
    code: 'overloaded',
    status: 503,
    uncertain: false,
  })
})
