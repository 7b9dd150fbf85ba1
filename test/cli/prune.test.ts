import { afterAll, beforeAll, expect, test } from 'vitest'
import { Sandbox } from './sandbox.ts'

let box: Sandbox
beforeAll(async () => {
  box = await Sandbox.make()
  for (let round = 0; round < 4; round++) {
    await box.ok(['put', 'one', '--value', JSON.stringify({ round, text: 'x'.repeat(5000) })])
    await box.ok(['build-snapshot', ...(round === 1 ? ['--tag', 'keep-me'] : [])])
  }
}, 60_000)
afterAll(() => box.remove())

interface Report {
  readonly status: string
  readonly kept: number
  readonly forgotten: number
  readonly freed_blocks: number
  readonly snapshots: { seq: number; keep: boolean; reasons: string[] }[]
}

const json = async (args: string[]): Promise<Report> => JSON.parse(await box.ok(args)) as Report
const seqs = async (): Promise<number[]> =>
  (await box.ok(['snapshots']))
    .trim()
    .split('\n')
    .map((line) => Number(line.split('\t')[0]))

test('an empty policy is refused, and a dry run says what would go and why the rest stays', async () => {
  expect(await box.fails(['prune'])).toMatchObject({ exit: 2, code: 'usage' })
  const plan = await json([
    'prune',
    '--keep-last',
    '1',
    '--keep-tag',
    'keep-me',
    '--dry-run',
    '--json',
  ])
  expect(plan).toMatchObject({ status: 'planned', kept: 2, forgotten: 3, freed_blocks: 0 })
  const kept = plan.snapshots.filter(({ keep }) => keep)
  expect(kept.map(({ seq }) => seq)).toEqual([4, 2])
  expect(kept.map(({ reasons }) => reasons.join())).toEqual([
    'current,newest,last 1/1',
    'tag keep-me',
  ])
  expect(await seqs()).toEqual([4, 3, 2, 1, 0])
})

test('the snapshot of the newest CAR stays; the rest goes, and compacting gives the space back', async () => {
  await box.ok(['rollback', 'seq:3', '--yes'])
  await box.ok(['export-car'])
  await box.ok(['rollback', 'seq:4', '--yes'])
  const plan = await json(['prune', '--keep-last', '1', '--dry-run', '--json'])
  expect(plan.snapshots.find(({ seq }) => seq === 3)?.reasons).toEqual(['exported'])
  const verified = async (): Promise<number> =>
    (JSON.parse(await box.ok(['verify', '--json'])) as { unreachable: number }).unreachable
  const before = await verified()
  const freed = (await json(['prune', '--keep-last', '100', '--json'])).freed_blocks
  expect(freed).toBe(before)
  expect(await verified()).toBe(0)
  const done = await json(['prune', '--keep-last', '1', '--gc', '--json'])
  expect(done).toMatchObject({
    status: 'pruned',
    kept: 2,
    space: { before: expect.any(Number) as number },
  })
  expect(done.freed_blocks).toBeGreaterThan(0)
  expect(await seqs()).toEqual([4, 3])
  expect((await json(['prune', '--keep-last', '1', '--json'])).status).toBe('already_pruned')
  expect(await box.ok(['cat', 'one'])).toContain('"round":3')
  expect(await box.ok(['compact', '--json'])).toContain('"status":"compacted"')
})

test('CARs go by the same rules, and the newest stays', async () => {
  for (let i = 0; i < 3; i++) {
    await box.ok(['put', 'two', '--value', String(i)])
    await box.ok(['export-car'])
  }
  const plan = JSON.parse(
    await box.ok(['prune', '--cars', '--keep-last', '2', '--dry-run', '--json']),
  ) as {
    cars: { path: string; keep: boolean }[]
  }
  expect(plan.cars.map(({ keep }) => keep)).toEqual([true, true, false, false])
  await box.ok(['prune', '--cars', '--keep-last', '2'])
  const left = JSON.parse(await box.ok(['prune', '--cars', '--keep-last', '2', '--json'])) as {
    status: string
    cars: { path: string }[]
  }
  expect(left.status).toBe('already_pruned')
  expect(left.cars.map(({ path }) => path)).toEqual(plan.cars.slice(0, 2).map(({ path }) => path))
  expect(await box.fails(['-d', 'other', 'prune', '--cars', '--keep-last', '2'])).toMatchObject({
    code: 'not_found',
  })
})
