import { mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { pathsBeside } from '../../src/backup/name.ts'
import { exportTask, type ExportTaskOptions } from '../../src/tasks/export.ts'
import { pruneCarsTask } from '../../src/tasks/prune-cars.ts'
import {
  abortingAt,
  expectCode,
  expectPlain,
  ground,
  HOUR,
  wholeBackups,
  type Ground,
} from './kit.ts'

/** So many full backups an hour apart, newest first. */
async function exported(count: number): Promise<Ground & { readonly paths: readonly string[] }> {
  const made = await ground()
  const paths: string[] = []
  for (let i = 0; i < count; i++) {
    await made.dataset.put('late', i)
    made.clock.now += HOUR
    paths.unshift((await exportTask(made.context)).path)
  }
  return { ...made, paths }
}

test('the record says of each CAR whether it stays and why; a dry run removes none', async () => {
  const { context, paths, clock } = await exported(3)
  const policy = { last: 2 }
  const plan = await pruneCarsTask(context, { policy, dryRun: true })
  expect(plan).toEqual({
    status: 'planned',
    kept: 2,
    forgotten: 1,
    freed_bytes: plan.cars[2]?.size_bytes,
    cars: paths.map((path, i) => ({
      path,
      ts: new Date(clock.now - i * HOUR).toISOString(),
      size_bytes: expect.any(Number),
      keep: i < 2,
      reasons: i === 2 ? [] : expect.arrayContaining([`last ${i + 1}/2`]),
    })),
  })
  expectPlain(plan)
  expect(await wholeBackups(context)).toEqual(paths)
  expect(await pruneCarsTask(context, { policy })).toEqual({ ...plan, status: 'pruned' })
  expect(await wholeBackups(context)).toEqual(paths.slice(0, 2))
  expect(await pruneCarsTask(context, { policy })).toMatchObject({
    status: 'already_pruned',
    forgotten: 0,
    freed_bytes: 0,
  })
})

test('CARs with less content are a series of their own', async () => {
  const { context, paths } = await exported(2)
  await exportTask(context, { content: 'index' })
  const record = await pruneCarsTask(context, { policy: { last: 1 } })
  expect(record).toMatchObject({ kept: 2, forgotten: 1 })
  expect(await wholeBackups(context)).toHaveLength(2)
  expect(await wholeBackups(context)).toContain(paths[0])
})

test('nothing goes where it is not known what is there', async () => {
  const { context, paths } = await exported(2)
  await expectCode(pruneCarsTask(context, { policy: {} }), 'usage')
  const other = { ...context, dataset: 'other' }
  await expectCode(pruneCarsTask(other, { policy: { last: 1 } }), 'not_found')
  expect(await wholeBackups(context)).toEqual(paths)
  const { sidecar } = pathsBeside(paths[0] ?? '')
  const text = await readFile(sidecar, 'utf8')
  await writeFile(sidecar, text.replace('cairn/car-sidecar@v1', 'cairn/car-sidecar@v9'))
  await expectCode(pruneCarsTask(context, { policy: { last: 1 } }), 'format_unsupported')
  await writeFile(sidecar, text)
  expect(await wholeBackups(context)).toEqual(paths)
})

/** Other bytes in the middle; the size stays. */
async function damage(path = ''): Promise<void> {
  await using file = await open(path, 'r+')
  const { size } = await file.stat()
  await file.write(Buffer.from('dd!!'), 0, 4, size >> 1)
}

/** One more state, exported. */
async function another(
  { context, dataset, clock }: Ground,
  options: ExportTaskOptions = {},
): Promise<string> {
  await dataset.put('late', clock.now)
  clock.now += HOUR
  return (await exportTask(context, options)).path
}

test('a damaged newest CAR pushes no good one out: the newest that holds stays, and it is told of', async () => {
  const { context, paths, notes } = await exported(6)
  await damage(paths[0])
  const policy = { last: 1 }
  const plan = await pruneCarsTask(context, { policy, dryRun: true })
  expect(plan).toMatchObject({ status: 'planned', kept: 1, forgotten: 4 })
  expect(await pruneCarsTask(context, { policy })).toEqual({ ...plan, status: 'pruned' })
  expect(await wholeBackups(context)).toEqual(paths.slice(0, 2))
  const note = `not touched: ${paths[0]}: Its bytes are not those that its sidecar tells of.`
  expect(notes).toEqual([note, note])
})

test('one that cannot be read is damaged as well', async () => {
  const { context, paths } = await exported(3)
  const { car, sidecar } = pathsBeside(paths[0] ?? '')
  const text = await readFile(sidecar, 'utf8')
  const size = JSON.parse(text) as { size_bytes: number }
  // A folder has a size, too.
  await rm(car)
  await mkdir(car)
  await writeFile(sidecar, text.replace(`${size.size_bytes}`, `${(await stat(car)).size}`))
  expect(await pruneCarsTask(context, { policy: { last: 1 } })).toMatchObject({ forgotten: 1 })
  expect((await stat(paths[1] ?? '')).isFile()).toBe(true)
})

test('the base of the newest delta is proved as well', async () => {
  const made = await exported(2)
  const { context, dataset, paths } = made
  const built = await dataset.build()
  const base = await another(made)
  const delta = await another(made, { since: `seq:${built.seq}` })
  await damage(base)
  expect(await pruneCarsTask(context, { policy: { last: 1 } })).toMatchObject({ forgotten: 1 })
  expect(await wholeBackups(context)).toEqual([delta, base, paths[0]])
})

test('where all are damaged none goes', async () => {
  const made = await exported(3)
  const { context, paths } = made
  for (const path of paths) await damage(path)
  expect(await pruneCarsTask(context, { policy: { last: 1 } })).toMatchObject({
    status: 'already_pruned',
    forgotten: 0,
  })
  expect(await wholeBackups(context)).toEqual(paths)
})

test('an export of a delta proves its base before it removes older ones', async () => {
  const made = await exported(2)
  const { context, dataset, paths, notes } = made
  const built = await dataset.build()
  const base = await another(made)
  await damage(base)
  const delta = await another(made, { since: `seq:${built.seq}`, keep: 1 })
  expect(await wholeBackups(context)).toEqual([delta, base, paths[0]])
  expect(notes).toEqual([expect.stringContaining(`not touched: ${base}: `)])
})

test('what an export has just read back is not read again', async () => {
  const made = await exported(2)
  const steps: string[] = []
  const onProgress = ({ step }: { step: string }): void => void steps.push(step)
  await another({ ...made, context: { ...made.context, onProgress } }, { keep: 1 })
  expect(steps).toContain('read back')
  expect(steps).not.toContain('prove')
})

test('aborted while the newest is proved, none goes', async () => {
  const { context, paths } = await exported(3)
  const task = pruneCarsTask(abortingAt(context, 'prove'), { policy: { last: 1 } })
  await expectCode(task, 'aborted')
  expect(await wholeBackups(context)).toEqual(paths)
})

test('aborted between two of them, those that stay are whole', async () => {
  for (let after = 0; after < 3; after++) {
    const { context, paths } = await exported(4)
    // The first look is at the newest, which is proved.
    let looks = 0
    const signal = new Proxy(new AbortController().signal, {
      get: (target, name): unknown =>
        name === 'aborted' ? looks++ > after : Reflect.get(target, name),
    })
    const task = pruneCarsTask({ ...context, signal }, { policy: { last: 1 } })
    await expectCode(task, 'aborted')
    const left = await wholeBackups(context)
    expect(left).toHaveLength(4 - after)
    expect(left[0]).toBe(paths[0])
  }
})
