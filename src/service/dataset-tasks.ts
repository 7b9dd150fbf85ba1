/** Running tasks as jobs of the service: what the API, the automation's end and the shutdown ask for. */
import type { JobKind, JobRun } from '../jobs/job.ts'
import type { Started } from '../jobs/jobs.ts'
import { buildTask, type BuildTaskOptions } from '../tasks/build.ts'
import type { TaskContext, TaskResult } from '../tasks/context.ts'
import { drillTask, type DrillTaskOptions } from '../tasks/drill.ts'
import { exportTask, type ExportTaskOptions } from '../tasks/export.ts'
import { pruneCarsTask, type PruneCarsTaskOptions } from '../tasks/prune-cars.ts'
import { pruneTask, type PruneTaskOptions } from '../tasks/prune.ts'
import { restoreTask, type RestoreTaskOptions } from '../tasks/restore.ts'
import { verifyTask, type VerifyTaskOptions } from '../tasks/verify.ts'
import type { Service } from './service.ts'

export interface JobOptions {
  readonly build: BuildTaskOptions
  readonly export: ExportTaskOptions
  readonly restore: RestoreTaskOptions
  readonly prune: PruneTaskOptions
  readonly 'prune-cars': PruneCarsTaskOptions
  readonly verify: VerifyTaskOptions
  readonly drill: DrillTaskOptions
}

type Tasks = {
  readonly [K in JobKind]: (context: TaskContext, options: JobOptions[K]) => Promise<TaskResult>
}

const TASKS: Tasks = {
  build: buildTask,
  export: exportTask,
  restore: restoreTask,
  prune: pruneTask,
  'prune-cars': pruneCarsTask,
  verify: verifyTask,
  drill: drillTask,
}

export interface RunJobOptions {
  /** Behind one that runs already, which does not cover what came since it began. */
  readonly follow?: boolean
  readonly urgent?: boolean
}

export type TaskService = Pick<Service, 'cairn' | 'backend' | 'jobs' | 'values' | 'log' | 'now'>

/** Starts a job, or joins the one of the kind that is there. The reason of a build stands in its snapshot. */
export function runJob<K extends JobKind>(
  service: TaskService,
  dataset: string,
  kind: K,
  options: JobOptions[K],
  reason: string,
  how: RunJobOptions = {},
): Started {
  const work = (run: JobRun): Promise<TaskResult> => {
    const given = kind === 'build' ? { ...options, reason: run.reason } : options
    return TASKS[kind](taskContext(service, dataset, run), given)
  }
  return service.jobs.start({ dataset, kind, reason, work, ...how })
}

/** What a task over `dataset` is given, with the settings as they are now. */
export function taskContext(
  { cairn, backend, values, log, now }: TaskService,
  dataset: string,
  { signal, onProgress }: Pick<JobRun, 'signal' | 'onProgress'>,
): TaskContext {
  const { data_dir: dataDir, backups_dir: backupsDir } = values()
  return { cairn, backend, dataset, dataDir, backupsDir, now, log, signal, onProgress }
}
