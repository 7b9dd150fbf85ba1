/** Jobs over HTTP: every kind with its options, waiting, joining, cancelling, and who may. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createToken } from '../../src/service/access/token-file.ts'
import type { Job } from '../../src/jobs/job.ts'
import { tempDir } from '../helpers/engine.ts'
import { expectProblem } from '../helpers/problem.ts'
import { startService, type Answer, type TestService } from '../helpers/service.ts'

const MAIN = '/v1/datasets/main'
const JOBS = `${MAIN}/jobs`
const LINKED = { init: { content: 'linked' } } as const

const jobOf = ({ json }: Answer): Job => (json as { job: Job }).job

async function run({ request }: TestService, body: unknown): Promise<Job> {
  const started = await request('POST', JOBS, body)
  expect(started.status, started.text).toBe(202)
  const { id } = jobOf(started)
  expect(started.headers.get('location')).toBe(`${JOBS}/${id}`)
  return jobOf(await request('GET', `${JOBS}/${id}?wait_ms=30000`))
}

test('every kind runs and tells its record', async () => {
  const service = await startService(LINKED)
  const { request } = service
  await request('PUT', `${MAIN}/entities/a`, { value: 1 })
  const built = await run(service, { kind: 'build', reason: 'why', tags: ['t'], meta: { a: [1] } })
  expect(built).toMatchObject({ kind: 'build', state: 'succeeded', reason: 'why', stuck: false })
  expect(built.result).toMatchObject({ status: 'built', seq: 1, live: 1 })
  expect((await request('GET', `${MAIN}/snapshots/t`)).json).toMatchObject({ reason: 'why' })
  expect((await request('GET', MAIN)).json).toMatchObject({ meta: { a: [1] } })
  const exported = await run(service, { kind: 'export', content: 'full', version: 2 })
  expect(exported.result).toMatchObject({ status: 'exported', car_version: 2, total_count: 1 })
  expect((await run(service, { kind: 'verify', mode: 'quick' })).result).toMatchObject({
    status: 'sound',
    mode: 'quick',
  })
  expect((await run(service, { kind: 'drill', sample: 5 })).result).toMatchObject({
    status: 'passed',
  })
  expect(
    (await run(service, { kind: 'prune', keep: 'last=5', dry_run: true })).result,
  ).toMatchObject({ status: 'planned' })
  expect((await run(service, { kind: 'prune-cars' })).result).toMatchObject({ kept: 1 })
  const filename = exported.result?.['filename']
  const restored = await run(service, { kind: 'restore', backups: [filename], as: 'trial' })
  expect(restored.result).toMatchObject({ status: 'restored', dataset: 'trial', total_count: 1 })
  const list = (await request('GET', JOBS)).json as { items: Job[] }
  expect(list.items.map(({ kind }) => kind)).toEqual([
    'restore',
    'prune-cars',
    'prune',
    'drill',
    'verify',
    'export',
    'build',
  ])
  const builds = (await request('GET', `${JOBS}?kind=build&limit=5`)).json as { items: Job[] }
  expect(builds.items).toEqual([built])
})

test('a job that fails says why', async () => {
  const service = await startService(LINKED)
  const failed = await run(service, { kind: 'export', since: 'seq:9' })
  expect(failed).toMatchObject({ state: 'failed', result: null, error: { code: 'not_found' } })
  const drill = await run(service, { kind: 'drill' })
  expect(drill).toMatchObject({ state: 'failed', error: { code: 'unhealthy' } })
})

const BAD: readonly unknown[] = [
  {},
  { kind: 'none' },
  { kind: 'build', mode: 'quick' },
  { kind: 'build', reason: '' },
  { kind: 'build', force: 'yes' },
  { kind: 'export', after: 'rm -rf /' },
  { kind: 'restore' },
  { kind: 'export', file: '/tmp/x' },
  { kind: 'restore', files: ['/etc/passwd'] },
  { kind: 'restore', backups: ['../x.car'] },
  { kind: 'restore', backups: [] },
  'build',
  null,
  { kind: 'prune', keep: '' },
  { kind: 'prune', keep: 'all=1' },
  { kind: 'drill', sample: 0 },
  { kind: 'verify', budget_ms: 5 },
  { kind: 'build', tags: ['latest'] },
]

test('what is refused', async () => {
  const service = await startService({ ...LINKED, values: { keep_snapshots: 'never' } })
  const { request } = service
  for (const body of BAD) {
    const answer = await request('POST', JOBS, JSON.stringify(body), {
      'content-type': 'application/json',
    })
    if ((body as { tags?: unknown } | null)?.tags === undefined) expectProblem(answer, 400, 'usage')
    else expect(answer.status, JSON.stringify(body)).toBe(202)
  }
  expectProblem(await request('POST', JOBS, { kind: 'prune' }), 400, 'usage')
  expectProblem(
    await request('POST', JOBS, { kind: 'restore', backups: ['none.car'] }),
    404,
    'not_found',
  )
  const none = '/v1/datasets/none/jobs'
  expectProblem(await request('POST', none, { kind: 'build' }), 404, 'dataset_not_found')
  expectProblem(await request('GET', none), 404, 'dataset_not_found')
  expectProblem(await request('GET', `${JOBS}/00`), 404, 'not_found')
  expectProblem(await request('DELETE', `${JOBS}/00`), 404, 'not_found')
  expectProblem(await request('GET', `${JOBS}/x`), 400, 'usage')
})

/** A job that goes on until it is told to stop. */
function endless({ service }: TestService, kind: 'export' | 'restore'): Job {
  const work = ({ signal }: { signal: AbortSignal }): Promise<never> =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error))
    })
  return service.jobs.start({ dataset: 'main', kind, reason: 'test', work }).job
}

