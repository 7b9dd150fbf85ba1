/** How commands run tasks. */
import { TaskFailure, type TaskContext, type TaskResult } from '../tasks/context.ts'
import { longOptions, withStore, type CommandContext } from './command.ts'

/** What a task is given besides the store. */
export function taskBase(context: CommandContext): Omit<TaskContext, 'cairn' | 'backend'> {
  const { config, output, log } = context
  const { dataset, data_dir, backups_dir } = config.values
  return {
    ...longOptions(context),
    dataset,
    dataDir: data_dir,
    backupsDir: backups_dir,
    now: Date.now,
    log,
    onNote: (text) => output.note(text),
  }
}

/** With the configured store, which must exist. */
export function withTask<T>(
  context: CommandContext,
  use: (task: TaskContext) => Promise<T>,
): Promise<T> {
  return withStore(context, false, (cairn, backend) =>
    use({ ...taskBase(context), cairn, backend }),
  )
}

/** Prints the record of a task, also of one that failed by what came of it. */
export async function printRecord<R extends TaskResult>(
  task: Promise<R>,
  print: (record: R) => Promise<void>,
): Promise<void> {
  let record: R
  try {
    record = await task
  } catch (error) {
    if (error instanceof TaskFailure) await print(error.record as R)
    throw error
  }
  await print(record)
}
