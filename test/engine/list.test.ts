/** Pages: one order, in which every entity has one place, whether it lies in the chain or in the tree. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Dataset } from '../../src/engine/dataset.ts'
import { keyOf } from '../../src/model/entity-id.ts'
import { collect, openTest, pageThrough, plain, START } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'

const A = tipOf('a')
const idOf = (n: number): string => `E${String(n).padStart(6, '0')}`

/** 2,300 entities: most in the snapshot, some newer in the chain, some in the chain alone. */
async function mixed(): Promise<{ dataset: Dataset; ids: string[] }> {
  const { dataset } = await openTest({ init: { chunkSize: 256 } })
  const ids = Array.from({ length: 2300 }, (_, i) => idOf(i))
  const tree = ids.filter((_, i) => i % 5 !== 2)
  await dataset.appendBatch([...tree, 'gone-tree', 'gone-chain'].map((pi) => ({ pi, tip: A })))
  await dataset.append({ pi: 'gone-tree', tip: null })
  await dataset.build()
  await dataset.appendBatch(
    ids.filter((_, i) => i % 5 === 2 || i % 7 === 0).map((pi) => ({ pi, tip: tipOf('b') })),
  )
  await dataset.appendBatch(['gone-chain', 'never-there'].map((pi) => ({ pi, tip: null })))
  return { dataset, ids }
}

test.each(['asc', 'desc'] as const)(
  'pages at offsets 0, 1000, 2000 and 2295 of 2,300 entities across chain and snapshot, %s',
  async (order) => {
    const { dataset, ids } = await mixed()
    const all = order === 'asc' ? ids : ids.toReversed()
    for (const offset of [0, 1, 999, 1000, 2000, 2295, 2299, 2300, 5000]) {
      const page = await dataset.list({ offset, order, limit: 100 })
      expect(
        page.items.map(({ pi }) => pi),
        `offset ${offset}`,
      ).toEqual(all.slice(offset, offset + 100))
      expect(page.totalCount).toBe(2300)
      expect(page.hasMore).toBe(offset + 100 < 2300)
      expect(page.nextCursor !== null).toBe(page.hasMore)
    }
  },
)

test('every offset gives the page that paging by cursor gives, before and after the chain is folded', async () => {
  const { dataset, ids } = await mixed()
  for (const state of ['chain and snapshot', 'snapshot']) {
    for (let offset = 0; offset < 2300; offset += 97) {
      const { items } = await dataset.list({ offset, limit: 2, order: 'asc' })
      expect(
        items.map(({ pi }) => pi),
        `${state}, offset ${offset}`,
      ).toEqual(ids.slice(offset, offset + 2))
    }
    await dataset.build()
  }
})

test.each(['asc', 'desc'] as const)(
  'a cursor held across appends and builds gives each entity that was there once, in order, %s',
  async (order) => {
    const { dataset, ids } = await mixed()
    let turn = 0
    const seen = await pageThrough(dataset, 100, order, async () => {
      turn += 1
      // New versions everywhere, new entities between the old ones; now and then a build.
      await dataset.appendBatch(
        ids.filter((_, i) => i % 23 === turn).map((pi) => ({ pi, tip: tipOf(`t${turn}`) })),
      )
      await dataset.appendBatch(
        [0, 500, 1150, 2000].map((n) => ({ pi: `${idOf(n)}-${turn}`, tip: A })),
      )
      if (turn % 3 === 0) await dataset.build()
    })
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen).toEqual(order === 'asc' ? seen.toSorted() : seen.toSorted().toReversed())
    const old = seen.filter((pi) => pi.length === idOf(0).length)
    expect(old).toEqual(order === 'asc' ? ids : ids.toReversed())
    expect(turn).toBeGreaterThan(20)
  },
)

test('a cursor whose own entity was deleted meanwhile goes on at its place', async () => {
  const { dataset } = await openTest()
  await dataset.appendBatch(['a', 'b', 'c', 'd'].map((pi) => ({ pi, tip: A })))
  const first = await dataset.list({ limit: 2, order: 'asc' })
  await dataset.append({ pi: 'b', tip: null })
  await dataset.build()
  const second = await dataset.list({ limit: 2, order: 'asc', cursor: first.nextCursor ?? '' })
  expect(second.items.map(({ pi }) => pi)).toEqual(['c', 'd'])
  expect(second).toMatchObject({ hasMore: false, nextCursor: null, totalCount: 3 })
})

