/** Jobs: how they run, join, follow, end, are told of and remembered. */
import { expect, test } from 'vitest'
import { CairnError } from '../../src/errors.ts'
import { TaskFailure } from '../../src/tasks/context.ts'
import { expectRefused } from '../helpers/engine.ts'
import { heldWork, openJobs, request, START, stoppable, turns } from './helpers.ts'

test('a job is queued, runs, and ends with its result and times', async () => {
  const { jobs, clock } = openJobs()
  const held = heldWork()
  const { job, joined } = jobs.start(request(held.work, { reason: 'threshold' }))
  expect(joined).toBe(false)
  expect(job).toMatchObject({
    state: 'queued',
    reason: 'threshold',
    started_at: null,
    result: null,
  })
  clock.now += 1000
  await turns()
  held.runs[0]?.onProgress({ step: 'merge', done: 3 })
  expect(jobs.get(job.id)).toMatchObject({
    state: 'running',
    created_at: new Date(START).toISOString(),
    started_at: new Date(START + 1000).toISOString(),
    progress: { step: 'merge', done: 3, total: null, at: new Date(START + 1000).toISOString() },
    stuck: false,
  })
  clock.now += 1000
  held.succeed({ status: 'built' })
  expect(await jobs.wait(job.id)).toMatchObject({
    id: job.id,
    state: 'succeeded',
    result: { status: 'built' },
    error: null,
    finished_at: new Date(START + 2000).toISOString(),
  })
})

test('a second job of the same dataset and kind joins the first; others run beside it', async () => {
  const { jobs } = openJobs()
  const held = heldWork()
  const other = heldWork()
  const { job } = jobs.start(request(held.work))
  await turns()
  const second = jobs.start(request(other.work, { reason: 'again' }))
  expect(second).toMatchObject({ joined: true, job: { id: job.id, reason: 'manual' } })
  expect(jobs.start(request(other.work, { kind: 'export' })).joined).toBe(false)
  expect(jobs.start(request(other.work, { dataset: 'b' })).joined).toBe(false)
  await turns()
  expect(held.runs).toHaveLength(1)
  expect(other.runs).toHaveLength(2)
  expect([...jobs.underWay('main')]).toEqual(['build', 'export'])
})

test('who follows a running job shares the one behind it, and the last reason counts', async () => {
  const { jobs } = openJobs()
  const [first, second] = [heldWork(), heldWork()]
  const running = jobs.start(request(first.work)).job
  await turns()
  const follow = (reason: string): ReturnType<typeof jobs.start> =>
    jobs.start(request(second.work, { reason, follow: true }))
  const behind = follow('user_disconnect:Alice')
  expect(behind).toMatchObject({ joined: false, job: { state: 'queued' } })
  expect(behind.job.id).not.toBe(running.id)
  expect(follow('user_disconnect:Bob')).toMatchObject({ joined: true, job: { id: behind.job.id } })
  follow('user_disconnect:Alice')
  await turns()
  expect(second.runs).toHaveLength(0)
  first.succeed()
  await turns()
  expect(second.runs.map(({ reason }) => reason)).toEqual(['user_disconnect:Alice'])
  expect(jobs.get(behind.job.id)).toMatchObject({
    state: 'running',
    reason: 'user_disconnect:Alice',
    reasons: ['user_disconnect:Bob', 'user_disconnect:Alice'],
  })
  // Running now: whoever follows it gets one more.
  expect(follow('late').joined).toBe(false)
})

test('a job that throws is failed, with code, message and hint, whenever it throws', async () => {
  const { jobs, lines } = openJobs()
  const ends = async (work: () => Promise<never>): Promise<unknown> => {
    const { job } = jobs.start(request(work))
    return (await jobs.wait(job.id)).error
  }
  const coded = new CairnError('no_space', 'The disk is full.', { hint: 'Free some.' })
  expect(await ends(() => Promise.reject(coded))).toEqual({
    code: 'no_space',
    message: 'The disk is full.',
    hint: 'Free some.',
  })
  const atOnce = (): never => {
    throw new TypeError('before any promise')
  }
  expect(await ends(atOnce)).toEqual({ code: 'internal', message: 'before any promise' })
  // eslint-disable-next-line typescript/prefer-promise-reject-errors
  expect(await ends(() => Promise.reject('a text'))).toEqual({
    code: 'internal',
    message: 'a text',
  })
  const failed = lines.filter(({ event }) => event === 'job.failed')
  expect(failed.map(({ level, fields }) => [level, fields['code']])).toEqual([
    ['error', 'no_space'],
    ['error', 'internal'],
    ['error', 'internal'],
  ])
  expect(failed[1]?.fields['stack']).toContain('TypeError: before any promise')
})

