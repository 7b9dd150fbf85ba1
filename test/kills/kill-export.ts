/** Killing an export into a folder of backups, while others append. */
import { createHash } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openMemory } from '../../src/backend/memory.ts'
import { readBackups } from '../../src/backup/folder.ts'
import { isUnfinishedName, pathsBeside } from '../../src/backup/name.ts'
import { openCars } from '../../src/backup/open-cars.ts'
import { parseSidecar } from '../../src/backup/sidecar.ts'
import { exportToFolder } from '../../src/backup/write-car.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Backend } from '../../src/store/backend.ts'
import type { Ground } from './ground.ts'
import { compareAcks, compareWhole, readWhole, type Whole } from './look.ts'
import { fill, type Amounts, type Model } from './material.ts'
import { sameState, verified, withBackend, type Operation } from './operation.ts'

const backupsOf = ({ folder }: Ground): string => join(folder, 'backups')

export function exportOperation(amounts: Amounts): Operation<Model> {
  return {
    name: 'export',
    first: 'write',
    append: { dataset: 'main', buildEvery: 0, pauseMs: 5 },
    fill: (backend) => fill(new Cairn(backend), backend, 'main', amounts),
    options: (ground) => ({ folder: backupsOf(ground) }),
    check: (ground, model, acks) =>
      withBackend(ground, async (backend) => {
        const whole = await readWhole(backend, 'main')
        return [
          ...compareWhole(whole, model, [...model.snapshots.keys()]),
          ...compareAcks(whole.current, acks),
          ...(await verified(backend, 'main', ground)),
          ...(await halfFiles(backupsOf(ground))),
          ...(await exportedAgain(backend, ground, whole)),
        ]
      }),
    dispose: () => Promise.resolve(),
  }
}

/** Whatever has a final name is whole: a CAR restores, a checksum file and a sidecar are of their CAR. */
async function halfFiles(folder: string): Promise<string[]> {
  const problems: string[] = []
  const names = (await readdir(folder)).filter((name) => !isUnfinishedName(name))
  for (const name of names) {
    const path = join(folder, name)
    try {
      if (name.endsWith('.car')) await restoredToMemory(path)
      else await checkBeside(path)
    } catch (error) {
      problems.push(`${name} is half: ${String(error)}`)
    }
  }
  const { damaged } = await readBackups(folder)
  return [...problems, ...damaged.map(({ path, reason }) => `${path}: ${reason}`)]
}

async function checkBeside(path: string): Promise<void> {
  const car = path.replace(/\.(json|sha256)$/, '.car')
  const sha256 = createHash('sha256')
    .update(await readFile(car))
    .digest('hex')
  const text = await readFile(path, 'utf8')
  const said = path === pathsBeside(car).sidecar ? parseSidecar(text).sha256 : text.split(' ')[0]
  if (said !== sha256) throw new Error(`it says ${String(said)} of a file with ${sha256}`)
}

async function restoredToMemory(path: string): Promise<Whole> {
  const backend = openMemory()
  const opened = await openCars([path])
  try {
    await new Cairn(backend).restoreCar(opened.cars)
    return await readWhole(backend, 'main')
  } finally {
    await opened.close()
    await backend.close()
  }
}

async function exportedAgain(backend: Backend, ground: Ground, whole: Whole): Promise<string[]> {
  const folder = backupsOf(ground)
  const dataset = await new Cairn(backend).dataset('main')
  const form = { version: 1 as const, recipients: [], force: false, now: Date.now }
  const { backup } = await exportToFolder(dataset, folder, form)
  const { backups } = await readBackups(folder)
  if (backups[0]?.paths.car !== backup.paths.car) return ['the second export is not the newest']
  return sameState(await restoredToMemory(backup.paths.car), whole)
}
