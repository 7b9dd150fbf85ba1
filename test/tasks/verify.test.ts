import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { verifyTask } from '../../src/tasks/verify.ts'
import { blocksOf, damagedBackend } from '../helpers/damage.ts'
import { forgeBytes } from '../helpers/engine.ts'
import { abortAnywhere, expectCode, expectPlain, failureOf, filesIn, ground } from './kit.ts'

const FULL = { mode: { kind: 'full' } } as const

test('the record says what was proved, and the ledger remembers it', async () => {
  const { context, clock } = await ground()
  const record = await verifyTask(context, FULL)
  expect(record).toEqual({
    status: 'sound',
    dataset: 'main',
    mode: 'full',
    commit: expect.any(Number),
    snapshots: 2,
    proved: expect.any(Number),
    blocks: expect.any(Number),
    bytes: expect.any(Number),
    found: { missing: 0, corrupt: 0, malformed: 0, unknown: 0 },
    unreachable: expect.any(Number),
    problems: [],
    coverage: {
      parts: record.proved,
      never_proved: 0,
      half_within_ms: 0,
      most_within_ms: 0,
      proved_within_ms: 0,
      whole: true,
    },
    ledger: join(
      context.dataDir,
      'ledger',
      (await filesIn(join(context.dataDir, 'ledger')))[0] ?? '',
    ),
    notes: [],
  })
  expectPlain(record)
  clock.now += 5000
  const quick = await verifyTask(context, { mode: { kind: 'quick' } })
  expect(quick).toMatchObject({ mode: 'quick', unreachable: null })
  expect(quick.coverage.proved_within_ms).toBe(5000)
})

test('parts of a dataset by share and by time', async () => {
  const { context } = await ground()
  const sample = await verifyTask(context, { mode: { kind: 'sample', fraction: 0.2 } })
  expect(sample).toMatchObject({ status: 'sound', mode: 'sample' })
  expect(sample.coverage.never_proved).toBeGreaterThan(0)
  const budget = await verifyTask(context, { mode: { kind: 'budget', ms: 60_000 } })
  expect(budget).toMatchObject({ mode: 'budget', coverage: { never_proved: 0 } })
})

test.each(['damaged', 'incomplete'] as const)(
  'a store that is %s makes it fail, with the whole record',
  async (status) => {
    const backend = damagedBackend(openMemory())
    const { context } = await ground(backend)
    const { leaves } = await blocksOf(backend)
    if (status === 'damaged') backend.flip(leaves[0])
    else backend.lose(leaves[0])
    const { code, record, hint } = await failureOf(verifyTask(context, FULL))
    expect(code).toBe(status === 'damaged' ? 'damage_found' : 'blocks_missing')
    expect(hint).toContain('cairn repair')
    expect(record).toMatchObject({
      status,
      problems: [{ kind: 'leaf', state: status === 'damaged' ? 'corrupt' : 'missing' }],
      unreachable: null,
    })
    expectPlain(record)
    backend.mend()
    expect((await verifyTask(context, FULL)).status).toBe('sound')
  },
)

test('a dataset whose newest commit is damaged cannot be opened, and still gets its record', async () => {
  const { context } = await ground()
  await forgeBytes(context.backend, Buffer.from('{}'))
  const { record } = await failureOf(verifyTask(context, FULL))
  expect(record).toMatchObject({ status: 'damaged', commit: null, problems: [{ cid: null }] })
})

test('what keeps it from being done is told as that', async () => {
  const { context } = await ground()
  await expectCode(verifyTask({ ...context, dataset: 'other' }, FULL), 'dataset_not_found')
  await mkdir(context.dataDir)
  await writeFile(join(context.dataDir, 'ledger'), 'in the way')
  await expectCode(verifyTask(context, FULL), 'usage')
})

test('aborted anywhere, it leaves no ledger that is half', async () => {
  const aborts = await abortAnywhere(
    ground,
    (context) => verifyTask(context, FULL),
    async ({ context }) => {
      const files = await filesIn(join(context.dataDir, 'ledger'))
      expect(files.filter((name) => !name.endsWith('.ndjson'))).toEqual([])
      expect(await context.backend.leases()).toEqual([])
      expect(await verifyTask(context, FULL)).toMatchObject({ status: 'sound', notes: [] })
    },
  )
  expect(aborts).toBeGreaterThan(5)
})
