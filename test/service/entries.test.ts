/** Many entries over HTTP: all or none, and the whole of it against a plain map. */
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { printCid } from '../../src/model/cid.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { openBackend } from '../../src/compose.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { tempDir } from '../helpers/engine.ts'
import { arbitraryId, tipOf } from '../helpers/entries.ts'
import { expectProblem } from '../helpers/problem.ts'
import { startService, type Answer, type TestService } from '../helpers/service.ts'

const MAIN = '/v1/datasets/main'
const entity = (pi: string): string => `${MAIN}/entities/${encodeURIComponent(pi)}`
const cid = (text: string): string => printCid(tipOf(text))

test('a batch of tips, values, bytes and deletions', async () => {
  const { request } = await startService({ init: { content: 'linked' } })
  const post = (...entries: unknown[]): Promise<Answer> =>
    request('POST', `${MAIN}/entries`, { entries })
  const first = await post({ pi: 'v', value: { a: 1 } }, { pi: 'b', bytes: 'AAEC' })
  const { entries } = first.json as { entries: { pi: string; tip: string }[] }
  expect(entries).toMatchObject([
    { pi: 'v', ver: 1, position: 0, status: 'appended' },
    { pi: 'b', ver: 1, position: 1, status: 'appended' },
  ])
  const tip = entries[0]?.tip
  const second = await post(
    { pi: 't', tip, ver: 7, ts: '2026-01-01T00:00:00Z', exp: '2126-01-01T00:00:00Z' },
    { pi: 'v', tip: null, expect_ver: 1, expect_tip: tip },
    { pi: 'b', bytes: 'AAEC', ver: 1 },
  )
  expect(second.json).toEqual({
    entries: [
      { pi: 't', ver: 7, tip, position: 2, status: 'appended' },
      { pi: 'v', ver: 2, tip: null, position: 3, status: 'appended' },
      { pi: 'b', ver: 1, tip: entries[1]?.tip, position: 1, status: 'already' },
    ],
  })
  expect((await request('GET', entity('t'))).json).toMatchObject({
    ver: 7,
    ts: '2026-01-01T00:00:00.000Z',
    exp: '2126-01-01T00:00:00.000Z',
  })
})

test('all or none', async () => {
  const { request } = await startService({ init: { chainLimit: 50 } })
  const post = (...entries: unknown[]): Promise<Answer> =>
    request('POST', `${MAIN}/entries`, { entries })
  await post({ pi: 'a', tip: cid('1') })
  const conflict = await post({ pi: 'b', tip: cid('1') }, { pi: 'a', tip: cid('2'), expect_ver: 0 })
  expectProblem(conflict, 409, 'conflict')
  expect(conflict.json).toMatchObject({ pi: 'a', current_ver: 1, current_tip: cid('1') })
  const wide = { pi: 'ä'.repeat(257), tip: cid('1') }
  expectProblem(await post({ pi: 'b', tip: cid('1') }, wide), 422, 'invalid_entry')
  const many = Array.from({ length: 51 }, (_, i) => ({ pi: `m${i}`, tip: cid('1') }))
  expectProblem(await post(...many), 413, 'too_large')
  const bad = [[], [{}], [{ pi: 'a' }], [{ pi: '', tip: null }], [{ pi: 'a', tip: null, x: 1 }]]
  const lone = [{ pi: '\ud800', tip: null }]
  const both = [{ pi: 'a', tip: null, value: 1 }]
  for (const entries of [...bad, lone, both]) expectProblem(await post(...entries), 400, 'usage')
  const place = await post({ pi: 'a', tip: null }, { pi: 'b', tip: 7 })
  expect((place.json as { place?: string }).place).toContain('entries.1')
  const more = Array.from({ length: 10_001 }, (_, i) => ({ pi: `${i}`, tip: null }))
  expectProblem(await post(...more), 400, 'usage')
  expect((await request('GET', `${MAIN}/entities`)).json).toMatchObject({ total_count: 1 })
})

test('appends of many clients share commits', async () => {
  const inner = openMemory()
  const backend = wrapBackend(inner, {
    commit: async (...call) => {
      await delay(50)
      return inner.commit(...call)
    },
  })
  const { request } = await startService({ backend })
  const put = (i: number): Promise<Answer> => request('PUT', entity(`e${i}`), { tip: cid('1') })
  const answers = await Promise.all(Array.from({ length: 64 }, (_, i) => put(i)))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]))
  const positions = answers.map(({ json }) => (json as { position: number }).position)
  expect(positions.sort((a, b) => a - b)).toEqual(positions.map((_, i) => i))
  const { number } = (await request('GET', MAIN)).json as { number: number }
  expect(number).toBeLessThan(32)
})

