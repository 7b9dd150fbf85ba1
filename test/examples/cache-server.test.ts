/** examples/cache-server: expiry across restarts, what a crash may forget, counters and backups. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { cloneOfExamples, copyOfExample, ROOT, start, type Program } from './box.ts'

const COMMAND = 'node examples/cache-server/server.mjs'
/** What a crash may forget, and some more. */
const WINDOW_MS = 900

const run = promisify(execFile)

interface Served {
  readonly url: string
  readonly program: Program
  readonly ask: (method: string, path: string, body?: string, type?: string) => Promise<Response>
}

async function serve(cwd: string, command = COMMAND): Promise<Served> {
  const program = start(command, cwd, { PORT: '0' })
  const [, url = ''] = await program.says(/The caches are at (http:\/\/[^/]+)\/cache\//)
  return {
    program,
    url,
    ask: (method, path, body, type) =>
      fetch(`${url}${path}`, {
        method,
        ...(body === undefined ? {} : { body }),
        ...(type === undefined ? {} : { headers: { 'content-type': type } }),
      }),
  }
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

test('keys live as long as they were given, across a crash and an orderly end', async () => {
  const cwd = await cloneOfExamples()
  const first = await serve(cwd)
  expect((await first.ask('PUT', '/cache/short?ttl=8', 'soon gone')).status).toBe(204)
  const ends = Date.now() + 8000
  await first.ask('PUT', '/cache/pages/%2Fhome%2F?ttl=3600', '{"n":1}', 'application/json')
  await first.ask('PUT', '/cache/long', 'stays')
  await first.ask('PUT', '/cache/deleted', 'not')
  expect((await first.ask('DELETE', '/cache/deleted')).status).toBe(204)
  expect((await first.ask('DELETE', '/cache/deleted')).status).toBe(404)
  const before = (await first.ask('GET', '/cache/pages/%2Fhome%2F')).headers.get('expires')
  await wait(WINDOW_MS)
  await first.program.end('SIGKILL')

  const second = await serve(cwd)
  const page = await second.ask('GET', '/cache/pages/%2Fhome%2F')
  expect(page.headers.get('content-type')).toBe('application/json')
  expect([await page.json(), page.headers.get('expires')]).toEqual([{ n: 1 }, before])
  expect(await (await second.ask('GET', '/cache/short')).text()).toBe('soon gone')
  expect(await (await second.ask('GET', '/cache/long')).text()).toBe('stays')
  expect((await second.ask('GET', '/cache/deleted')).status).toBe(404)
  // Caches of other names have keys of their own.
  expect((await second.ask('GET', '/cache/logins/long')).status).toBe(404)
  expect(await second.program.end('SIGTERM')).toBe(0)

  const third = await serve(cwd)
  await wait(ends - Date.now() + 10)
  expect((await third.ask('GET', '/cache/short')).status).toBe(404)
  expect(await (await third.ask('GET', '/cache/long')).text()).toBe('stays')
  const stats = (await (await third.ask('GET', '/stats')).json()) as Record<string, unknown>
  // Two hits and a miss of the second run, which ended in order; a hit and a miss of this one.
  expect(stats).toEqual({
    default: { keys: 1, hits: 3, misses: 2 },
    logins: { keys: 0, hits: 0, misses: 1 },
    pages: { keys: 1, hits: 1, misses: 0 },
  })
})

test('a backup holds what is there, and bad requests are refused', async () => {
  const cwd = await copyOfExample('cache-server')
  const { ask } = await serve(cwd, 'node cache-server/server.mjs')
  await ask('PUT', '/cache/logins/ada', 'token')
  const made = await ask('POST', '/backups')
  expect(made.status).toBe(201)
  const { filename } = (await made.json()) as { filename: string }
  expect(await (await ask('GET', '/backups')).json()).toMatchObject([{ filename, seq: 1 }])
  expect(await (await ask('GET', '/health')).json()).toMatchObject({ healthy: true })

  for (const [status, ...request] of [
    [404, 'PUT', '/cache/nowhere/key', 'x'],
    [404, 'PUT', '/cache/a/b/c', 'x'],
    [404, 'PATCH', '/cache/key', 'x'],
    [404, 'GET', '/toString'],
    [400, 'PUT', '/cache/key?ttl=soon', 'x'],
    [400, 'PUT', '/cache/key?ttl=-1', 'x'],
    [400, 'PUT', '/cache/%E0%A4%A', 'x'],
    [400, 'PUT', '/cache/key', '{"cut', 'application/json'],
    [400, 'PUT', `/cache/${'k'.repeat(600)}`, 'x'],
    [413, 'PUT', '/cache/key', 'x'.repeat((1 << 20) + 1)],
  ] as const) {
    const answer = await ask(...(request as [string, string]))
    expect([request.slice(0, 2), answer.status]).toEqual([request.slice(0, 2), status])
  }
  expect((await ask('GET', '/cache/key')).status).toBe(404)
})

test('what the README says to type does what it says', async () => {
  const readme = await readFile(join(ROOT, 'examples', 'cache-server', 'README.md'), 'utf8')
  const [command, requests = ''] = [...readme.matchAll(/```sh\n(.*?)\n```/gs)].map(
    ([, code]) => code,
  )
  expect(command).toBe(COMMAND)
  const { url } = await serve(await cloneOfExamples())
  const typed = requests.replaceAll('http://127.0.0.1:8081', url).replaceAll('curl ', 'curl -fsS ')
  const { stdout } = await run('sh', ['-euc', typed])
  expect(stdout).toMatch(/^HTTP\/1.1 200 OK\r\n.*expires: .*GMT.*hello/is)
  expect(stdout).toMatch(/"default":\{"keys":1,"hits":1,"misses":0\}.*"pages":\{"keys":1/)
})
