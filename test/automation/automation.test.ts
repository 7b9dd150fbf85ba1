/** The automation at work: on a store in memory, by a clock of the test, with real jobs and tasks. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { expectRefused } from '../helpers/engine.ts'
import { DAY, HOUR, MINUTE, NOON, SECOND } from './situations.ts'
import { openWorld, type World } from './world.ts'

const reasons = async (world: World, dataset?: string): Promise<string[]> =>
  (await world.snapshots(dataset)).map(({ reason }) => reason).toReversed()

test("a build's reason stands in its snapshot", async () => {
  const world = await openWorld({
    values: { save_interval: 120, rebuild_threshold: 50, alert_threshold: 60 },
    datasets: { main: { chainLimit: 100 } },
  })
  await world.automation.start()
  await world.append(1)
  await world.advance(3 * MINUTE)
  await world.append(50)
  await world.advance(MINUTE)
  await world.automation.save('main', 'user_disconnect:Alice')
  await world.settle()
  await world.append(1)
  await world.automation.save('main', 'shutdown')
  await world.settle()
  expect((await reasons(world)).slice(1)).toEqual(['interval', 'threshold', 'shutdown'])
  expect(world.jobs.list({ limit: 2 }).map(({ result }) => result?.['status'])).toEqual([
    'built',
    'already_built',
  ])
})

test('a change that is noted is decided on soon, not at the next round', async () => {
  const world = await openWorld({
    values: { rebuild_threshold: 10, alert_threshold: 20 },
    datasets: { main: { chainLimit: 100 } },
  })
  await world.automation.start()
  await world.advance(3 * SECOND)
  for (let i = 0; i < 10; i++) {
    await world.append(1)
    world.automation.noteChange('main')
  }
  await world.advance(SECOND)
  expect(await world.snapshots()).toHaveLength(2)
})

test('a dataset that was made later is looked after, too', async () => {
  const world = await openWorld({ values: { save_interval: 30 } })
  await world.automation.start()
  await world.cairn.init('later', { content: 'external' })
  await world.append(1, 'later')
  world.automation.noteChange('later')
  await world.advance(0)
  await world.until(() => world.automation.state('later').next.length > 0)
  await world.advance(MINUTE)
  expect(await reasons(world, 'later')).toContain('interval')
  expect(world.automation.state('later').runs.build?.last?.state).toBe('succeeded')
})

test('requests during a build share one build behind it, which covers them all', async () => {
  const world = await openWorld()
  await world.automation.start()
  await world.append(1)
  const release = world.hold('stage')
  const first = await world.automation.save('main', 'user_disconnect:Alice')
  await world.until(() => world.calls.includes('stage'))
  await world.append(1)
  const second = await world.automation.save('main', 'user_disconnect:Bob')
  const third = await world.automation.save('main', 'user_disconnect:Carol')
  expect(second.id).not.toBe(first.id)
  expect(third.id).toBe(second.id)
  release()
  await world.settle()
  expect(world.jobs.get(third.id)).toMatchObject({
    state: 'succeeded',
    reason: 'user_disconnect:Carol',
    reasons: ['user_disconnect:Bob', 'user_disconnect:Carol'],
  })
  expect(world.jobs.list({ kind: 'build' })).toHaveLength(2)
  const dataset = await world.cairn.dataset('main')
  expect((await dataset.head()).recentCount).toBe(0)
  expect((await reasons(world)).at(-1)).toBe('user_disconnect:Carol')
})

test('a reason is one line of a bounded length', async () => {
  const world = await openWorld()
  await world.append(1)
  const job = await world.automation.save(
    'main',
    `user_disconnect:A\nERROR ${'x'.repeat(500)}\u{d800}`,
  )
  expect(job.reason).toMatch(/^user_disconnect:A ERROR x+$/)
  expect(job.reason.length).toBeLessThanOrEqual(200)
  expect((await world.automation.save('main', '\n')).reason).toBe('manual')
  await world.settle()
  await expectRefused(world.automation.save('nobody', 'r'), 'dataset_not_found')
})

test('saves are told of in the words that people look for, and only when they happened', async () => {
  const world = await openWorld({ values: { save_interval: 120 } })
  await world.automation.start()
  expect(world.said()).toContain('Auto-save enabled (interval: 120s)')
  await world.append(1)
  await world.automation.save('main', 'user_disconnect:Alice')
  await world.settle()
  expect(world.said()).toContain('Session saved to disk (reason: user_disconnect:Alice)')
  // Nothing new: nothing is claimed.
  await world.automation.save('main', 'again')
  await world.settle()
  expect(world.said().filter((line) => line.includes('reason: again'))).toEqual([])
  await world.append(1)
  world.faults.add('stage')
  await world.automation.save('main', 'shutdown')
  await world.settle()
  const last = world.said().at(-1)
  expect(last).toBe('Failed to save (reason: shutdown): The store does not answer.')
  expect(world.lines.at(-1)).toMatchObject({ level: 'error', event: 'save.failed' })
})

test('a save that cannot be read back is no save', async () => {
  const world = await openWorld()
  await world.append(1)
  world.faults.add('getBlocks')
  await world.automation.save('main', 'shutdown')
  await world.settle()
  expect(world.said().filter((line) => line.startsWith('Session saved'))).toEqual([])
  expect(world.said()).toContain('Failed to save (reason: shutdown): The store does not answer.')
})

test('a store that fails is tried less and less often, and saved to when it is back', async () => {
  const world = await openWorld({ values: { save_rules: '60:1' } })
  await world.automation.start()
  await world.append(1)
  world.faults.add('stage')
  await world.advance(20 * MINUTE)
  const tries = world.jobs
    .list({ kind: 'build' })
    .map(({ started_at }) => Date.parse(started_at ?? ''))
  const gaps = tries.toReversed().flatMap((at, i, all) => (i === 0 ? [] : [at - (all[i - 1] ?? 0)]))
  expect(gaps.slice(0, 6)).toEqual([2500, 5000, 10_000, 20_000, 40_000, 80_000])
  expect(gaps.at(-1)).toBe(150_000)
  expect(world.automation.state('main').runs.build?.failures).toBe(tries.length)
  world.faults.clear()
  await world.advance(5 * MINUTE)
  expect((await reasons(world)).at(-1)).toBe('save 60:1')
  expect(world.automation.state('main').runs.build).toMatchObject({ failures: 0, retry_at: null })
})

test("one dataset's failure never stops another's", async () => {
  const world = await openWorld({
    values: { save_interval: 60 },
    datasets: { a: {}, b: {}, c: {}, d: {} },
  })
  const newest = world.backend.newest.bind(world.backend)
  world.backend.newest = (name, ...rest) => {
    if (name === 'c' || world.clock.now <= NOON + 20_000) return newest(name, ...rest)
    return name === 'b' ? Promise.reject(new Error('b is broken')) : new Promise(() => {})
  }
  await world.automation.start()
  for (let i = 0; i < 8; i++) {
    await world.append(1, 'c')
    await world.advance(MINUTE)
  }
  expect((await world.snapshots('c')).length).toBeGreaterThan(6)
  const told = world.lines.filter(({ event }) => event === 'automation.blind')
  expect(told.map(({ fields }) => fields['dataset'])).toEqual(['b'])
})

test('a store that is away at a round is seen again when it is back', async () => {
  const world = await openWorld({ values: { save_interval: 60 } })
  await world.automation.start()
  await world.append(1)
  world.faults.add('newest')
  world.faults.add('datasets')
  await world.advance(10 * MINUTE)
  expect(world.jobs.list()).toHaveLength(0)
  expect(world.lines.filter(({ event }) => event === 'automation.blind')).toHaveLength(2)
  world.faults.clear()
  await world.advance(MINUTE)
  expect((await reasons(world)).at(-1)).toBe('interval')
})

test('what ran, how it ended and what is to come outlives the process', async () => {
  const values = { save_interval: 120, export_schedule: '0 3 * * 0' }
  const first = await openWorld({ values })
  await first.automation.start()
  await first.append(3)
  await first.advance(5 * MINUTE)
  const before = first.automation.state('main')
  expect(before).toMatchObject({
    schema: 'cairn/automation@v1',
    runs: { build: { last: { state: 'succeeded', reason: 'interval', result: { folded: 3 } } } },
    next: [{ kind: 'export', at: '2026-08-02T03:00:00.000Z', reason: 'schedule' }],
  })
  await first.automation.stop()
  first.kill()
  const second = await openWorld({
    values,
    backend: first.backend,
    dir: first.dir,
    now: NOON + HOUR,
  })
  await second.automation.start()
  const { runs, next, schedules } = second.automation.state('main')
  expect({ runs, schedules }).toEqual({ runs: before.runs, schedules: before.schedules })
  await second.settle()
  expect(second.automation.state('main').next).toEqual(before.next)
  expect(next.length).toBeLessThanOrEqual(1)
})

test('a moment that was missed is made good once, soon after the start, not at the first', async () => {
  const values = { export_schedule: '0 3 * * 0' }
  const first = await openWorld({ values })
  await first.append(1)
  await first.automation.start()
  await first.advance(5 * MINUTE)
  expect(first.jobs.list()).toMatchObject([{ kind: 'export', reason: 'first' }])
  await first.append(1)
  await first.advance(5 * MINUTE)
  expect(first.jobs.list()).toHaveLength(1)
  await first.automation.stop()
  first.kill()
  const later = NOON + 20 * DAY
  const second = await openWorld({ values, backend: first.backend, dir: first.dir, now: later })
  await second.automation.start()
  await second.advance(10 * SECOND)
  expect(second.jobs.list()).toEqual([])
  await second.advance(10 * SECOND)
  expect(second.jobs.list()).toMatchObject([{ kind: 'export', state: 'succeeded' }])
  await second.advance(10 * MINUTE)
  expect(second.jobs.list()).toHaveLength(1)
  const cars = (await readdir(join(first.dir, 'backups'))).filter((name) => name.endsWith('.car'))
  expect(cars).toHaveLength(2)
})

test('what the process died of is not tried again at once', async () => {
  const values = { prune_schedule: '0 13 * * *', keep_cars: 'never' }
  const first = await openWorld({ values })
  await first.append(1)
  await first.automation.start()
  // The process dies in the middle of the prune.
  first.hangs.add('sweep')
  void first.advance(2 * HOUR)
  const file = join(first.dir, 'service', 'main.json')
  const begunAt = /"begun_at": "2026-07-29T13:00:00.000Z"/
  await first.until(async () => begunAt.test(await readFile(file, 'utf8').catch(() => '')))
  first.kill()
  const second = await openWorld({
    values,
    backend: first.backend,
    dir: first.dir,
    now: NOON + HOUR + MINUTE,
  })
  await second.automation.start()
  expect(second.automation.state('main').runs.prune).toMatchObject({
    last: { state: 'interrupted' },
    failures: 1,
  })
  await second.advance(20 * SECOND)
  expect(second.jobs.list()).toEqual([])
  await second.advance(MINUTE)
  expect(second.jobs.list()).toMatchObject([{ kind: 'prune', state: 'succeeded' }])
})

test('settings are loaded anew, and refused as a whole where they make no sense', async () => {
  const world = await openWorld({ values: { save_interval: 3600 } })
  await world.automation.start()
  await world.append(1)
  await world.advance(MINUTE)
  const wrong = world.values({ save_interval: 60, build_schedule: 'soon' })
  expect(() => world.automation.reload(wrong)).toThrow(expect.objectContaining({ code: 'config' }))
  const mixed = world.values({ save_interval: 60, emergency_threshold: 6000 })
  expect(() => world.automation.reload(mixed)).toThrow(expect.objectContaining({ code: 'config' }))
  await world.advance(10 * MINUTE)
  expect(world.jobs.list()).toEqual([])
  world.automation.reload(world.values({ save_interval: 60 }))
  await world.advance(MINUTE)
  expect(await reasons(world)).toContain('interval')
  expect(world.said()).toContain('Auto-save enabled (interval: 60s)')
})

test('a schedule that is changed does not make good what it would have had before', async () => {
  const world = await openWorld({ values: { export_schedule: '0 3 * * 0' } })
  await world.automation.start()
  await world.advance(HOUR)
  world.automation.reload(world.values({ export_schedule: '0 3 * * *' }))
  await world.advance(HOUR)
  expect(world.jobs.list()).toEqual([])
  expect(world.automation.state('main').next).toMatchObject([{ at: '2026-07-30T03:00:00.000Z' }])
})

const tight = { rebuild_threshold: 6000, alert_threshold: 7000, emergency_threshold: 8000 }

test('thresholds that do not fit the configured dataset are refused at the start', async () => {
  const world = await openWorld({ values: tight, datasets: { main: { chainLimit: 7000 } } })
  const error = await expectRefused(world.automation.start(), 'config')
  expect(error.message).toContain('"main"')
  const unmade = await openWorld({ values: { ...tight, chain_limit: 7000 }, datasets: {} })
  await expectRefused(unmade.automation.start(), 'config')
})

test('another dataset that they do not fit follows its own limit, which is told once', async () => {
  const small = { content: 'external', chainLimit: 10 } as const
  const world = await openWorld({ values: tight, datasets: { main: {}, small } })
  await world.automation.start()
  await world.cairn.init('later', small)
  for (const name of ['small', 'later']) {
    await world.append(6, name)
    await world.advance(MINUTE)
    await world.until(() => world.automation.state(name).runs.build?.last?.state === 'succeeded')
    expect(await reasons(world, name)).toContain('threshold')
  }
  const told = world.lines.filter(({ event }) => event === 'automation.config')
  expect(told.map(({ fields }) => fields['dataset'])).toEqual(['small', 'later'])
  // Nor does it keep other settings from being loaded.
  world.automation.reload(world.values({ save_interval: 60 }))
})

test('what fails within the automation of one dataset ends neither it nor the process', async () => {
  const world = await openWorld({ values: { save_interval: 60 } })
  await world.automation.start()
  await world.append(1)
  const start = world.jobs.start.bind(world.jobs)
  world.jobs.start = () => {
    throw new TypeError('a fault of ours')
  }
  await world.advance(2 * MINUTE)
  world.jobs.start = start
  const told = world.lines.filter(({ event }) => event === 'automation.failed')
  expect(told.length).toBeGreaterThan(0)
  expect(told.length).toBeLessThan(10)
  await world.advance(MINUTE)
  expect(await reasons(world)).toContain('interval')
})

test('after a stop nothing is decided, and what is asked for is still done', async () => {
  const world = await openWorld({ values: { save_interval: 60 } })
  await world.automation.start()
  await world.append(1)
  await world.automation.stop()
  await world.advance(HOUR)
  expect(world.jobs.list()).toEqual([])
  const job = await world.automation.save('main', 'shutdown')
  expect(await world.jobs.wait(job.id)).toMatchObject({ state: 'succeeded' })
  await world.jobs.drain({ deadlineMs: 1000 })
  const file = join(world.dir, 'service', 'main.json')
  expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({
    runs: { build: { last: { reason: 'shutdown', state: 'succeeded' }, begun_at: null } },
  })
  await world.append(1)
  await expectRefused(world.automation.save('main', 'late'), 'closed')
})

test('what the end of the service cancels runs after the next start', async () => {
  const values = { prune_schedule: '0 13 * * *', keep_cars: 'never' }
  const first = await openWorld({ values })
  await first.append(1)
  await first.automation.start()
  const release = first.hold('sweep')
  void first.advance(2 * HOUR)
  await first.until(() => first.calls.includes('sweep'))
  await first.automation.stop()
  const drained = first.jobs.drain({ deadlineMs: 1 })
  await new Promise((resolve) => setTimeout(resolve, 50))
  release()
  await drained
  expect(first.jobs.list()).toMatchObject([{ kind: 'prune', state: 'cancelled' }])
  first.kill()
  const { backend, dir } = first
  const second = await openWorld({ values, backend, dir, now: NOON + 2 * HOUR })
  await second.automation.start()
  await second.advance(10 * MINUTE)
  expect(second.jobs.list()).toMatchObject([{ kind: 'prune', state: 'succeeded' }])
})

test('without a place for its memory it goes on, and says so once', async () => {
  const world = await openWorld({ values: { data_dir: import.meta.filename, save_interval: 60 } })
  await world.automation.start()
  for (let i = 0; i < 3; i++) {
    await world.append(1)
    await world.advance(2 * MINUTE)
  }
  expect((await reasons(world)).slice(1)).toEqual(['interval', 'interval', 'interval'])
  const told = world.lines.filter(({ event }) => event === 'automation.memory_unwritten')
  expect(told).toHaveLength(1)
})

test('a clock that is set back a year stops nothing', async () => {
  const world = await openWorld({ values: { save_interval: 60, export_schedule: '0 * * * *' } })
  await world.automation.start()
  await world.append(1)
  await world.advance(HOUR)
  expect(world.jobs.list({ kind: 'export' })).toHaveLength(2)
  world.clock.now -= 365 * DAY
  await world.append(1)
  // The timer that was set rings all the same: it counts no clock.
  world.ring()
  await world.advance(5 * MINUTE)
  expect(await world.snapshots()).toHaveLength(3)
  await world.advance(HOUR)
  expect(world.jobs.list({ kind: 'export' })).toHaveLength(3)
})