test('a job that did its work and failed by what came of it tells both', async () => {
  const { jobs } = openJobs()
  const failure = new TaskFailure(new CairnError('hook_failed', 'It said no.'), { path: 'a.car' })
  const { job } = jobs.start(request(() => Promise.reject(failure), { kind: 'export' }))
  expect(await jobs.wait(job.id)).toMatchObject({
    state: 'failed',
    result: { path: 'a.car' },
    error: { code: 'hook_failed' },
  })
})

test('a cancelled job is cancelled only if it ended as aborted', async () => {
  const { jobs } = openJobs()
  const stopped = jobs.start(request(stoppable, { dataset: 'a' })).job
  const done = heldWork()
  const finished = jobs.start(request(done.work, { dataset: 'b' })).job
  const broken = heldWork()
  const failed = jobs.start(request(broken.work, { dataset: 'c' })).job
  await turns()
  for (const { id } of [stopped, finished, failed]) {
    expect(jobs.cancel(id)).toMatchObject({ id, state: 'running' })
  }
  done.succeed({ kept: true })
  broken.fail(new CairnError('no_space', 'The disk is full.'))
  expect(await jobs.wait(stopped.id)).toMatchObject({
    state: 'cancelled',
    error: { code: 'aborted' },
  })
  expect(await jobs.wait(finished.id)).toMatchObject({ state: 'succeeded', result: { kept: true } })
  expect(await jobs.wait(failed.id)).toMatchObject({
    state: 'failed',
    error: { code: 'no_space' },
  })
  expect(jobs.cancel(finished.id)).toMatchObject({ state: 'succeeded' })
  expect(jobs.cancel('none')).toBeUndefined()
})

test('a job that aborts itself was not cancelled by anyone', async () => {
  const { jobs } = openJobs()
  const aborted = new DOMException('its own time-out', 'AbortError')
  const { job } = jobs.start(request(() => Promise.reject(aborted)))
  expect(await jobs.wait(job.id)).toMatchObject({ state: 'failed', error: { code: 'aborted' } })
})

test('a queued job that is cancelled never runs, and the running one goes on', async () => {
  const { jobs } = openJobs()
  const [first, second] = [heldWork(), heldWork()]
  const running = jobs.start(request(first.work)).job
  await turns()
  const behind = jobs.start(request(second.work, { follow: true })).job
  expect(jobs.cancel(behind.id)).toMatchObject({ state: 'cancelled', started_at: null })
  first.succeed()
  await turns()
  expect(second.runs).toHaveLength(0)
  expect(jobs.get(running.id)).toMatchObject({ state: 'succeeded' })
})

test('silence counts as stuck, is logged once, and ends nothing', async () => {
  const { jobs, clock, lines, watch } = openJobs({ stuckAfterMs: 60_000 })
  const held = heldWork()
  const { job } = jobs.start(request(held.work))
  await turns()
  const stuck = (): boolean | undefined => jobs.get(job.id)?.stuck
  const logged = (): number => lines.filter(({ event }) => event === 'job.stuck').length
  clock.now += 60_000
  watch()
  expect([stuck(), logged()]).toEqual([false, 0])
  clock.now += 1
  watch()
  watch()
  expect([stuck(), logged()]).toEqual([true, 1])
  expect(held.runs[0]?.signal.aborted).toBe(false)
  held.runs[0]?.onProgress({ step: 'merge', done: 1 })
  watch()
  expect([stuck(), logged()]).toEqual([false, 1])
  clock.now += 60_001
  watch()
  expect([stuck(), logged()]).toEqual([true, 2])
  held.succeed()
  expect(await jobs.wait(job.id)).toMatchObject({ state: 'succeeded', stuck: false })
})

test('waiting ends with the job, with its time, or with who waits', async () => {
  const { jobs } = openJobs()
  const held = heldWork()
  const { job } = jobs.start(request(held.work))
  expect(await jobs.wait(job.id, { timeoutMs: 5 })).toMatchObject({ state: 'running' })
  const gone = new AbortController()
  const waiting = jobs.wait(job.id, { signal: gone.signal })
  gone.abort()
  await expect(waiting).rejects.toMatchObject({ code: 'aborted' })
  await expect(jobs.wait(job.id, { signal: gone.signal })).rejects.toMatchObject({
    code: 'aborted',
  })
  const both = [jobs.wait(job.id), jobs.wait(job.id, { timeoutMs: 2 ** 40 })]
  held.succeed()
  for (const end of await Promise.all(both)) expect(end.state).toBe('succeeded')
  await expectRefused(jobs.wait('none'), 'not_found')
})

