/** Restoring a dataset from CARs: from one, or from a base and its deltas. */
import { openCars } from '../backup/open-cars.ts'
import { cidCounts, type Sidecar } from '../backup/sidecar.ts'
import { factsOf, findCarState, type OpenCar } from '../car/state.ts'
import type { RestoredCar } from '../engine/restore-car.ts'
import { CairnError } from '../errors.ts'
import { printCid } from '../model/cid.ts'
import { formatTime } from '../model/time.ts'
import { longOptions, type TaskContext } from './context.ts'

export interface RestoreOptions {
  /** Into this dataset instead of the one that the CARs name. */
  readonly as?: string | undefined
  /** Put it in the place of what the dataset holds now. */
  readonly replace?: boolean | undefined
  /** Of several states in the CARs this one: `seq:7`, a CID. */
  readonly at?: string | undefined
  /** Prove everything and change nothing. */
  readonly dryRun?: boolean | undefined
}

export interface RestoreTaskOptions extends RestoreOptions {
  /** Paths of the CARs, in any order. */
  readonly files: readonly string[]
  /** Secret keys of age. */
  readonly identities?: readonly string[] | undefined
}

export type RestoreRecord = Readonly<{
  status: RestoredCar['status']
  dataset: string
  snapshot: string
  root: string
  seq: number
  snapshot_ts: string | number
  recent_count: number
  total_count: number
  /** Null where nothing was changed, as is `undo`: the number of the commit before. */
  generation: number | null
  undo: number | null
  cid_counts: Sidecar['cid_counts']
}>

/** Without `as` the CARs must be of the context's dataset, or name none. */
export async function restoreTask(
  context: TaskContext,
  { files, identities, ...options }: RestoreTaskOptions,
): Promise<RestoreRecord> {
  const opened = await openCars(files, { ...longOptions(context), identities })
  try {
    const as = targetOf(opened.cars, options, context.dataset)
    return await restoreOpened(context, opened.cars, { ...options, as })
  } finally {
    await opened.close()
  }
}

/** From CARs that are open, into `as` or the dataset that they name, whichever that is. */
export async function restoreOpened(
  context: Pick<TaskContext, 'cairn' | 'signal' | 'onProgress'>,
  cars: readonly OpenCar[],
  { as, replace, at, dryRun }: RestoreOptions,
): Promise<RestoreRecord> {
  const options = { ...longOptions(context), as, replace, at, dryRun }
  return recordOf(await context.cairn.restoreCar(cars, options))
}

/** The name to restore under: any that `as` says, else only the one that the CARs name. */
export function targetOf(
  cars: readonly OpenCar[],
  { as, at }: Pick<RestoreOptions, 'as' | 'at'>,
  asked: string,
): string | undefined {
  if (as !== undefined) return as
  const { dataset: named } = factsOf(findCarState(cars, at))
  // A snapshot that other tools have exported names no dataset.
  if (named === undefined) return asked
  if (named === asked) return undefined
  throw new CairnError('usage', `The CAR holds the dataset "${named}", not "${asked}".`, {
    hint: `To restore it under the other name add --as ${asked}; else -d ${named}.`,
  })
}

function recordOf(report: RestoredCar): RestoreRecord {
  return {
    status: report.status,
    dataset: report.dataset,
    snapshot: printCid(report.snapshot),
    root: printCid(report.root),
    seq: report.seq,
    snapshot_ts: formatTime(report.snapshotTs),
    recent_count: report.recentCount,
    total_count: report.totalCount,
    generation: report.status === 'planned' ? null : report.generation,
    undo: report.undo,
    cid_counts: cidCounts(report.counts),
  }
}
