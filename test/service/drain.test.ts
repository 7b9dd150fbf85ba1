/** How the real `cairn serve` starts, listens to signals, and ends. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { access, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { openCairn } from '../../src/compose.ts'
import { builtDist } from '../helpers/built.ts'
import { probeRoutes } from '../../src/service/routes/probes.ts'
import { shutDown } from '../../src/service/run/shutdown.ts'
import { answerOf, head, openSocket } from '../helpers/raw-http.ts'
import { testRoutes } from '../helpers/service-routes.ts'
import { request as ask, startService } from '../helpers/service.ts'
import { serve, until } from '../helpers/served.ts'
import { CERT_1, CERT_2, KEY_1, KEY_2 } from '../helpers/tls.ts'
import { Sandbox } from '../cli/sandbox.ts'

const TIP = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await Sandbox.make()
  return () => sandbox.remove()
})

/** As another process would: the service has the same store open. */
async function appendTo(dir: string, count: number): Promise<void> {
  await using cairn = await openCairn(`lmdb:${join(dir, 'store')}`)
  const dataset = await cairn.dataset('main')
  for (let i = 0; i < count; i++) await dataset.put(`pi-${i}`, { i })
}

async function headOf(
  dir: string,
): Promise<{ seq: number; recentCount: number; totalCount: number }> {
  await using cairn = await openCairn(`lmdb:${join(dir, 'store')}`, { create: false })
  return (await cairn.dataset('main')).head()
}

async function reasonsOf(dir: string): Promise<(string | null)[]> {
  await using cairn = await openCairn(`lmdb:${join(dir, 'store')}`, { create: false })
  const reasons: (string | null)[] = []
  for await (const { reason } of (await cairn.dataset('main')).snapshots())
    reasons.push(reason ?? null)
  return reasons
}

test('it makes its dataset, says what it does, and on SIGTERM saves what is new and ends', async () => {
  const { child, url, dir, lines, ended } = await serve(sandbox, ['--save-interval', '120'])
  expect((await ask(`${url}/readyz`, 'GET')).json).toEqual({ status: 'ready' })
  await appendTo(dir, 3)
  const began = performance.now()
  child.kill('SIGTERM')
  expect(await ended()).toBe(0)
  expect(performance.now() - began).toBeLessThan(10_000)
  expect(await headOf(dir)).toMatchObject({ recentCount: 0, totalCount: 3 })
  expect((await reasonsOf(dir))[0]).toBe('shutdown')
  const said = lines().map(({ msg }) => msg)
  const order = [
    /^Cairn \d+\.\d+\.\d+$/,
    /^Data Directory: .*data-/,
    /^Auto-save enabled \(interval: 120s\)$/,
    /^Server started: http:/,
    /^Shutting down server\.\.\.$/,
    /^Performing final backup\.\.\.$/,
    /^Session saved to disk \(reason: shutdown\)$/,
    /^Backup completed: 1\/1 successful$/,
    /^Cleaning up resources\.\.\.$/,
    /^Server shutdown complete\.$/,
  ]
  let at = -1
  for (const phrase of order) {
    const next = said.findIndex((msg, i) => i > at && phrase.test(msg))
    expect([phrase, next > at, said]).toEqual([phrase, true, said])
    at = next
  }
})

test('with nothing new it makes no snapshot, and finds everything at the next start', async () => {
  const first = await serve(sandbox)
  await appendTo(first.dir, 2)
  first.child.kill('SIGINT')
  expect(await first.ended()).toBe(0)
  const { seq } = await headOf(first.dir)
  const second = await serve(sandbox, [], {}, first.dir)
  expect(await second.logged('dataset.opened')).toMatchObject({
    msg: 'Session restored from disk',
    total_count: 2,
  })
  second.child.kill('SIGTERM')
  expect(await second.ended()).toBe(0)
  expect(second.lines().some(({ event }) => event === 'service.saving')).toBe(false)
  expect((await headOf(first.dir)).seq).toBe(seq)
})

test('a second signal ends it at once, and nothing acknowledged is lost', async () => {
  const { child, dir, logged, ended } = await serve(sandbox, [], {
    NODE_OPTIONS: await slowBuilds(),
  })
  await appendTo(dir, 5)
  child.kill('SIGTERM')
  await logged('service.saving')
  child.kill('SIGTERM')
  expect(await ended()).toBe('SIGTERM')
  expect(await headOf(dir)).toMatchObject({ recentCount: 5, totalCount: 5 })
})

test('what does not end in time is named, and the exit code is 1', async () => {
  const { child, dir, stderr, ended, lines } = await serve(
    sandbox,
    ['--shutdown-deadline', '1500ms'],
    {
      NODE_OPTIONS: await slowBuilds(),
    },
  )
  await appendTo(dir, 1)
  const began = performance.now()
  child.kill('SIGTERM')
  expect(await ended()).toBe(1)
  expect(performance.now() - began).toBeLessThan(6000)
  expect(stderr()).toMatch(/did not end in time: no last snapshot of "main": the time was over/)
  expect(lines().find(({ event }) => event === 'service.stopped')?.level).toBe('error')
  expect(await headOf(dir)).toMatchObject({ recentCount: 1, totalCount: 1 })
})

