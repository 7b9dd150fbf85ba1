/** The signal of a request: it lasts as long as somebody waits for the answer, and no longer than the deadline. */
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { Routes } from '../../src/service/routes/index.ts'
import { startService } from '../helpers/service.ts'

interface Seen {
  readonly signals: AbortSignal[]
}

/** A route that answers when it is told to, or never. */
function slow(seen: Seen, ms: number): Routes {
  return () => async (app) => {
    for (const stream of [false, true]) {
      const url = stream ? '/stream' : '/slow'
      app.route({
        method: ['GET', 'POST'],
        url,
        config: { right: 'none', stream },
        handler: async ({ signal }) => {
          seen.signals.push(signal)
          await delay(ms, undefined, { signal })
          return { aborted: signal.aborted }
        },
      })
    }
  }
}

test.each(['GET', 'POST'])('a %s whose answer is awaited is not aborted', async (method) => {
  const seen: Seen = { signals: [] }
  const { request } = await startService({ routes: [slow(seen, 60)] })
  const body = method === 'POST' ? { a: 1 } : undefined
  expect((await request(method, '/slow', body)).json).toEqual({ aborted: false })
  await delay(30)
  expect(seen.signals.map(({ aborted }) => aborted)).toEqual([false])
})

test.each(['GET', 'POST'])('a %s whose sender is gone is aborted', async (method) => {
  const seen: Seen = { signals: [] }
  const { url } = await startService({ routes: [slow(seen, 20_000)] })
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  const body = '{"a":1}'
  const head = `${method} /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n`
  const rest =
    method === 'GET'
      ? '\r\n'
      : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  socket.write(head + rest)
  await expect.poll(() => seen.signals.length, { timeout: 5000 }).toBe(1)
  await delay(50)
  expect(seen.signals[0]?.aborted).toBe(false)
  socket.destroy()
  await expect.poll(() => seen.signals[0]?.aborted, { timeout: 5000 }).toBe(true)
})

test.each(['GET', 'POST'])(
  'a %s that takes too long is given up, and its sender told',
  async (method) => {
    const seen: Seen = { signals: [] }
    const values = { request_deadline: 1000 }
    const { request } = await startService({ routes: [slow(seen, 20_000)], values })
    const body = method === 'POST' ? { a: 1 } : undefined
    const answer = await request(method, '/slow', body)
    expect(answer).toMatchObject({ status: 504, json: { code: 'deadline_exceeded' } })
    expect(seen.signals[0]?.aborted).toBe(true)
  },
)

test('a stream has no deadline', async () => {
  const seen: Seen = { signals: [] }
  const values = { request_deadline: 100 }
  const { request } = await startService({ routes: [slow(seen, 400)], values })
  expect((await request('POST', '/stream', {})).json).toEqual({ aborted: false })
})
