/** What is looked at: real files and stores, whole, missing and damaged; and that looking changes nothing. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, open, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { freshMemory, type LastRun } from '../../src/automation/memory.ts'
import { writeMemory } from '../../src/automation/memory-file.ts'
import { printState } from '../../src/automation/state.ts'
import { folderBytes, freePercentAt } from '../../src/health/disk.ts'
import type { Looked, Observation } from '../../src/health/observation.ts'
import { observe } from '../../src/health/observe.ts'
import { lookAt } from '../../src/health/look.ts'
import { drillTask } from '../../src/tasks/drill.ts'
import { exportTask } from '../../src/tasks/export.ts'
import { verifyTask } from '../../src/tasks/verify.ts'
import { openTest, refusal, START, tempDir } from '../helpers/engine.ts'
import { task, type Owner } from './backups.ts'
import { HOUR, valuesOf } from './seen.ts'

interface World extends Owner {
  look(dataset?: string): Promise<Observation>
}

async function makeWorld(): Promise<World> {
  const dir = await tempDir()
  const clock = { now: START }
  const backend = await openLmdb({ dir: join(dir, 'store'), create: true })
  const { cairn, dataset } = await openTest({ backend, clock, init: { content: 'linked' } })
  await dataset.put('a', 1)
  await dataset.build({})
  await dataset.put('b', 2)
  clock.now += HOUR
  const now = (): number => clock.now
  const place = { cairn, dataDir: dir, backupsDir: `${dir}/backups`, now, deadlineMs: 5000 }
  return { dir, cairn, backend, now, look: (name = 'main') => observe({ ...place, dataset: name }) }
}

function valueOf<T>(looked: Looked<T>): T {
  if ('value' in looked) return looked.value
  return expect.fail(looked.trouble.message)
}

const troubleOf = (looked: Looked<unknown>): unknown =>
  'trouble' in looked ? looked.trouble : expect.fail('it could be looked at')

test('a fresh dataset: facts, and nothing else yet', async () => {
  const world = await makeWorld()
  const seen = await world.look()
  expect(valueOf(seen.status)).toMatchObject({
    next: 2,
    recentCount: 1,
    snapshotSeq: 1,
    snapshotTs: START,
    commitTs: START,
    chainLimit: 10_000,
    synced: true,
  })
  expect(valueOf(seen.backups).backups).toEqual([])
  expect(valueOf(seen.backupsBytes)).toBe(0)
  expect(valueOf(seen.drill)).toBe(undefined)
  expect(valueOf(seen.proof)).toEqual({ parts: 0, never: 0, problems: 0, oldest: undefined })
  expect(valueOf(seen.automation)).toBe(undefined)
  expect(valueOf(seen.space).map(({ where }) => where)).toEqual([
    'the store',
    `the CARs in ${world.dir}/backups`,
  ])
  await world.cairn.close()
})

test('after an export, a drill and a verification all is well', async () => {
  const world = await makeWorld()
  await exportTask(task(world))
  await drillTask(task(world), { scratch: world.dir })
  await verifyTask(task(world), { mode: { kind: 'full' } })
  const seen = await world.look()
  expect(valueOf(seen.drill)).toMatchObject({ dataset: 'main', passed: true })
  expect(valueOf(seen.proof)).toMatchObject({ never: 0, problems: 0, oldest: world.now() })
  expect(valueOf(seen.proof).parts).toBeGreaterThan(2)
  const names = await readdir(join(world.dir, 'backups'))
  const sizes = await Promise.all(
    names.map(async (name) => (await readFile(join(world.dir, 'backups', name))).length),
  )
  expect(valueOf(seen.backupsBytes)).toBe(sizes.reduce((a, b) => a + b))
  const values = valuesOf({ data_dir: world.dir, backups_dir: `${world.dir}/backups` })
  const place = { ...task(world), deadlineMs: 5000 }
  const { alerts } = await lookAt(place, values)
  expect(alerts.filter(({ check }) => check !== 'disk')).toEqual([])
  await world.cairn.close()
})

test('looking changes no file', async () => {
  const world = await makeWorld()
  await exportTask(task(world))
  await verifyTask(task(world), { mode: { kind: 'full' } })
  await writeFile(join(world.dir, 'ledger', 'other.ndjson'), '{"half')
  await writeFile(join(world.dir, 'backups', 'drill-report.json'), '{"half')
  const hashes = async (): Promise<Record<string, string>> => {
    const files = await readdir(world.dir, { recursive: true, withFileTypes: true })
    const paths = files.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name))
    const all = paths.filter((path) => !path.endsWith('lock.mdb'))
    const hash = async (path: string): Promise<[string, string]> => [
      path,
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
    ]
    return Object.fromEntries(await Promise.all(all.map(hash)))
  }
  const before = await hashes()
  await world.look()
  expect(await hashes()).toEqual(before)
  await world.cairn.close()
})

test('a ledger, a report, a memory that are damaged are troubles of their own, and of nothing else', async () => {
  const world = await makeWorld()
  await exportTask(task(world))
  await verifyTask(task(world), { mode: { kind: 'full' } })
  const [ledger = ''] = await readdir(join(world.dir, 'ledger'))
  const path = join(world.dir, 'ledger', ledger)
  const whole = await readFile(path, 'utf8')
  const lines = whole.trimEnd().split('\n')
  const damages = [
    whole.slice(0, -20),
    `${lines.join('\n')}\n"text"\n`,
    `${lines.join('\n')}\n{"id":"x"}\n`,
    `${lines.join('\n')}\nnull\n`,
  ]
  for (const text of damages) {
    await writeFile(path, text)
    const { proof } = await world.look()
    expect(troubleOf(proof)).toMatchObject({
      code: 'invalid_block',
      message: expect.stringContaining(path),
    })
  }
  await rm(path)
  await mkdir(join(world.dir, 'service'))
  for (const text of [
    '',
    '[]',
    'null',
    '{"status":"passed"}',
    '{"dataset":"main","finished_at":"never"}',
  ]) {
    await writeFile(join(world.dir, 'backups', 'drill-report.json'), text)
    await writeFile(join(world.dir, 'service', 'main.json'), text)
    const seen = await world.look()
    expect(troubleOf(seen.drill)).toMatchObject({
      message: expect.stringContaining('drill-report.json'),
    })
    expect(troubleOf(seen.automation)).toBeDefined()
    expect(valueOf(seen.proof).parts).toBe(0)
    expect(valueOf(seen.backups).backups).toHaveLength(1)
  }
  await world.cairn.close()
})

test('what the automation remembers', async () => {
  const world = await makeWorld()
  const run = (state: LastRun['state'], message?: string): LastRun => ({
    job: 'j',
    state,
    reason: 'interval',
    reasons: ['interval'],
    startedAt: START,
    finishedAt: START + 5000,
    result: null,
    error: message === undefined ? null : { code: 'no_space', message },
  })
  const base = { successAt: null, retryAt: null, begunAt: null }
  const memory = {
    ...freshMemory('main'),
    runs: {
      build: { ...base, last: run('failed', 'The disk is full.'), failures: 4 },
      export: { ...base, last: run('succeeded'), failures: 0 },
    },
  }
  await writeMemory(join(world.dir, 'service'), printState(memory, [], START))
  expect(valueOf((await world.look()).automation)).toEqual({
    build: {
      failed: true,
      finishedAt: START + 5000,
      durationMs: 5000,
      failuresInRow: 4,
      message: 'The disk is full.',
    },
    export: expect.objectContaining({ failed: false, failuresInRow: 0, message: undefined }),
  })
  await world.cairn.close()
})

test('a disk that hangs is told of after a while; a look that is cut off tells nothing', async () => {
  const world = await makeWorld()
  await mkdir(join(world.dir, 'backups'))
  // Opening it waits for someone who writes.
  const pipe = join(world.dir, 'backups', 'drill-report.json')
  await promisify(execFile)('mkfifo', [pipe])
  const place = { ...task(world), deadlineMs: 300 }
  const { drill, backups, status } = await observe(place)
  expect(troubleOf(drill)).toMatchObject({ code: 'backend_timeout' })
  expect(valueOf(backups).backups).toEqual([])
  expect(valueOf(status).next).toBe(2)
  const stop = new AbortController()
  setTimeout(() => stop.abort(), 200)
  const cut = observe({ ...place, deadlineMs: 60_000, signal: stop.signal })
  expect((await refusal(cut)).code).toBe('aborted')
  // Lets go of who still waits.
  await (await open(pipe, 'r+')).close()
  await world.cairn.close()
})

test('a dataset that is not there, and a folder of backups that is a file', async () => {
  const world = await makeWorld()
  expect(troubleOf((await world.look('other')).status)).toMatchObject({ code: 'dataset_not_found' })
  await writeFile(join(world.dir, 'backups'), 'a file')
  const seen = await world.look()
  expect(troubleOf(seen.backups)).toBeDefined()
  expect(valueOf(seen.status).next).toBe(2)
  await world.cairn.close()
})

test('free space is that of the nearest folder there is, and a folder that is not there is empty', async () => {
  const dir = await tempDir()
  expect(await freePercentAt(join(dir, 'not', 'yet'))).toBeCloseTo(
    (await freePercentAt(dir)) ?? -1,
    0,
  )
  expect(await folderBytes(join(dir, 'not'))).toBe(0)
})