test('SIGHUP takes new settings and tokens; what does not fit changes nothing', async () => {
  const config = await sandbox.write('reload.json', JSON.stringify({ save_interval: 60 }))
  const { child, url, logged, lines, dir } = await serve(sandbox, ['--config', config])
  expect((await ask(`${url}/metrics`, 'GET')).status).toBe(200)
  await writeFile(config, JSON.stringify({ save_interval: 30, port: 4999 }))
  expect((await sandbox.run(['token', 'create', 'app', '--data-dir', dir])).code).toBe(0)
  child.kill('SIGHUP')
  expect(await logged('settings.reloaded')).toMatchObject({ changed: ['save_interval'] })
  expect((await ask(`${url}/metrics`, 'GET')).status).toBe(401)
  await until(() => lines().some(({ msg }) => msg === 'Auto-save enabled (interval: 30s)'))
  for (const wrong of [
    '{',
    JSON.stringify({ save_rules: 'nonsense' }),
    JSON.stringify({ alert_threshold: 1 }),
  ]) {
    const before = lines().filter(({ event }) => event === 'settings.refused').length
    await writeFile(config, wrong)
    child.kill('SIGHUP')
    await until(() => lines().filter(({ event }) => event === 'settings.refused').length > before)
  }
  expect((await ask(`${url}/livez`, 'GET')).status).toBe(200)
})

test('over TLS it asks for nothing else, and SIGHUP takes a new certificate', async () => {
  const cert = await sandbox.write('cert.pem', CERT_1)
  const key = await sandbox.write('key.pem', KEY_1)
  const { child, url, logged, ended } = await serve(sandbox, ['--tls-cert', cert, '--tls-key', key])
  expect(url).toMatch(/^https:/)
  const seen = async (ca: string): Promise<[number | undefined, string | undefined, string]> => {
    const answer = get(`${url}/livez`, { ca, agent: false })
    const [response] = (await once(answer, 'response')) as [IncomingMessage]
    response.resume()
    const { fingerprint256 } = (response.socket as TLSSocket).getPeerCertificate()
    return [response.statusCode, response.headers['strict-transport-security'], fingerprint256]
  }
  const [status, strict, first] = await seen(CERT_1)
  expect([status, strict]).toEqual([200, 'max-age=31536000'])
  await expect(ask(url.replace('https', 'http'), 'GET')).rejects.toThrow()
  await writeFile(cert, CERT_2)
  await writeFile(key, KEY_2)
  child.kill('SIGHUP')
  await logged('settings.reloaded')
  expect((await seen(CERT_2))[2]).not.toBe(first)
  child.kill('SIGTERM')
  expect(await ended()).toBe(0)
})

test('a fault that nobody caught is logged, what is new is saved, and it ends with 1', async () => {
  const { child, dir, ended, lines } = await serve(sandbox, [], { NODE_OPTIONS: FAULT_ON_USR2 })
  await appendTo(dir, 4)
  child.kill('SIGUSR2')
  expect(await ended()).toBe(1)
  expect(await headOf(dir)).toMatchObject({ recentCount: 0, totalCount: 4 })
  expect((await reasonsOf(dir))[0]).toBe('fatal error')
  const fatal = lines().find(({ event }) => event === 'service.fatal')
  expect(fatal).toMatchObject({ level: 'error', msg: 'Fatal error: a fault on purpose' })
})

test('a fault while nothing can be saved ends it all the same, and leaves the last good state', async () => {
  const { child, dir, ended } = await serve(sandbox, [], {
    NODE_OPTIONS: `${FAULT_ON_USR2} ${await slowBuilds()}`,
  })
  await appendTo(dir, 4)
  child.kill('SIGUSR2')
  expect(await ended()).toBe(1)
  expect(await headOf(dir)).toMatchObject({ recentCount: 4, totalCount: 4 })
})

