/** Samples: bounded, one a step of time, and gone with their dataset. */
import { expect, test } from 'vitest'
import { createSamples, KEEPING, type SampleSources } from '../../src/service/samples.ts'
import { startService } from '../helpers/service.ts'

function world() {
  const state = { now: 1_000_000_000_000, names: ['a', 'b'], total: 0, down: false }
  const asked = { status: 0 }
  const stop = new AbortController()
  const sources: SampleSources = {
    now: () => state.now,
    stop: stop.signal,
    dataset: async (name) => {
      if (state.down && name === 'b') throw new Error('it does not answer')
      return { head: async () => ({ totalCount: state.total, recentCount: 3 }) as never }
    },
    cairn: {
      datasets: async () => state.names,
      status: async () => {
        asked.status++
        return { sizeBytes: 77 } as never
      },
    },
  }
  return { state, asked, stop, samples: createSamples(sources) }
}

test('keeps half an hour as it was taken, and a day by the minute', async () => {
  const { state, samples } = world()
  const rounds = 9000
  for (let i = 0; i < rounds; i++) {
    state.total = i
    await samples.take()
    state.now += 10_000
  }
  const [recent, day] = [samples.of('a', 'recent'), samples.of('a', 'day')]
  expect(recent).toHaveLength(KEEPING.recent.most)
  expect(recent.at(-1)?.totalCount).toBe(rounds - 1)
  expect(recent.every(({ ts }, i) => i === 0 || ts - (recent[i - 1]?.ts ?? 0) === 10_000)).toBe(
    true,
  )
  expect(day).toHaveLength(KEEPING.day.most)
  expect(day.every(({ ts }, i) => i === 0 || ts - (day[i - 1]?.ts ?? 0) === 60_000)).toBe(true)
  expect(day.at(-1)?.ts).toBeGreaterThan(state.now - 80_000)
})

test('what does not answer leaves a gap, and the others are asked', async () => {
  const { state, samples } = world()
  state.down = true
  await samples.take()
  expect(samples.of('a', 'recent')).toHaveLength(1)
  expect(samples.of('b', 'recent')).toEqual([])
})

test('those of a dataset that is gone are forgotten, and so is the future after a clock was set back', async () => {
  const { state, samples } = world()
  await samples.take()
  state.names = ['a']
  state.now -= 3_600_000
  await samples.take()
  expect(samples.of('b', 'recent')).toEqual([])
  expect(samples.of('a', 'recent').map(({ ts }) => ts)).toEqual([state.now])
})

test('who asks while one is taken gets that one', async () => {
  const { asked, samples } = world()
  await Promise.all([samples.take(), samples.take()])
  expect(asked.status).toBe(1)
})

test('the API tells them, oldest first', async () => {
  let now = 1_700_000_000_000
  const { request, service } = await startService({ automation: false, now: () => now })
  await service.samples.take()
  now += 10_000
  await service.samples.take()
  const { status, json } = await request('GET', '/v1/datasets/main/samples')
  expect(status).toBe(200)
  expect(json).toMatchObject({
    dataset: 'main',
    every_ms: 10_000,
    items: [
      { ts: new Date(now - 10_000).toISOString(), total_count: 0, recent_count: 0 },
      { ts: new Date(now).toISOString(), memory_bytes: expect.any(Number) },
    ],
  })
  expect((await request('GET', '/v1/datasets/main/samples?window=day')).json).toMatchObject({
    every_ms: 60_000,
  })
  expect((await request('GET', '/v1/datasets/main/samples?window=week')).status).toBe(400)
  expect((await request('GET', '/v1/datasets/none/samples')).status).toBe(404)
})
