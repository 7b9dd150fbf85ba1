/** The watch over a real store: changes are told once, also across restarts, and whatever the receiver does. */
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import type { Values } from '../../src/config/schema.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Logger } from '../../src/engine/logger.ts'
import { CairnError } from '../../src/errors.ts'
import { openHealthWatch, type HealthWatch, type WatchOptions } from '../../src/health/watch.ts'
import type { Backend } from '../../src/store/backend.ts'
import { openTest, tempDir } from '../helpers/engine.ts'
import { startReceiver, status, type Receiver } from './receiver.ts'
import { valuesOf } from './seen.ts'

const SECRET = '/services/sesame-open'

interface Logged {
  readonly event: string
  readonly [field: string]: unknown
}

interface Setup {
  readonly cairn: Cairn
  readonly backend: Backend
  readonly values: Values
  readonly logged: Logged[]
  readonly watch: (given?: Partial<WatchOptions>, values?: Partial<Values>) => HealthWatch
}

const TIP = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

/** A memory store with data, which never syncs and has neither CARs nor drills: three alerts from the beginning. */
async function setUp(given: Partial<Values> = {}): Promise<Setup> {
  const dir = await tempDir()
  const { cairn, backend, dataset } = await openTest({ clock: { now: Date.now() } })
  await dataset.append({ pi: 'first', tip: TIP })
  await dataset.build()
  const values = valuesOf({
    data_dir: dir,
    backups_dir: join(dir, 'backups'),
    health_interval: 10,
    require_sync: 'yes',
    ...given,
  })
  const logged: Logged[] = []
  const log: Logger = {
    info: (event, fields) => logged.push({ event, ...fields }),
    error: (event, fields) => logged.push({ event, ...fields }),
    debug: () => {},
  }
  const watch: Setup['watch'] = (more = {}, changed = {}) => {
    const made = openHealthWatch({
      cairn,
      values: { ...values, ...changed },
      now: Date.now,
      log,
      firstRetryMs: 5,
      deliverMs: 300,
      ...more,
    })
    onTestFinished(() => made.stop())
    return made
  }
  return { cairn, backend, values, logged, watch }
}

