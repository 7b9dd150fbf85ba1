/** Attacks on what is another's: datasets, jobs, files of the machine, caches, tokens. */
import { writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { Job } from '../../src/jobs/job.ts'
import { createToken, revokeToken } from '../../src/service/access/token-file.ts'
import { tempDir } from '../helpers/engine.ts'
import { openEvents } from '../helpers/event-stream.ts'
import { expectProblem } from '../helpers/problem.ts'
import { startService, type TestService } from '../helpers/service.ts'
import { entity, expectRefused, JOBS, LINKED, MAIN, runJob, TIP } from '../helpers/hostile.ts'

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })

interface Guarded extends TestService {
  readonly file: string
  readonly token: (
    name: string,
    right: 'read' | 'append' | 'admin',
    only?: string[],
  ) => Promise<string>
}

async function guarded(options: Parameters<typeof startService>[0] = {}): Promise<Guarded> {
  const file = `${await tempDir()}/tokens.json`
  const token: Guarded['token'] = async (name, right, only) =>
    (await createToken(file, { name, right, ...(only === undefined ? {} : { datasets: only }) }))
      .token
  await token('first', 'admin')
  const service = await startService({
    ...options,
    values: { ...options.values, tokens_file: file },
  })
  return {
    ...service,
    file,
    token: async (...of) => {
      const text = await token(...of)
      service.service.tokens.reload()
      return text
    },
  }
}

test('a token of one dataset sees and stops nothing of another', async () => {
  const service = await guarded(LINKED)
  const { request, token } = service
  const all = bearer(await token('all', 'admin'))
  const mine = bearer(await token('mine', 'admin', ['mine']))
  expect((await request('PUT', '/v1/datasets/mine', {}, mine)).status).toBe(201)
  const put = await request('PUT', entity('a'), { value: 'secret' }, all)
  const { tip } = put.json as { tip: string }
  const started = await request('POST', JOBS, { kind: 'build' }, all)
  const { id } = (started.json as { job: Job }).job
  for (const method of ['GET', 'DELETE']) {
    expectProblem(await request(method, `${JOBS}/${id}`, undefined, mine), 403, 'access_denied')
    const elsewhere = `/v1/datasets/mine/jobs/${id}`
    expectProblem(await request(method, elsewhere, undefined, mine), 404, 'not_found')
  }
  // Which dataset a block is of is not known.
  for (const query of ['', '?format=raw'])
    for (const method of ['GET', 'HEAD']) {
      const path = `/v1/datasets/mine/content/${tip}${query}`
      expect((await request(method, path, undefined, mine)).status).toBe(403)
      expect((await request(method, path, undefined, all)).status).toBe(200)
    }
  const both = bearer(await token('both', 'read', ['mine', 'main']))
  expect((await request('GET', `${MAIN}/content/${tip}`, undefined, both)).status).toBe(200)
  for (const path of ['/v1/datasets', '/metrics', '/index-pointer', '/entities', '/events'])
    expectProblem(await request('GET', path, undefined, mine), 403, 'access_denied')
})

test('where files lie is told to nobody', async () => {
  const dir = await tempDir()
  const service = await startService({ ...LINKED, values: { data_dir: dir } })
  const { request } = service
  expect(service.service.values().backups_dir).toContain('/')
  service.set({ backups_dir: `${dir}/deep/backups` })
  await request('PUT', entity('a'), { value: 1 })
  await runJob(service, { kind: 'build' })
  const exported = await runJob(service, { kind: 'export' })
  const filename = String(exported.result?.['filename'])
  expect(exported.result).toMatchObject({ path: filename })
  await runJob(service, { kind: 'drill', max_rto_ms: 1 })
  // A file where a folder should be: what fails by it names it.
  await writeFile(`${dir}/file`, '')
  service.set({ backups_dir: `${dir}/file/backups` })
  const failed = await runJob(service, { kind: 'export', force: true })
  expect(failed).toMatchObject({ state: 'failed' })
  expect(failed.error?.message).toContain('the folder of backups')
  const texts = await Promise.all(
    [JOBS, `${MAIN}/automation`, `${MAIN}/health`, '/healthz?verbose', `${MAIN}/backups`, MAIN].map(
      async (path) => (await request('GET', path)).text,
    ),
  )
  expect(texts.join('\n')).not.toContain(dir)
})

