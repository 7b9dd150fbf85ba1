/** The log over HTTP: pages, checkpoints, and Server-Sent Events that lose and repeat nothing. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { CairnError } from '../../src/errors.ts'
import { printCid } from '../../src/model/cid.ts'
import { eventStream } from '../../src/service/http/event-stream.ts'
import { changeRoutes } from '../../src/service/routes/changes.ts'
import type { Routes } from '../../src/service/routes/index.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { tipOf } from '../helpers/entries.ts'
import { openEvents, type EventReader, type ReadEvent } from '../helpers/event-stream.ts'
import { startService, type ServiceTestOptions, type TestService } from '../helpers/service.ts'

const MAIN = '/v1/datasets/main'

async function start(options: ServiceTestOptions = {}): Promise<
  TestService & {
    append: (...ids: string[]) => Promise<void>
    events: (query?: string, headers?: Record<string, string>) => Promise<EventReader>
  }
> {
  const served = await startService({ routes: [changeRoutes], ...options })
  const readers: EventReader[] = []
  onTestFinished(() => readers.forEach((one) => one.close()))
  return {
    ...served,
    append: async (...ids) => {
      const dataset = await served.service.dataset('main')
      for (const pi of ids) await dataset.append({ pi, tip: tipOf(pi), ts: 1_700_000_000_000 })
    },
    events: async (query = '', headers = {}) => {
      const reader = await openEvents(`${served.url}${MAIN}/changes${query}`, headers)
      readers.push(reader)
      return reader
    },
  }
}

const words = ({ event, data }: ReadEvent): string => {
  const fields = data as Record<string, unknown>
  return event === 'entry'
    ? `${String(fields['position'])} ${String(fields['pi'])}`
    : `${event} ${JSON.stringify(data)}`
}

test('pages of the log', async () => {
  const { request, append, service } = await start()
  await append('a', 'b', 'c')
  await (await service.dataset('main')).build()
  await append('d')
  const first = await request('GET', `${MAIN}/entries?since=1&limit=2`)
  const entry = (position: number, pi: string): object => ({
    position,
    pi,
    ver: 1,
    tip: printCid(tipOf(pi)),
    ts: '2023-11-14T22:13:20.000Z',
    exp: null,
  })
  expect(first).toMatchObject({ status: 200 })
  expect(first.json).toEqual({
    items: [entry(1, 'b'), entry(2, 'c')],
    next: 3,
    generation: 1,
    floor: 0,
  })
  const last = await request('GET', `${MAIN}/entries?since=3`)
  expect(last.json).toEqual({ items: [entry(3, 'd')], next: 4, generation: 1, floor: 0 })
  const all = await request('GET', `${MAIN}/entries`)
  expect(all.json).toMatchObject({ items: [{}, {}, {}, {}], next: 4 })
})

test('what makes no sense is refused before anything is sent', async () => {
  const { request, append, service } = await start()
  await append('a')
  const dataset = await service.dataset('main')
  await dataset.build()
  await append('b')
  await dataset.build()
  await dataset.prune({ policy: { last: 1 } })
  const expectProblem = async (
    path: string,
    status: number,
    code: string,
    headers: Record<string, string> = {},
  ): Promise<void> => {
    const answer = await request('GET', `${MAIN}/${path}`, undefined, headers)
    expect(answer, path).toMatchObject({ status, json: { status, code } })
    expect(answer.headers.get('content-type'), path).toContain('application/problem+json')
  }
  for (const path of ['entries?limit=0', 'entries?limit=-1', 'entries?limit=10001', 'entries?x=1'])
    await expectProblem(path, 400, 'usage')
  for (const since of ['-1', '1.5', '9007199254740992', 'x']) {
    await expectProblem(`entries?since=${since}`, 400, 'usage')
    await expectProblem(`changes?since=${since}`, 400, 'usage')
  }
  await expectProblem('entries?since=3', 404, 'not_found')
  await expectProblem('changes?since=3', 404, 'not_found')
  await expectProblem('entries?since=1', 410, 'history_gone')
  await expectProblem('changes?since=1', 410, 'history_gone')
  await expectProblem('changes', 410, 'history_gone', { 'last-event-id': '1.0' })
  for (const id of ['1', '1.', 'x.1', '1.-2', '1.1.1', '1-x.1'])
    await expectProblem('changes', 400, 'usage', { 'last-event-id': id })
  await expectProblem('changes?generation=x', 400, 'usage')
  await expectProblem('checkpoint?x=1', 400, 'usage')
  for (const path of ['entries', 'changes', 'checkpoint'])
    expect(await request('GET', `/v1/datasets/none/${path}`)).toMatchObject({ status: 404 })
  expect(await request('HEAD', `${MAIN}/changes`)).toMatchObject({ status: 405 })
})

test('a checkpoint says where the dataset stands', async () => {
  const { request, append, service } = await start()
  await append('a', 'b')
  const dataset = await service.dataset('main')
  const { snapshot } = await dataset.build()
  await append('a2')
  const head = await dataset.head()
  const answer = await request('GET', `${MAIN}/checkpoint`)
  expect(answer.json).toEqual({
    commit: printCid(head.commit),
    number: head.number,
    generation: 1,
    next: 3,
    floor: 0,
    snapshot: printCid(snapshot),
    seq: 1,
    recent_count: 1,
    total_count: 3,
    ts: new Date(head.ts).toISOString(),
  })
})

test('changes come as they are made, and a reader that comes back goes on behind the last', async () => {
  const { events, append, service } = await start()
  await append('a', 'b')
  const reader = await events('?since=0')
  expect(reader.response.headers.get('content-type')).toBe('text/event-stream')
  const there = await reader.take(2)
  expect(there.map(words)).toEqual(['0 a', '1 b'])
  const { generation } = await (await service.dataset('main')).head()
  expect(there.map(({ id }) => id)).toEqual([0, 1].map((at) => `1-${generation.tag}.${at}`))
  const live = reader.take(1)
  await append('c', 'd')
  expect((await live).map(words)).toEqual(['2 c'])
  reader.close()
  await append('e')
  const again = await events('?since=0', { 'last-event-id': reader.lastId() })
  expect((await again.take(2)).map(words)).toEqual(['3 d', '4 e'])
})

test('cut anywhere and taken up again, by one service or the other, a stream has no gap and no duplicate', async () => {
  const backend = openMemory()
  const one = await start({ backend })
  const two = await start({ backend })
  const all = Array.from({ length: 40 }, (_, n) => `${n} e${n}`)
  const writing = (async () => {
    for (const [n] of all.entries()) {
      await (n % 2 === 0 ? one : two).append(`e${n}`)
      if (n % 9 === 8) await (await one.service.dataset('main')).build()
    }
  })()
  const read: string[] = []
  let id = ''
  for (let turn = 0; read.length < all.length; turn++) {
    const served = turn % 2 === 0 ? two : one
    const reader = await served.events('?since=0', id === '' ? {} : { 'last-event-id': id })
    const count = Math.min(1 + (turn % 3), all.length - read.length)
    read.push(...(await reader.take(count)).map(words))
    id = reader.lastId()
    reader.close()
  }
  await writing
  expect(read).toEqual(all)
})

test('without a position a stream begins now, and its first id is there before the first event', async () => {
  const { events, append } = await start({
    routes: [(service) => changeRoutes(service, { heartbeatMs: 10 })],
  })
  await append('a')
  const reader = await events()
  const first = reader.take(1)
  await expect.poll(() => reader.comments(), { timeout: 5000 }).toBeGreaterThan(2)
  const before = reader.lastId()
  expect(before).toMatch(/^1-[0-9a-f]{16}\.0$/)
  await append('b')
  expect((await first).map(words)).toEqual(['1 b'])
  const again = await events('', { 'last-event-id': before })
  expect((await again.take(1)).map(words)).toEqual(['1 b'])
  expect((await (await events('?since=0')).take(2)).map(words)).toEqual(['0 a', '1 b'])
})

test('of an empty dataset a stream begins before the first position', async () => {
  const { events, append } = await start()
  const reader = await events('?since=0')
  const first = reader.take(1)
  await append('a')
  const [event] = await first
  expect(event?.id).toMatch(/\.0$/)
  const again = await events('', { 'last-event-id': event?.id.replace(/\.0$/, '.-1') ?? '' })
  expect((await again.take(1)).map(words)).toEqual(['0 a'])
})

test('a rollback is told to who reads, and to who comes back', async () => {
  const { events, append, service } = await start()
  const dataset = await service.dataset('main')
  await append('a', 'b')
  const { number } = await dataset.head()
  const reader = await events('?since=0')
  const old = (await reader.take(2)).at(-1)?.id ?? ''
  const next = reader.take(2)
  await dataset.rollback({ commit: number })
  await append('c')
  const expected = ['generation {"generation":2,"next":2,"reason":"rollback"}', '2 c']
  expect((await next).map(words)).toEqual(expected)
  const { generation } = await dataset.head()
  expect((await next).map(({ id }) => id)).toEqual([1, 2].map((at) => `2-${generation.tag}.${at}`))
  for (const [query, headers] of [
    ['', { 'last-event-id': old }],
    ['', { 'last-event-id': '1.900' }],
    ['?since=1&generation=1', {}],
    ['?since=0&generation=2-00', {}],
  ] as const) {
    const again = await events(query, headers)
    expect((await again.take(2)).map(words), query).toEqual(expected)
  }
  expect((await (await events('?since=2&generation=2')).take(1)).map(words)).toEqual(['2 c'])
  const behind = await events('', { 'last-event-id': (await next)[0]?.id ?? '' })
  expect((await behind.take(1)).map(words)).toEqual(['2 c'])
})

test('when the service ends, its streams end as they should', async () => {
  const backend = openMemory()
  const drain = new AbortController()
  const { events, append } = await start({
    backend,
    routes: [(service) => changeRoutes({ ...service, draining: drain.signal })],
  })
  await append('a')
  const reader = await events('?since=0')
  expect((await reader.take(1)).map(words)).toEqual(['0 a'])
  const rest = reader.end()
  drain.abort()
  expect(await rest).toEqual([])
})

test('a stream that fails midway is cut, and never looks like the end', async () => {
  const inner = openMemory()
  let fails = false
  const away = new CairnError('backend_unavailable', 'It is away.')
  const backend = wrapBackend(inner, {
    newest: (...given) => (fails ? Promise.reject(away) : inner.newest(...given)),
  })
  const { events, append } = await start({ backend })
  await append('a')
  const reader = await events('?since=0')
  await reader.take(1)
  const rest = reader.end()
  fails = true
  await expect(rest).rejects.toThrow()
  fails = false
  await append('b')
  const again = await events('', { 'last-event-id': reader.lastId() })
  expect((await again.take(1)).map(words)).toEqual(['1 b'])
})

test('who leaves is not followed for any longer', async () => {
  const { events, append, service } = await start()
  await append('a')
  const clients = async (): Promise<number | undefined> =>
    (await service.metrics.registry.getSingleMetric('cairn_sse_clients')?.get())?.values[0]?.value
  const readers = await Promise.all(Array.from({ length: 20 }, () => events('?since=0')))
  await Promise.all(readers.map((one) => one.take(1)))
  expect(await clients()).toBe(20)
  for (const reader of readers) reader.close()
  await expect.poll(clients, { timeout: 5000 }).toBe(0)
})

test('a reader that never reads makes the source wait, and gets all of it when it reads', async () => {
  let made = 0
  const total = 100_000
  const endless: Routes = () => async (app) => {
    app.get('/endless', { config: { right: 'none', stream: true } }, (_, reply) => {
      const closed = new AbortController()
      reply.raw.once('close', () => closed.abort())
      async function* events(): AsyncGenerator<{ id: string; event: string; data: unknown }> {
        while (made < total) {
          made++
          yield { id: String(made), event: 'n', data: 'x'.repeat(500) }
        }
      }
      return reply
        .type('text/event-stream')
        .send(eventStream(events(), { signal: closed.signal, heartbeatMs: 5 }))
    })
  }
  const { url } = await startService({ routes: [endless] })
  const { port } = new URL(url)
  const socket = connect(Number(port), '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.pause()
  socket.write('GET /endless HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  await expect
    .poll(
      async () => {
        const before = made
        await delay(150)
        return made - before
      },
      { timeout: 5000 },
    )
    .toBe(0)
  const waiting = made
  expect(waiting).toBeLessThan(total / 2)
  await delay(100)
  expect(made).toBe(waiting)
  let read = ''
  let seen = 0
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => {
    read = (read + text).slice(-4000)
    seen += text.split('event: n').length - 1
  })
  socket.resume()
  await expect.poll(() => read.endsWith('\n0\r\n\r\n'), { timeout: 20_000 }).toBe(true)
  expect(made).toBe(total)
  expect(read).toContain(`id: ${total}\n`)
  // Parts of the answer may end within a word.
  expect(seen).toBeGreaterThan(total * 0.98)
  socket.end()
  await once(socket, 'close')
}, 30_000)

test('another program on the same store is heard', async () => {
  const backend = openMemory()
  const { events } = await start({ backend })
  const other = await new Cairn(backend).dataset()
  const reader = await events('?since=0')
  const first = reader.take(1)
  await other.append({ pi: 'a', tip: tipOf('a') })
  expect((await first).map(words)).toEqual(['0 a'])
})
