import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { pathsBeside } from '../../src/backup/name.ts'
import { exportTask } from '../../src/tasks/export.ts'
import { pruneCarsTask } from '../../src/tasks/prune-cars.ts'
import { expectCode, expectPlain, ground, HOUR, wholeBackups, type Ground } from './kit.ts'

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

test('aborted between two of them, those that stay are whole', async () => {
  for (let after = 0; after < 3; after++) {
    const { context, paths } = await exported(4)
    let looks = 0
    const signal = new Proxy(new AbortController().signal, {
      get: (target, name): unknown =>
        name === 'aborted' ? looks++ >= after : Reflect.get(target, name),
    })
    const task = pruneCarsTask({ ...context, signal }, { policy: { last: 1 } })
    await expectCode(task, 'aborted')
    const left = await wholeBackups(context)
    expect(left).toHaveLength(4 - after)
    expect(left[0]).toBe(paths[0])
  }
})