test('a page of a state does not change while others append', async () => {
  const { dataset, ids } = await mixed()
  const stream = dataset.entries()
  const seen: string[] = []
  for await (const { pi } of stream) {
    seen.push(pi)
    if (seen.length % 500 === 0) {
      await dataset.append({ pi: `${pi}-new`, tip: A })
      if (seen.length === 1000) await dataset.build()
    }
  }
  expect(seen).toEqual(ids)
})

interface ModelEntry {
  readonly ver: number
  readonly tip: Uint8Array | null
  readonly exp: number | null
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append'),
      ids: fc.array(fc.nat(60), { minLength: 1, maxLength: 12 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('delete'),
      ids: fc.array(fc.nat(60), { minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('expiring'),
      ids: fc.array(fc.nat(60), { minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('build'), ids: fc.constant<number[]>([]) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('wait'), ids: fc.constant<number[]>([]) }),
  },
)

/** Ids of which some are not ASCII and some are the beginning of others. */
const names = Array.from({ length: 61 }, (_, n) =>
  n % 4 === 0
    ? `p/${n}`
    : n % 4 === 1
      ? `p/${n}/é`
      : n % 4 === 2
        ? `${'q'.repeat((n % 7) + 1)}${n}`
        : `ü${n}\u{1F600}`,
)

test('pages, lookups, ranges and prefixes agree with a plain map, whatever happened before', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.nat(30), async (steps, pick) => {
      const { dataset, clock } = await openTest({ init: { chunkSize: 64 } })
      const model = new Map<string, ModelEntry>()
      const current = (pi: string): ModelEntry | undefined => {
        const entry = model.get(pi)
        return entry === undefined || (entry.exp !== null && entry.exp <= clock.now)
          ? undefined
          : entry
      }
      for (const [i, { kind, ids }] of steps.entries()) {
        if (kind === 'build') await dataset.build()
        else if (kind === 'wait') clock.now += 7
        else {
          const batch = [...new Set(ids)].map((n) => {
            const pi = names[n] ?? ''
            const tip = kind === 'delete' ? null : tipOf(`${i}`)
            const exp = kind === 'append' ? null : clock.now + 10
            model.set(pi, { ver: (current(pi)?.ver ?? 0) + 1, tip, exp })
            return { pi, tip, exp }
          })
          await dataset.appendBatch(batch)
        }
      }
      const live = [...model.keys()]
        .filter((pi) => (current(pi)?.tip ?? null) !== null)
        .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
      for (const pi of names) {
        const expected = live.includes(pi) ? current(pi) : undefined
        const entry = await dataset.get(pi)
        expect(entry && { ver: entry.ver, tip: entry.tip, exp: entry.exp }, pi).toEqual(expected)
      }
      const low = names[pick] ?? ''
      const high = names[pick + 20] ?? ''
      const inRange = live.filter((pi) => keyOf(pi) >= keyOf(low) && keyOf(pi) < keyOf(high))
      expect(await collectIds(dataset, { from: low, to: high }, 3)).toEqual(inRange)
      expect(await collectIds(dataset, { from: low, to: high, order: 'desc' }, 2)).toEqual(
        inRange.toReversed(),
      )
      for (const prefix of ['p/', 'p/1', 'q', 'ü', 'p/5/é', 'zz']) {
        const having = live.filter((pi) => pi.startsWith(prefix))
        expect(await collectIds(dataset, { prefix }, 4), prefix).toEqual(having)
        expect(await collectIds(dataset, { prefix, order: 'desc' }, 5), prefix).toEqual(
          having.toReversed(),
        )
        expect((await collect(dataset.entries({ prefix }))).map(({ pi }) => pi)).toEqual(having)
      }
      // Offsets and totals still count what has expired since; a build makes them exact.
      await dataset.build()
      const total = live.length
      for (const offset of [0, 1, total >> 1, total - 1, total, total + 3].filter((n) => n >= 0)) {
        for (const order of ['asc', 'desc'] as const) {
          const page = await dataset.list({ offset, order, limit: 5 })
          const all = order === 'asc' ? live : live.toReversed()
          expect(
            page.items.map(({ pi }) => pi),
            `${order} ${offset}`,
          ).toEqual(all.slice(offset, offset + 5))
          expect(page.totalCount).toBe(total)
        }
      }
    }),
    { numRuns: 150, includeErrorInReport: true },
  )
})