const hook = ({ url }: Receiver): Partial<Values> => ({ alert_webhook: url + SECRET })
const subjects = ({ received }: Receiver): unknown[] => received.map(({ body }) => body['subject'])
/** Enough looks for everything that could still be told. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 150))

async function until(check: () => void): Promise<void> {
  await vi.waitFor(check, { timeout: 5000, interval: 10 })
}

test('a look tells what is so; who asks at the same time gets the same look', async () => {
  const { watch } = await setUp()
  const one = watch()
  expect(one.latest('main')).toBe(undefined)
  const [first, second] = await Promise.all([one.check('main'), one.check('main')])
  expect(first).toBe(second)
  expect(one.latest('main')).toBe(first)
  const bad = first?.alerts.filter(({ check }) => check !== 'disk').map(({ check }) => check)
  expect(bad).toEqual(['car', 'drill', 'durability'])
  expect(first).toMatchObject({
    healthy: false,
    level: 'critical',
    dataset: 'main',
    recent_count: 0,
  })
})

test('each change is told once, and its end', async () => {
  const receiver = await startReceiver(status(200))
  const { watch, cairn, logged } = await setUp({ alert_threshold: 1, ...hook(receiver) })
  const one = watch({ origins: { alert_threshold: 'flag' } })
  one.start()
  await until(() => expect(receiver.received).toHaveLength(1))
  await settle()
  expect(receiver.received).toHaveLength(1)
  const dataset = await cairn.dataset('main')
  await dataset.appendBatch(['a', 'b', 'c'].map((pi) => ({ pi, tip: TIP })))
  await until(() => expect(receiver.received).toHaveLength(2))
  expect(receiver.received[1]?.body).toMatchObject({
    subject: 'CRITICAL: main: chain',
    text: 'CRITICAL: Recent chain has 3 entries (threshold: 1)\n  hint: cairn build-snapshot',
  })
  await dataset.build({})
  await until(() => expect(receiver.received).toHaveLength(3))
  expect(receiver.received[2]?.body['text']).toContain('RECOVERED: chain (was critical)')
  await settle()
  expect(receiver.received).toHaveLength(3)
  expect(JSON.stringify(logged)).not.toContain('sesame')
  expect(logged.filter(({ event }) => event === 'health.changed')).toHaveLength(3)
})

test('after a restart nothing is told again, and what was not told yet is', async () => {
  const down = await startReceiver(status(500))
  const { watch, values, logged } = await setUp()
  const first = watch({}, hook(down))
  first.start()
  await until(() => expect(down.received.length).toBeGreaterThan(2))
  await first.stop()
  const tries = down.received.length
  await settle()
  expect(down.received).toHaveLength(tries)
  const up = await startReceiver(status(200))
  const second = watch({}, hook(up))
  second.start()
  await until(() => expect(subjects(up)).toHaveLength(1))
  await second.stop()
  expect(up.received[0]?.body['at']).toBe(down.received[0]?.body['at'])
  const third = watch({}, hook(up))
  third.start()
  await settle()
  expect(up.received.map(({ body }) => body['text'])).toHaveLength(1)
  expect(JSON.stringify(logged)).not.toContain('sesame')
  expect(logged.some(({ event }) => event === 'alert.failed')).toBe(true)
  const memory = await readFile(join(values.data_dir, 'service', 'main.alerts.json'), 'utf8')
  expect(JSON.parse(memory)).toMatchObject({ schema: 'cairn/alerts@v1', unsent: [] })
  expect(memory).not.toContain('sesame')
})

test('a receiver that hangs or sends elsewhere is tried again, and holds up neither looks nor the command', async () => {
  const elsewhere = await startReceiver(status(200))
  const bad = await startReceiver((response, nth) => {
    if (nth === 1) return
    if (nth === 2) response.writeHead(302, { location: elsewhere.url }).end()
    else response.writeHead(200).end()
  })
  const dir = await tempDir()
  const mail = join(dir, 'mail')
  const { watch } = await setUp({ ...hook(bad), alert_command: `cat >> '${mail}'` })
  const one = watch()
  one.start()
  await until(() => expect(one.latest('main')).toBeDefined())
  const before = one.latest('main')?.checked_at
  await vi.waitFor(
    async () => expect(await readFile(mail, 'utf8')).toContain('No backups found!'),
    5000,
  )
  await until(() => expect(one.latest('main')?.checked_at).not.toBe(before))
  await until(() => expect(bad.received).toHaveLength(3))
  await settle()
  expect(bad.received).toHaveLength(3)
  expect(elsewhere.received).toEqual([])
  expect((await readFile(mail, 'utf8')).match(/No backups found!/g)).toHaveLength(1)
})

test('a store that hangs, and one that does not answer, are findings, and so is their end', async () => {
  const receiver = await startReceiver(status(200))
  const broken = { how: 'not' }
  const inner = openMemory()
  const backend = new Proxy(inner, {
    get: (target, name: keyof Backend) => {
      const value = target[name]
      if (typeof value !== 'function') return value
      return async (...args: unknown[]) => {
        if (broken.how === 'hangs') return new Promise(() => {})
        if (broken.how === 'away') throw new CairnError('backend_unavailable', 'The node is away.')
        return (value as (...all: unknown[]) => unknown).apply(target, args)
      }
    },
  })
  const cairn = new Cairn(backend)
  await cairn.init('main', { content: 'external' })
  const { watch } = await setUp(hook(receiver))
  const one = watch({ cairn, deadlineMs: 100 })
  one.start()
  await until(() => expect(receiver.received).toHaveLength(1))
  broken.how = 'away'
  await until(() => expect(receiver.received).toHaveLength(2))
  expect(receiver.received[1]?.body['text']).toContain('CRITICAL: store: The node is away.')
  broken.how = 'hangs'
  await until(() =>
    expect(one.latest('main')?.alerts).toMatchObject([{ check: 'store', code: 'backend_timeout' }]),
  )
  broken.how = 'not'
  await until(() => expect(receiver.received).toHaveLength(3))
  expect(receiver.received[2]?.body['text']).toContain('RECOVERED: store')
  expect(subjects(receiver)[2]).toBe('CRITICAL: main: store better')
})

test('all datasets are watched, new ones too, and those that are gone no more', async () => {
  const { watch, cairn } = await setUp()
  const one = watch()
  one.start()
  await until(() => expect(one.latest('main')).toBeDefined())
  await cairn.init('other', {})
  await until(() => expect(one.latest('other')).toMatchObject({ dataset: 'other' }))
})

test('new settings count from the next look on; impossible ones are refused and change nothing', async () => {
  const receiver = await startReceiver(status(200))
  const { watch, values } = await setUp()
  const one = watch()
  one.start()
  await until(() => expect(one.latest('main')).toBeDefined())
  await settle()
  const refused = { ...values, alert_webhook: 'sesame', alert_threshold: 0 }
  expect(() => one.reload(refused)).toThrow('alert_webhook is no address')
  expect(() => one.reload({ ...values, export_schedule: 'sometimes' })).toThrow('export_schedule')
  one.reload({ ...values, ...hook(receiver), max_drill_age: 1, alert_threshold: 5 })
  await settle()
  // Who is new is told what changes from now on.
  expect(receiver.received).toEqual([])
  await mkdir(values.backups_dir, { recursive: true })
  await writeFile(join(values.backups_dir, 'drill-report.json'), '{"half')
  await until(() => expect(subjects(receiver)).toEqual(['CRITICAL: main: drill']))
})

test('a memory that is damaged is set aside, and what is bad is told once more', async () => {
  const receiver = await startReceiver(status(200))
  const { watch, values, logged } = await setUp(hook(receiver))
  const folder = join(values.data_dir, 'service')
  await mkdir(folder, { recursive: true })
  for (const text of [
    '{"half',
    '[]',
    '{"schema":"cairn/alerts@v1","state":{"disk":{"level":"bad"}},"unsent":[]}',
  ]) {
    await rm(join(folder, 'main.alerts.json'), { force: true })
    await writeFile(join(folder, 'main.alerts.json'), text)
    const before = receiver.received.length
    const one = watch()
    one.start()
    await until(() => expect(receiver.received).toHaveLength(before + 1))
    await one.stop()
  }
  expect(await readdir(folder)).toContain('main.alerts.json.unreadable')
  expect(logged.filter(({ event }) => event === 'alerts.memory_unreadable')).toHaveLength(3)
})

test('a folder that cannot be written keeps nobody from being told', async () => {
  const receiver = await startReceiver(status(200))
  const { watch, values, logged } = await setUp(hook(receiver))
  await writeFile(join(values.data_dir, 'service'), 'a file')
  const one = watch()
  one.start()
  await until(() => expect(logged.some(({ event }) => event === 'health.failed')).toBe(true))
  await one.stop()
})
