import { readFile } from 'node:fs/promises'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { Sandbox } from '../cli/sandbox.ts'
import { request } from '../helpers/service.ts'
import { serve } from '../helpers/served.ts'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await Sandbox.make()
  return () => sandbox.remove()
})

const WANTED = 10_000
const AT_ONCE = 200
/** What either process needs besides. */
const OTHER_FILES = 300

/** As many as are wanted, or as the system lets a process have: Node takes all it may. */
async function connections(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8')
  const allowed = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(limits)?.[1] ?? Infinity)
  const most = Math.min(WANTED, allowed - OTHER_FILES)
  return most - (most % AT_ONCE)
}

async function megabytes(pid: number | undefined): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(text)?.[1]) / 1024
}

test('thousands of idle connections are kept, cost little, and do not hold up the end', async () => {
  const count = await connections()
  expect(count).toBeGreaterThan(0)
  const { child, url, ended } = await serve(sandbox)
  const before = await megabytes(child.pid)
  const { hostname, port } = new URL(url)
  const sockets: Socket[] = []
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
  })
  let closed = 0
  while (sockets.length < count) {
    const some = Array.from({ length: AT_ONCE }, () => connect(Number(port), hostname))
    await Promise.all(some.map((socket) => once(socket, 'connect')))
    const answers = some.map((socket) => once(socket, 'data'))
    for (const socket of some) {
      socket.on('close', () => closed++)
      socket.on('error', () => {})
      socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n')
    }
    await Promise.all(answers)
    sockets.push(...some)
  }
  expect(closed).toBe(0)
  expect((await megabytes(child.pid)) - before).toBeLessThan(200)
  expect((await request(`${url}/readyz`, 'GET')).status).toBe(200)
  const { text } = await request(`${url}/metrics`, 'GET')
  expect(Number(/^cairn_http_connections (\d+)/m.exec(text)?.[1])).toBeGreaterThanOrEqual(count)
  child.kill('SIGTERM')
  expect(await ended()).toBe(0)
})