// --- Against a map ----------------------------------------------------------------------------------

interface Known {
  readonly ver: number
  readonly tip: string | null
}

type Model = Map<string, Known>

interface Step {
  readonly pi: string
  readonly tip: string | null
  readonly expectVer: number | undefined
  readonly times: number
}

const TIPS = ['1', '2', '3'].map(cid)

const arbitraryStep = (ids: readonly string[]): fc.Arbitrary<Step> =>
  fc.record({
    pi: fc.constantFrom(...ids),
    tip: fc.constantFrom(...TIPS, null),
    expectVer: fc.option(fc.nat(3), { nil: undefined }),
    times: fc.constantFrom(1, 1, 1, 2),
  })

const live = (model: Model): string[] =>
  [...model]
    .filter(([, { tip }]) => tip !== null)
    .map(([pi]) => pi)
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

async function take({ request }: TestService, model: Model, step: Step): Promise<void> {
  const { pi, tip, expectVer } = step
  const now = model.get(pi)
  const ver = (now?.ver ?? 0) + 1
  const expects = expectVer === undefined ? {} : { expect_ver: expectVer }
  const query = expectVer === undefined ? '' : `?expect_ver=${expectVer}`
  const answer =
    tip === null
      ? await request('DELETE', `${entity(pi)}${query}`)
      : await request('PUT', entity(pi), { tip, ...expects })
  // One's own retry is no conflict.
  const isRetry = now?.tip === tip && expectVer !== undefined && now.ver === expectVer + 1
  if (isRetry) {
    expect(answer.json).toMatchObject({ ver: now.ver, tip, status: 'already' })
  } else if (expectVer !== undefined && expectVer !== (now?.ver ?? 0)) {
    expectProblem(answer, 409, 'conflict')
    expect(answer.json).toMatchObject({ current_ver: now?.ver ?? 0, current_tip: now?.tip ?? null })
  } else {
    expect(answer.json, answer.text).toMatchObject({ pi, ver, tip, status: 'appended' })
    model.set(pi, { ver, tip })
  }
}

async function compare(
  { request }: TestService,
  model: Model,
  ids: readonly string[],
): Promise<void> {
  for (const pi of ids) {
    const answer = await request('GET', entity(pi))
    const known = model.get(pi)
    if (known === undefined || known.tip === null) expectProblem(answer, 404, 'not_found')
    else expect(answer.json).toMatchObject({ pi, ver: known.ver, tip: known.tip })
  }
  const all: string[] = []
  for (let cursor = ''; ;) {
    const page = (await request('GET', `${MAIN}/entities?limit=2&order=asc${cursor}`)).json as {
      items: { pi: string }[]
      total_count: number
      next_cursor: string | null
    }
    all.push(...page.items.map(({ pi }) => pi))
    expect(page.total_count).toBe(live(model).length)
    if (page.next_cursor === null) break
    cursor = `&cursor=${page.next_cursor}`
  }
  expect(all).toEqual(live(model))
}

test('whatever is put and deleted, it reads as a map', async () => {
  const backend = await openBackend(`lmdb:${await tempDir()}/store`)
  const service = await startService({ backend })
  let round = 0
  const ids = fc.uniqueArray(arbitraryId, { minLength: 1, maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(
      ids.chain((some) =>
        fc.tuple(fc.constant(some), fc.array(arbitraryStep(some), { maxLength: 12 })),
      ),
      async ([some, steps]) => {
        // A dataset for each: what came before does not matter.
        const name = `d${round++}`
        const own: TestService = {
          ...service,
          request: (method, path, ...rest) =>
            service.request(method, path.replace('/main', `/${name}`), ...rest),
        }
        expect((await own.request('PUT', MAIN, { content: 'external' })).status).toBe(201)
        const model: Model = new Map()
        for (const step of steps) {
          for (let i = 0; i < step.times; i++) await take(own, model, step)
          if (step.times > 1) await (await service.service.dataset(name)).build({})
        }
        await compare(own, model, some)
      },
    ),
    { numRuns: 25, seed: 7 },
  )
})
