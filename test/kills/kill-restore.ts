/** Killing a restore of a large dataset in the place of a small one, beside two that are not its business. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openMemory } from '../../src/backend/memory.ts'
import { openCars } from '../../src/backup/open-cars.ts'
import { exportToFolder } from '../../src/backup/write-car.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Backend } from '../../src/store/backend.ts'
import type { Ground } from './ground.ts'
import { compareAcks, compareWhole, readWhole, type Ack, type Whole } from './look.ts'
import { fill, type Amounts, type Model } from './material.ts'
import { sameState, verified, withBackend, type Operation } from './operation.ts'

interface BeforeRestore {
  readonly main: Model
  readonly other: Model
  readonly otherCommit: number
}

export async function restoreOperation(
  amounts: Amounts,
  small: Amounts,
): Promise<Operation<BeforeRestore>> {
  const folder = await mkdtemp(join(tmpdir(), 'cairn-kills-car-'))
  const { car, source } = await madeCar(folder, amounts)
  return {
    name: 'restore',
    first: 'put',
    append: { dataset: 'beside', buildEvery: 20, pauseMs: 5 },
    fill: async (backend) => {
      const cairn = new Cairn(backend)
      await cairn.init('beside', {})
      const main = await fill(cairn, backend, 'main', small)
      const other = await fill(cairn, backend, 'other', small)
      return { main, other, otherCommit: (await readWhole(backend, 'other')).commit }
    },
    options: () => ({ car }),
    check: (ground, before, acks) =>
      withBackend(ground, async (backend) => [
        ...(await othersUntouched(backend, before, acks, ground)),
        ...(await oldOrNew(backend, before.main, source, ground)),
        ...(await restoredAgain(backend, car, source, ground)),
        ...(await othersUntouched(backend, before, acks, ground)),
      ]),
    dispose: () => rm(folder, { recursive: true, force: true }),
  }
}

async function madeCar(folder: string, amounts: Amounts): Promise<{ car: string; source: Whole }> {
  const backend = openMemory()
  const cairn = new Cairn(backend)
  await fill(cairn, backend, 'main', amounts)
  const form = { version: 1 as const, recipients: [], force: false, now: Date.now }
  const { backup } = await exportToFolder(await cairn.dataset('main'), folder, form)
  const source = await readWhole(backend, 'main')
  await cairn.close()
  return { car: backup.paths.car, source }
}

async function othersUntouched(
  backend: Backend,
  { other, otherCommit }: BeforeRestore,
  acks: readonly Ack[],
  ground: Ground,
): Promise<string[]> {
  const whole = await readWhole(backend, 'other')
  const beside = await readWhole(backend, 'beside')
  const problems = [
    ...compareWhole(whole, other, [...other.snapshots.keys()]),
    ...compareAcks(beside.current, acks),
    ...(await verified(backend, 'other', ground)),
    ...(await verified(backend, 'beside', ground)),
  ]
  if (whole.commit !== otherCommit) problems.push(`"other" has commit ${whole.commit}`)
  return problems
}

async function oldOrNew(
  backend: Backend,
  old: Model,
  source: Whole,
  ground: Ground,
): Promise<string[]> {
  const whole = await readWhole(backend, 'main')
  const isNew = whole.root === source.root
  const problems = isNew
    ? sameState(whole, source)
    : compareWhole(whole, old, [...old.snapshots.keys()])
  return [...problems, ...(await verified(backend, 'main', ground))]
}

async function restoredAgain(
  backend: Backend,
  car: string,
  source: Whole,
  ground: Ground,
): Promise<string[]> {
  const cairn = new Cairn(backend)
  const opened = await openCars([car])
  try {
    await cairn.restoreCar(opened.cars, { replace: true })
  } finally {
    await opened.close()
  }
  const problems = sameState(await readWhole(backend, 'main'), source)
  const dataset = await cairn.dataset('main')
  const { tip } = await dataset.put('after', { after: 'the restore' })
  const found = await dataset.get('after')
  if (found?.tip === undefined || found.tip === null || Buffer.compare(found.tip, tip) !== 0)
    problems.push('what was appended after the restore is not there')
  return [...problems, ...(await verified(backend, 'main', ground))]
}
