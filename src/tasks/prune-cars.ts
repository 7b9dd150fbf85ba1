/** Removing the CARs of a dataset that retention rules do not name. */
import { flawOf } from '../backup/flaw.ts'
import { checkAllKnown, readBackups } from '../backup/folder.ts'
import { proveRetention, type ProvedRetention } from '../backup/prove-retention.ts'
import { planAllRetention } from '../backup/retain.ts'
import { CairnError } from '../errors.ts'
import { formatTime } from '../model/time.ts'
import { checkPolicy, type RetentionPolicy } from '../retention/policy.ts'
import { longOptions, type TaskContext } from './context.ts'
import { noteUntouched, removeBackups } from './export.ts'

export interface PruneCarsTaskOptions {
  readonly policy: RetentionPolicy
  /** Say what would go and change nothing. */
  readonly dryRun?: boolean | undefined
}

/** It needs no store, so that it can be done where there is none. */
export type PruneCarsContext = Omit<TaskContext, 'cairn' | 'backend' | 'dataDir'>

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
  context: PruneCarsContext,
  policy: RetentionPolicy,
): Promise<ProvedRetention['verdicts']> {
  checkPolicy(policy)
  const { dataset, backupsDir, now } = context
  const folder = await readBackups(backupsDir)
  checkAllKnown(folder)
  noteUntouched(context, folder)
  if (!folder.backups.some(({ sidecar }) => sidecar.dataset === dataset)) {
    throw new CairnError('not_found', `There is no CAR of "${dataset}" in ${backupsDir}.`, {
      hint: 'Name another folder with --backups-dir, or another dataset with -d.',
      path: backupsDir,
    })
  }
  const { verdicts, damaged } = await proveRetention(folder.backups, {
    plan: (backups) => planAllRetention(backups, policy, now(), dataset),
    flawOf: (one) => flawOf(one, longOptions(context)),
  })
  noteUntouched(context, { unfinished: [], damaged })
  return verdicts
}
