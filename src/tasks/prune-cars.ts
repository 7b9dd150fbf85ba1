/** Removing the CARs of a dataset that retention rules do not name. */
import { checkAllKnown, readBackups } from '../backup/folder.ts'
import { planAllRetention, type BackupCandidate } from '../backup/retain.ts'
import { CairnError } from '../errors.ts'
import { formatTime } from '../model/time.ts'
import type { Verdict } from '../retention/decide.ts'
import { checkPolicy, type RetentionPolicy } from '../retention/policy.ts'
import type { TaskContext } from './context.ts'
import { removeBackups } from './export.ts'

export interface PruneCarsTaskOptions {
  readonly policy: RetentionPolicy
  /** Say what would go and change nothing. */
  readonly dryRun?: boolean | undefined
}

/** It needs no store, so that it can be done where there is none. */
export type PruneCarsContext = Pick<TaskContext, 'dataset' | 'backupsDir' | 'now' | 'signal'>

export type PruneCarsRecord = Readonly<{
  status: 'pruned' | 'already_pruned' | 'planned'
  kept: number
  forgotten: number
  freed_bytes: number
  cars: readonly PrunedCar[]
}>

export interface PrunedCar {
  readonly path: string
  readonly ts: string | number
  readonly size_bytes: number
  readonly keep: boolean
  readonly reasons: readonly string[]
}

export async function pruneCarsTask(
  context: PruneCarsContext,
  { policy, dryRun }: PruneCarsTaskOptions,
): Promise<PruneCarsRecord> {
  const verdicts = await carVerdicts(context, policy)
  const going = verdicts.flatMap(({ keep, item }) => (keep ? [] : [item.backup]))
  if (dryRun !== true) await removeBackups(context, going)
  const done = going.length === 0 ? 'already_pruned' : 'pruned'
  return {
    status: dryRun === true ? 'planned' : done,
    kept: verdicts.length - going.length,
    forgotten: going.length,
    freed_bytes: going.reduce((sum, { sidecar }) => sum + sidecar.size_bytes, 0),
    cars: verdicts.map(({ item, keep, reasons }) => ({
      path: item.backup.paths.car,
      ts: formatTime(item.ts),
      size_bytes: item.backup.sidecar.size_bytes,
      keep,
      reasons,
    })),
  }
}

async function carVerdicts(
  { dataset, backupsDir, now }: PruneCarsContext,
  policy: RetentionPolicy,
): Promise<Verdict<BackupCandidate>[]> {
  checkPolicy(policy)
  const folder = await readBackups(backupsDir)
  checkAllKnown(folder)
  const { backups } = folder
  const own = backups.filter(({ sidecar }) => sidecar.dataset === dataset)
  if (own.length === 0) {
    throw new CairnError('not_found', `There is no CAR of "${dataset}" in ${backupsDir}.`, {
      hint: 'Name another folder with --backups-dir, or another dataset with -d.',
      path: backupsDir,
    })
  }
  return planAllRetention(backups, policy, now(), dataset)
}
