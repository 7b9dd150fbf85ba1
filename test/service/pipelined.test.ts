/** Requests that come before those ahead of them were answered, on connections that die: nothing stays held. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import type { Routes } from '../../src/service/routes/index.ts'
import { LIMITS } from '../../src/service/http/pressure.ts'
import { openGatewayWorld } from '../helpers/gateway-world.ts'
import { MAIN, LINKED, entity, until } from '../helpers/hostile.ts'
import { head, openSocket, rawRequest } from '../helpers/raw-http.ts'
import { startService, type TestService } from '../helpers/service.ts'

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

async function send(url: string, ...requests: string[]): Promise<Socket> {
  const socket = await openSocket(url)
  socket.write(requests.join(''))
  return socket
}

async function gauge({ request }: TestService, name: string): Promise<number> {
  const { text } = await request('GET', '/metrics')
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}

/** A route whose answers come after a while, and are large. */
function slow(signals: AbortSignal[]): Routes {
  return () => async (app) => {
    app.get('/slow', { config: { right: 'none' } }, async ({ signal }) => {
      signals.push(signal)
      await delay(100)
      return { text: 'x'.repeat(100_000) }
    })
    app.get('/endless', { config: { right: 'none', stream: true } }, async ({ signal }) => {
      signals.push(signal)
      await delay(20_000, undefined, { signal })
    })
  }
}

test('requests behind others are counted out when their connection is reset', async () => {
  const service = await startService({ automation: false })
  const { app, url } = service
  for (const first of [`${MAIN}/changes`, MAIN]) {
    for (let i = 0; i < 5; i++) {
      const socket = await send(url, get(first), get(MAIN).repeat(800))
      await delay(20)
      socket.resetAndDestroy()
    }
    await delay(50)
    await until(() => app.underWay().requests + app.underWay().streams === 0)
  }
  await until(async () => (await gauge(service, 'cairn_sse_clients')) === 0)
})

test('so are those that are refused, and those to addresses that nobody can read', async () => {
  const { app, url, lines } = await startService({ automation: false })
  const socket = await send(url, get(`${MAIN}/changes`), get('/%zz'), get('/none'))
  await until(() => app.underWay().streams === 1)
  socket.destroy()
  await until(() => app.underWay().streams === 0)
  await until(() => lines.filter(({ event }) => event === 'request.cut').length === 3)
})

test('change streams behind another one end with their connection', async () => {
  const service = await startService({ automation: false })
  const socket = await send(service.url, get(`${MAIN}/changes`).repeat(10))
  await until(async () => (await gauge(service, 'cairn_sse_clients')) === 10)
  socket.destroy()
  await until(async () => (await gauge(service, 'cairn_sse_clients')) === 0)
  expect(service.app.underWay().streams).toBe(0)
})

test('CARs that wait behind another answer free their places and leases', async () => {
  const backend = openMemory()
  const values = { gateway: 'public' as const }
  const { url, app, root } = await openGatewayWorld({ backend, bytes: 100_000, values })
  const car = `/ipfs/${root}?format=car`
  const socket = await send(url, get(`${MAIN}/changes`), get(car).repeat(16))
  await until(() => app.underWay().streams === 17)
  await until(async () => (await backend.leases()).length > 0)
  const full = await fetch(`${url}${car}`)
  expect(full.status).toBe(503)
  socket.destroy()
  await until(() => app.underWay().streams === 0)
  await until(async () => (await backend.leases()).length === 0)
  const all = await Promise.all(Array.from({ length: 16 }, () => fetch(`${url}${car}`)))
  expect(all.map(({ status }) => status)).toEqual(all.map(() => 200))
  await Promise.all(all.map((one) => one.arrayBuffer()))
})

test('work behind another answer is told to stop when its connection dies', async () => {
  const signals: AbortSignal[] = []
  const { url } = await startService({ routes: [slow(signals)], automation: false })
  const socket = await send(url, get('/endless').repeat(3))
  await until(() => signals.length === 3)
  socket.destroy()
  await until(() => signals.every(({ aborted }) => aborted))
})

test('an answer that comes after its connection has died is not counted for good', async () => {
  const signals: AbortSignal[] = []
  const limits = { ...LIMITS, answerBytes: 150_000 }
  const routes = [slow(signals)]
  const { url, request } = await startService({ routes, limits, automation: false })
  for (let i = 0; i < 3; i++) {
    const socket = await send(url, get('/slow'))
    await until(() => signals.length === i + 1)
    socket.destroy()
  }
  await delay(300)
  const both = await Promise.all([request('GET', '/slow'), request('GET', '/slow')])
  expect(both.map(({ status }) => status)).toContain(200)
})

test('few requests may wait behind others, and one beyond ends the connection', async () => {
  const { url, request, lines, app } = await startService({ ...LINKED, automation: false })
  const body = '{"value":1}'
  const put = (pi: string): string =>
    `PUT ${entity(pi)} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${body.length}\r\n\r\n${body}`
  const puts = (count: number): string =>
    Array.from({ length: count }, (_, i) => put(`e${i}`)).join('')
  const { text } = await rawRequest(url, puts(16) + head('GET', '/livez', 'Host: localhost'))
  expect(text.match(/HTTP\/1\.1 20\d/g)).toHaveLength(17)
  await rawRequest(url, get(`${MAIN}/changes`) + puts(100))
  expect(lines.filter(({ event }) => event === 'connection.crowded')).toHaveLength(1)
  await until(() => app.underWay().requests + app.underWay().streams === 0)
  const { json } = await request('GET', `${MAIN}/entities`)
  expect((json as { items: unknown[] }).items).toHaveLength(16)
})

test('a request that waits for its turn beyond its deadline ends the connection', async () => {
  const values = { request_deadline: 300 }
  const { url, app } = await startService({ automation: false, values })
  const socket = await send(url, get(`${MAIN}/changes`), get(MAIN))
  socket.resume()
  await until(() => socket.closed)
  await until(() => app.underWay().requests + app.underWay().streams === 0)
})

test('connections carry one listener each, however many requests they bring', async () => {
  const { url, app } = await startService({ automation: false })
  let counts: number[] = []
  app.server.on('connection', (socket: Socket) => {
    counts = []
    socket.on('data', () => counts.push(socket.listenerCount('close')))
  })
  const socket = await openSocket(url)
  socket.resume()
  for (let i = 0; i < 20; i++) {
    socket.write(get('/livez'))
    await delay(10)
  }
  socket.end(head('GET', '/livez', 'Host: localhost'))
  await until(() => socket.closed)
  expect(Math.max(...counts.slice(2))).toBe(Math.min(...counts.slice(2)))
})