test('offsets inside a prefix or a range count from its edge, across chain and snapshot', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.nat(200), { maxLength: 80 }),
      fc.uniqueArray(fc.nat(200), { maxLength: 40 }),
      fc.uniqueArray(fc.nat(200), { maxLength: 20 }),
      fc.nat(12),
      async (tree, chain, gone, offset) => {
        const { dataset } = await openTest({ init: { chunkSize: 64 } })
        const put = async (ids: number[], tip: Uint8Array | null): Promise<void> => {
          await dataset.appendBatch(ids.map((n) => ({ pi: `k${n}`, tip })))
        }
        await put(tree, A)
        await put(gone.slice(10), null)
        await dataset.build()
        await put(chain, A)
        await put(gone.slice(0, 10), null)
        const live = new Set([...tree.filter((n) => !gone.slice(10).includes(n)), ...chain])
        for (const n of gone.slice(0, 10)) live.delete(n)
        const all = [...live].map((n) => `k${n}`).toSorted()
        const within = all.filter((pi) => pi.startsWith('k1'))
        const options = { prefix: 'k1', offset, limit: 4 }
        const up = await dataset.list({ ...options, order: 'asc' })
        expect(up.items.map(({ pi }) => pi)).toEqual(within.slice(offset, offset + 4))
        const down = await dataset.list({ ...options, order: 'desc' })
        expect(down.items.map(({ pi }) => pi)).toEqual(
          within.toReversed().slice(offset, offset + 4),
        )
        const tail = all.filter((pi) => pi >= 'k15')
        const from = await dataset.list({ from: 'k15', offset, limit: 4, order: 'asc' })
        expect(from.items.map(({ pi }) => pi)).toEqual(tail.slice(offset, offset + 4))
      },
    ),
    { numRuns: 100, includeErrorInReport: true },
  )
})

test('what has expired since the build is skipped by pages, and counted until the next build', async () => {
  const { dataset, clock } = await openTest()
  await dataset.appendBatch(
    ['a', 'b', 'c', 'd'].map((pi) => ({ pi, tip: A, exp: pi === 'b' ? START + 5 : null })),
  )
  await dataset.build()
  clock.now += 5
  const page = await dataset.list({ order: 'asc', limit: 2 })
  expect(page.items.map(({ pi }) => pi)).toEqual(['a', 'c'])
  expect(page).toMatchObject({ totalCount: 4, hasMore: true })
  await dataset.build()
  expect(await dataset.list({ order: 'asc', offset: 1 })).toMatchObject({
    totalCount: 3,
    items: [{ pi: 'c' }, { pi: 'd' }],
  })
})

test('entries streams what list pages, and with deleted what is remembered, too', async () => {
  const { dataset, ids } = await mixed()
  expect((await collect(dataset.entries())).map(({ pi }) => pi)).toEqual(ids)
  const all = await collect(dataset.entries({ deleted: true }))
  expect(all.filter(({ tip }) => tip === null).map(({ pi }) => pi)).toEqual([
    'gone-chain',
    'gone-tree',
    'never-there',
  ])
  const page = await dataset.list({ limit: 10, order: 'asc' })
  expect(page.items.map(plain)).toEqual(all.slice(0, 10).map(plain))
})

async function collectIds(
  dataset: Dataset,
  range: { from?: string; to?: string; prefix?: string; order?: 'asc' | 'desc' },
  limit: number,
): Promise<string[]> {
  const ids: string[] = []
  let cursor: string | undefined
  for (;;) {
    const page = await dataset.list({ order: 'asc', ...range, limit, cursor })
    ids.push(...page.items.map(({ pi }) => pi))
    if (page.nextCursor === null) return ids
    cursor = page.nextCursor
  }
}
