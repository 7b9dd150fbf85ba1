/**
 * The last step of an export: the CAR gets its name, then the checksum file, and last the sidecar. Each of
 * them is whole and synced before, and none takes the name of another file unless it is to replace it.
 */
import { rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { printCid } from '../model/cid.ts'
import { syncPath } from '../util/durable-file.ts'
import type { Backup } from './folder.ts'
import { cidEndOf, pathsBeside, printCarName, printTimestamp, type BackupPaths } from './name.ts'
import { publish, refuseExisting, writeTemporary } from './publish.ts'
import { printSidecar, printSums, sidecarOf, type CarFacts, type Sidecar } from './sidecar.ts'

/** A CAR that was written and proved, under a name nobody looks for. */
export interface Written {
  readonly temporary: string
  readonly facts: CarFacts
}

const MOST_SECONDS = 60

/** Under the name that says what it is; where that is taken, as if it had been made a second later. */
export async function publishNamed(
  folder: string,
  written: Written,
  now: number,
): Promise<Backup | undefined> {
  const { exported, recipients } = written.facts
  const { dataset, seq } = exported
  const cidEnd = cidEndOf(printCid(exported.checkpoint))
  for (let second = 0; second < MOST_SECONDS; second++) {
    const timestamp = printTimestamp(now + second * 1000)
    const encrypted = recipients.length > 0
    const filename = printCarName({ dataset, seq, timestamp, cidEnd, encrypted })
    const paths = pathsBeside(join(folder, filename))
    const sidecar = sidecarOf(written.facts, { filename, path: paths.car, timestamp })
    const backup = await publishAll(paths, written, sidecar, publish)
    if (backup !== undefined) return backup
  }
  return undefined
}

export async function publishAs(
  paths: BackupPaths,
  written: Written,
  { now, force }: { readonly now: () => number; readonly force: boolean },
): Promise<Backup | undefined> {
  const timestamp = printTimestamp(now())
  const filename = basename(paths.car)
  const sidecar = sidecarOf(written.facts, { filename, path: paths.car, timestamp })
  if (force) return replaceAll(paths, written, sidecar)
  const backup = await publishAll(paths, written, sidecar, publish)
  if (backup === undefined) await refuseExisting(Object.values(paths))
  return backup
}

/** Without its sidecar the old CAR is no backup any more; it stays until the new one takes its name. */
async function replaceAll(
  paths: BackupPaths,
  written: Written,
  sidecar: Sidecar,
): Promise<Backup | undefined> {
  await rm(paths.sidecar, { force: true })
  await rm(paths.sums, { force: true })
  await syncPath(dirname(paths.car))
  return publishAll(paths, written, sidecar, async (from, to) => {
    await rename(from, to)
    return true
  })
}

/** Of a CAR that has its name: what a process that ended too early has not written beside it. */
export async function completeBeside({ paths, sidecar }: Backup): Promise<void> {
  const folder = dirname(paths.car)
  const steps = [
    [paths.sums, printSums(sidecar)],
    [paths.sidecar, printSidecar(sidecar)],
  ] as const
  for (const [path, text] of steps) {
    const temporary = await writeTemporary(folder, basename(path), text)
    try {
      if (await publish(temporary, path)) await syncPath(folder)
    } finally {
      await rm(temporary, { force: true })
    }
  }
}

/** Undefined when a name is taken. */
export async function publishAll(
  paths: BackupPaths,
  { temporary }: Pick<Written, 'temporary'>,
  sidecar: Sidecar,
  give: (temporary: string, final: string) => Promise<boolean>,
): Promise<Backup | undefined> {
  const folder = dirname(paths.car)
  const sums = await writeTemporary(folder, basename(paths.sums), printSums(sidecar))
  const beside = await writeTemporary(folder, basename(paths.sidecar), printSidecar(sidecar))
  const made: string[] = []
  try {
    const steps = [
      [temporary, paths.car],
      [sums, paths.sums],
      [beside, paths.sidecar],
    ] as const
    for (const [from, to] of steps) {
      if (!(await give(from, to))) {
        for (const path of made.toReversed()) await rm(path)
        return undefined
      }
      made.push(to)
      await syncPath(folder)
    }
    return { sidecar, paths }
  } finally {
    await rm(sums, { force: true })
    await rm(beside, { force: true })
  }
}