test('two hundred finished jobs are remembered, and all that have not ended', async () => {
  const { jobs } = openJobs()
  const held = heldWork()
  const oldest = jobs.start(request(held.work, { dataset: 'old' })).job
  const ids: string[] = []
  for (let i = 0; i < 250; i++) {
    const { job } = jobs.start(request(async () => ({ i })))
    await jobs.wait(job.id)
    ids.push(job.id)
  }
  expect(jobs.list({ dataset: 'main' }).map(({ id }) => id)).toEqual(ids.slice(-200).toReversed())
  expect(jobs.get(ids[49] ?? '')).toBeUndefined()
  expect(jobs.get(oldest.id)).toMatchObject({ state: 'running' })
  expect(jobs.list({ limit: 2 }).map(({ id }) => id)).toEqual(ids.slice(-2).toReversed())
  expect(jobs.list({ kind: 'export' })).toEqual([])
  expect(jobs.list({ dataset: 'old', kind: 'build' })).toHaveLength(1)
})

test('listeners hear of every end, and one that fails hinders nobody', async () => {
  const { jobs, lines } = openJobs()
  const heard: string[] = []
  jobs.onEnd(() => {
    throw new Error('a bad listener')
  })
  const stop = jobs.onEnd(({ state }) => void heard.push(state))
  const run = async (work: () => Promise<Record<string, unknown>>): Promise<void> => {
    await jobs.wait(jobs.start(request(work)).job.id)
  }
  await run(async () => ({}))
  await run(() => Promise.reject(new Error('no')))
  stop()
  await run(async () => ({}))
  expect(heard).toEqual(['succeeded', 'failed'])
  expect(lines.filter(({ event }) => event === 'job.listener_failed')).toHaveLength(3)
})

test('a drain starts nothing, waits, then asks to stop, and waits for those who are told', async () => {
  const { jobs } = openJobs()
  const held = heldWork()
  const quick = jobs.start(request(held.work, { dataset: 'a' })).job
  const slow = jobs.start(request(stoppable, { dataset: 'b' })).job
  const told: string[] = []
  jobs.onEnd(async ({ id }) => {
    await turns(5)
    told.push(id)
  })
  await turns()
  const drained = jobs.drain({ deadlineMs: 50 })
  expect(() => jobs.start(request(held.work))).toThrow(
    expect.objectContaining({ code: 'closed', httpStatus: 503 }),
  )
  held.succeed()
  await drained
  expect(jobs.get(quick.id)).toMatchObject({ state: 'succeeded' })
  expect(jobs.get(slow.id)).toMatchObject({ state: 'cancelled' })
  expect(told).toEqual([quick.id, slow.id])
  await jobs.drain({ deadlineMs: 60_000 })
})

test('a drain leaves behind what does not stop', async () => {
  const { jobs } = openJobs()
  const deaf = jobs.start(request(heldWork().work)).job
  await turns()
  await jobs.drain({ deadlineMs: 1 })
  expect(jobs.get(deaf.id)).toMatchObject({ state: 'running' })
})

test('four builds and two jobs of upkeep run at once, and what is urgent besides', async () => {
  const { jobs } = openJobs()
  const held = heldWork()
  for (let i = 0; i < 6; i++) jobs.start(request(held.work, { dataset: `b${i}` }))
  for (const kind of ['export', 'verify', 'drill'] as const)
    jobs.start(request(held.work, { kind }))
  await turns()
  const running = (): string[] =>
    jobs.list().flatMap(({ state, kind }) => (state === 'running' ? [kind] : []))
  const count = (kind: string): number => running().filter((one) => one === kind).length
  expect([count('build'), count('export') + count('verify') + count('drill')]).toEqual([4, 2])
  jobs.start(request(held.work, { dataset: 'urgent', urgent: true }))
  await turns()
  expect(count('build')).toBe(5)
  // One that waits becomes urgent when someone urgent joins it.
  jobs.start(request(held.work, { dataset: 'b5', urgent: true }))
  await turns()
  expect(count('build')).toBe(6)
  held.succeed()
  await turns(10)
  expect(jobs.list().every(({ state }) => state === 'succeeded')).toBe(true)
})