test('waiting, joining and cancelling', async () => {
  const service = await startService(LINKED)
  const { request } = service
  const { id } = endless(service, 'export')
  const began = performance.now()
  const waited = jobOf(await request('GET', `${JOBS}/${id}?wait_ms=200`))
  expect(waited.state).toBe('running')
  expect(performance.now() - began).toBeGreaterThan(150)
  const joined = await request('POST', JOBS, { kind: 'export' })
  expect(joined.json).toMatchObject({ joined: true, job: { id } })
  expectProblem(await request('GET', `/v1/datasets/other/jobs/${id}`), 404, 'not_found')
  const waiting = request('GET', `${JOBS}/${id}?wait_ms=30000`)
  const cancelled = await request('DELETE', `${JOBS}/${id}`)
  expect(cancelled.status).toBe(202)
  expect(jobOf(await waiting)).toMatchObject({ id, state: 'cancelled', error: { code: 'aborted' } })
  expect(jobOf(await request('DELETE', `${JOBS}/${id}`)).state).toBe('cancelled')
})

test('a restore joins none that restores something else', async () => {
  const service = await startService(LINKED)
  const { request } = service
  const exported = await run(service, { kind: 'export' })
  const { id } = endless(service, 'restore')
  const backups = [exported.result?.['filename']]
  const busy = await request('POST', JOBS, { kind: 'restore', backups })
  expectProblem(busy, 409, 'busy')
  expect(busy.json).toMatchObject({ job: id })
  const type = { 'content-type': 'application/vnd.ipld.car' }
  expectProblem(await request('POST', `${MAIN}/car`, 'x', type), 409, 'busy')
  service.service.jobs.cancel(id)
})

test('a client that appends may build and save, and nothing else', async () => {
  const data_dir = await tempDir()
  const tokens_file = join(data_dir, 'tokens.json')
  const tokens: Record<string, Record<string, string>> = {}
  for (const right of ['read', 'append', 'admin'] as const) {
    const { token } = await createToken(tokens_file, { name: right, right, datasets: ['main'] })
    tokens[right] = { authorization: `Bearer ${token}` }
  }
  const { request } = await startService({ ...LINKED, values: { data_dir, tokens_file } })
  const start = (right: string, body: unknown): Promise<Answer> =>
    request('POST', JOBS, body, tokens[right])
  expectProblem(await start('read', { kind: 'build' }), 403, 'access_denied')
  expect((await start('append', { kind: 'build' })).status).toBe(202)
  expectProblem(await start('append', { kind: 'export' }), 403, 'access_denied')
  const exported = await start('admin', { kind: 'export' })
  expect(exported.status).toBe(202)
  const { id } = jobOf(exported)
  const done = await request('GET', `${JOBS}/${id}?wait_ms=30000`, undefined, tokens['read'])
  const backups = [jobOf(done).result?.['filename']]
  const elsewhere = await start('admin', { kind: 'restore', backups, as: 'other' })
  expectProblem(elsewhere, 403, 'access_denied')
  const cancel = await request('DELETE', `${JOBS}/${id}`, undefined, tokens['append'])
  expectProblem(cancel, 403, 'access_denied')
})

test('a user who leaves is a reason to save', async () => {
  const service = await startService(LINKED)
  const { request } = service
  const asked: [string, string][] = []
  Object.assign(service.service.automation, {
    save: async (dataset: string, reason: string) => {
      asked.push([dataset, reason])
      return endless(service, 'export')
    },
  })
  const answer = await request('POST', `${MAIN}/disconnect`, { user: 'Älice 😀' })
  expect([answer.status, answer.headers.get('location')]).toEqual([
    202,
    `${JOBS}/${jobOf(answer).id}`,
  ])
  expect(asked).toEqual([['main', 'user_disconnect:Älice 😀']])
  for (const body of [{}, { user: '' }, { user: 'a\nb' }, { user: 1 }]) {
    expectProblem(await request('POST', `${MAIN}/disconnect`, body), 400, 'usage')
  }
  service.service.jobs.cancel(jobOf(answer).id)
})