test('names of backups lead to backups', async () => {
  const dir = await tempDir()
  const { request } = await startService({ values: { data_dir: dir, backups_dir: `${dir}/b` } })
  const names = [
    '../tokens.json',
    '..',
    '.',
    '%2e%2e%2fx.car',
    'a/../../x.car',
    '/etc/passwd',
    'a\u0000.car',
  ]
  for (const name of [
    ...names,
    '-rf.car',
    '..car',
    `${'a'.repeat(300)}.car`,
    'x.car.json',
    'x.CAR',
  ]) {
    const path = `${MAIN}/backups/${encodeURIComponent(name)}`
    expectRefused(await request('GET', path), name)
    expectRefused(await request('POST', JOBS, { kind: 'restore', backups: [name] }), name)
  }
})

test('nothing that is said to one is kept for another', async () => {
  const service = await guarded({ ...LINKED, values: { cors_origins: ['https://app.example'] } })
  const { request, token } = service
  const all = bearer(await token('all', 'admin'))
  const { tip } = (await request('PUT', entity('a'), { value: 'x'.repeat(5000) }, all)).json as {
    tip: string
  }
  const paths = [
    entity('a'),
    `${entity('a')}/content`,
    `${MAIN}/content/${tip}`,
    MAIN,
    `${MAIN}/entities`,
  ]
  for (const path of paths) {
    const { headers } = await request('GET', path, undefined, {
      ...all,
      'accept-encoding': 'gzip',
      origin: 'https://app.example',
      'x-forwarded-host': 'evil.example',
    })
    expect([path, headers.get('cache-control')]).not.toContainEqual(
      expect.stringContaining('public'),
    )
    expect(headers.get('vary')).toMatch(/origin/i)
    if (headers.get('content-encoding') === 'gzip')
      expect(headers.get('vary')).toMatch(/accept-encoding/i)
    expect([...headers.values()].join('\n')).not.toContain('evil.example')
  }
  for (const [path, headers] of [
    [entity('none'), all],
    [MAIN, {}],
    [`${MAIN}/content/${TIP}`, all],
  ] as const)
    expect((await request('GET', path, undefined, headers)).headers.get('cache-control')).toBe(
      'no-store',
    )
})

test('who is guessed at is not locked out', async () => {
  const { request, token } = await guarded()
  const good = bearer(await token('app', 'read'))
  const wrong = bearer(`cairn_${'a'.repeat(52)}`)
  const statuses = new Set<number>()
  for (let i = 0; i < 50; i++) statuses.add((await request('GET', MAIN, undefined, wrong)).status)
  expect(statuses).toEqual(new Set([401, 429]))
  expect((await request('GET', MAIN, undefined, good)).status).toBe(200)
})

test('a stream that a token has opened ends when the token is revoked', async () => {
  const { url, request, token, file, service } = await guarded()
  const app = bearer(await token('app', 'read'))
  const other = bearer(await token('other', 'read'))
  const [events, stays] = [
    await openEvents(`${url}${MAIN}/changes`, app),
    await openEvents(`${url}${MAIN}/changes`, other),
  ]
  await revokeToken(file, 'app')
  service.tokens.reload()
  const began = performance.now()
  expect(await events.end()).toEqual([])
  expect(performance.now() - began).toBeLessThan(8000)
  expectProblem(await request('GET', MAIN, undefined, app), 401, 'unauthenticated')
  const first = bearer(await token('writer', 'append'))
  expect((await request('PUT', entity('a'), { tip: TIP }, first)).status).toBe(201)
  expect(await stays.take(1)).toHaveLength(1)
  stays.close()
})