test('requests under way are answered, idle connections end, and nothing new is let in', async () => {
  const seen = { aborts: [], waiting: 0 }
  const routes = [probeRoutes, testRoutes(seen)]
  const values = { shutdown_deadline: 60_000 }
  const { url, service, app, drain, lines } = await startService({ routes, values })
  const idle = await openSocket(url)
  const busy = await openSocket(url)
  // Pipelined behind the slow one: it was not begun when the drain began.
  busy.write('GET /t/soon HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(() => seen.waiting === 1)
  const began = performance.now()
  const stopping = shutDown({ service, app, drain }, 'test')
  const again = await ask(`${url}/livez`, 'GET').then(
    ({ status }) => status,
    () => 'refused',
  )
  expect(again).toBe('refused')
  const { status, text } = await answerOf(busy)
  expect([status, text]).toEqual([
    200,
    expect.stringMatching(/connection: close[^]*\{"done":true\}/i),
  ])
  expect(await stopping).toEqual({ left: [] })
  // The connection that asked nothing did not use up the time of the requests.
  expect(performance.now() - began).toBeLessThan(15_000)
  if (!idle.closed) await once(idle, 'close')
  expect(lines.at(-1)).toMatchObject({ event: 'service.stopped' })
})

test('a request that does not end is cut off and named, and the rest is done all the same', async () => {
  const seen = { aborts: [], waiting: 0 }
  const routes = [probeRoutes, testRoutes(seen)]
  const values = { shutdown_deadline: 1500 }
  const { url, service, app, drain } = await startService({ routes, values })
  await (await service.dataset('main')).append({ pi: 'a', tip: TIP })
  const stuck = await openSocket(url)
  stuck.write(head('GET', '/t/wait', 'Host: localhost'))
  await until(() => seen.waiting === 1)
  const ending = await shutDown({ service, app, drain }, 'test')
  expect(ending.left).toEqual(['1 request was cut off'])
  expect(seen.aborts).toHaveLength(1)
  expect(service.jobs.list()[0]).toMatchObject({
    kind: 'build',
    state: 'succeeded',
    reason: 'shutdown',
  })
})

test('jobs are waited for, and those that do not end are stopped and named', async () => {
  const values = { shutdown_deadline: 2000 }
  const start = async (ms: number): Promise<readonly string[]> => {
    const { service, app, drain } = await startService({ routes: [probeRoutes], values })
    service.jobs.start({
      dataset: 'main',
      kind: 'export',
      reason: 'test',
      work: async ({ signal }) => {
        await delay(ms, undefined, { signal })
        return {}
      },
    })
    return (await shutDown({ service, app, drain }, 'test')).left
  }
  expect(await start(300)).toEqual([])
  expect(await start(60_000)).toEqual(['the export of "main" was stopped'])
})

test('it does not start where it may not listen, and says why', async () => {
  const cases = [
    [['--host', '0.0.0.0'], /needs a token/],
    [['--tls-cert', 'x.pem'], /only one/],
    [['--save', 'nonsense'], /save/],
  ] as const
  for (const [args, why] of cases) {
    const result = await sandbox.run([
      'serve',
      '--port',
      '0',
      '--data-dir',
      sandbox.path('none'),
      ...args,
    ])
    expect([args, result.code]).toEqual([args, 2])
    expect(result.stderr).toMatch(why)
  }
})

test('where another program listens already it ends, says so, and tells nobody that the store is gone', async () => {
  const first = await serve(sandbox)
  const { port } = new URL(first.url)
  const told = sandbox.path('told')
  const args = ['--data-dir', first.dir, '--alert-command', `echo told >>${told}`]
  const { code, stderr } = await sandbox.run(['serve', '--port', port, ...args])
  expect(code).toBe(11)
  expect(stderr).toContain(`Another program listens on 127.0.0.1, port ${port} already.`)
  expect(stderr).not.toContain('health.changed')
  await expect(access(told)).rejects.toThrow('ENOENT')
  expect((await ask(`${first.url}/readyz`, 'GET')).status).toBe(200)
})

test('the words of `cairn token`', async () => {
  const at = ['--tokens-file', sandbox.path('words.json')]
  const made = await sandbox.run([
    'token',
    'create',
    'app',
    '--right',
    'append',
    '--only',
    'main',
    '--json',
    ...at,
  ])
  const { token, id } = JSON.parse(made.stdout) as { token: string; id: string }
  expect(JSON.parse(made.stdout)).toMatchObject({
    name: 'app',
    right: 'append',
    datasets: ['main'],
  })
  expect(token).toMatch(/^cairn_[a-z2-7]{52}$/)
  const listed = await sandbox.run(['token', 'list', '--json', ...at])
  expect(JSON.parse(listed.stdout)).toMatchObject({
    tokens: [{ id, name: 'app', right: 'append' }],
  })
  expect(listed.stdout).not.toContain(token)
  expect((await sandbox.run(['token', 'create', 'app', ...at])).code).toBe(13)
  expect((await sandbox.run(['token', 'create', 'x', '--right', 'root', ...at])).code).toBe(2)
  expect((await sandbox.run(['token', 'create', 'a b', ...at])).code).toBe(2)
  expect((await sandbox.run(['token', 'revoke', id, ...at])).stdout).toBe(`revoked: app (${id})\n`)
  expect((await sandbox.run(['token', 'revoke', id, ...at])).code).toBe(10)
  expect((await sandbox.run(['token', ...at])).code).toBe(2)
})

/** In the served process: a signal makes a fault. */
const FAULT_ON_USR2 = importing(
  "process.on('SIGUSR2',()=>setImmediate(()=>{throw new Error('a fault on purpose')}))",
)

/** In the served process: no build ends. */
async function slowBuilds(): Promise<string> {
  const dataset = pathToFileURL(join(await builtDist(), 'engine', 'dataset.js')).href
  return importing(
    `const{Dataset}=await import('${dataset}');Dataset.prototype.build=()=>new Promise(()=>{})`,
  )
}

function importing(code: string): string {
  return `--import=data:text/javascript,${encodeURIComponent(code)}`
}
