/** Bodies of many small parts: what takes long to read is refused before anything reads it. */
import { expect, test } from 'vitest'
import { excessOf } from '../../src/service/http/json-size.ts'
import { entity, JOBS, JSON_TYPE, LINKED, MAIN } from '../helpers/hostile.ts'
import { expectProblem } from '../helpers/problem.ts'
import { startService } from '../helpers/service.ts'

const keys = (count: number): string =>
  `{${Array.from({ length: count }, (_, i) => `"${i.toString(36)}x":1`).join(',')}}`
const array = (count: number, one = '1'): string => `[${Array(count).fill(one).join(',')}]`

test('a body of more keys and values than fit a block is refused before it is read', async () => {
  const { request } = await startService({ ...LINKED, automation: false })
  const map = `${MAIN}/maps/m/keys`
  const bombs = [
    keys(1_300_000),
    array(5_500_000, '[]'),
    array(1_100_000),
    array(400_000, '{"":1}'),
  ]
  for (const bomb of bombs) {
    const calls = [
      ['PUT', entity('a'), `{"value":${bomb}}`],
      ['PUT', `${entity('a')}/content`, bomb],
      ['PUT', `${map}/k`, bomb],
      ['PUT', `${MAIN}/session/metadata`, bomb],
    ] as const
    for (const [method, path, body] of calls) {
      const answer = await request(method, path, body, JSON_TYPE)
      expectProblem(answer, 413, 'too_large')
      expect((answer.json as { detail: string }).detail).toMatch(
        /^There are too many keys and values/,
      )
    }
  }
  const batches = [
    [`${MAIN}/entries`, `{"entries":[{"pi":"a","value":${keys(1_300_000)}}]}`],
    [`${MAIN}/entries`, `{"entries":${array(600_000, '{"pi":"a","value":[]}')}}`],
    [map, `{"set":{"a":${keys(1_300_000)}}}`],
  ] as const
  for (const [path, body] of batches)
    expectProblem(await request('POST', path, body, JSON_TYPE), 413, 'too_large')
})

test('what fits a block is taken, whatever it is made of', async () => {
  const { request } = await startService({ ...LINKED, automation: false })
  const full = (1 << 20) - 8
  const values = [
    array(full),
    array(full / 4, '{"a":1}'),
    keys(150_000),
    `"${',:[{'.repeat(200_000)}"`,
  ]
  for (const [i, value] of values.entries()) {
    const put = await request('PUT', entity(`e${i}`), `{"value":${value}}`, JSON_TYPE)
    expect(put.status, put.text).toBe(201)
    const content = await request('PUT', `${entity(`c${i}`)}/content`, value, JSON_TYPE)
    expect(content.status, content.text).toBe(201)
  }
  const entries = Array.from({ length: 10_000 }, (_, i) => ({
    pi: `b${i}`,
    value: Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`field${n}`, n])),
  }))
  expect((await request('POST', `${MAIN}/entries`, { entries })).status).toBe(200)
})

test('a body without values has a small limit, whatever body_limit is', async () => {
  const { request } = await startService({ ...LINKED, automation: false })
  const long = 'a'.repeat(3 << 20)
  const calls = [
    [`${MAIN}/session/connect`, { user: long }],
    [JOBS, { kind: 'build', reason: long }],
    [`${MAIN}/blocks`, { cids: [long] }],
    [`${MAIN}/syncs`, { from: 'x', commit: long }],
    ['/chain/append', { pi: long }],
  ] as const
  for (const [path, body] of calls)
    expectProblem(await request('POST', path, body), 413, 'too_large')
  const value = 'a'.repeat(1 << 19)
  const entries = Array.from({ length: 10 }, (_, i) => ({ pi: `e${i}`, value }))
  expect((await request('POST', `${MAIN}/entries`, { entries })).status).toBe(200)
})

test('the weight of JSON is what its keys and values take in a block at least', () => {
  const weightOf = (text: string): number => {
    let weight = 0
    while (excessOf(text, { levels: 10, weight }) !== undefined) weight++
    return weight
  }
  const weights: Record<string, number> = {
    '1': 0,
    '[]': 0,
    '{}': 0,
    '[1]': 1,
    '[1,2,3]': 3,
    '[[],{},[]]': 3,
    '{"a":1}': 3,
    '{"a":1,"b":[1,2]}': 8,
    '"[{,:"': 0,
    '["\\"[,",1]': 2,
  }
  for (const [text, weight] of Object.entries(weights))
    expect([text, weightOf(text)]).toEqual([text, weight])
  expect(excessOf('[[[1]]]', { levels: 2, weight: 10 })).toBe('levels')
})
