/**
 * What every task is given, and what it leaves. A task is something long that is done to one dataset: the
 * command line, cron and the service all run these, and tell of it by the same record.
 */
import type { Cairn } from '../cairn.ts'
import type { LongOptions } from '../engine/context.ts'
import type { Logger } from '../engine/logger.ts'
import { CairnError } from '../errors.ts'
import type { Backend } from '../store/backend.ts'

export interface TaskContext extends LongOptions {
  readonly cairn: Cairn
  /** The same store, for what has to work where a dataset cannot be opened. */
  readonly backend: Backend
  readonly dataset: string
  /** The ledger is in its folder `ledger`. */
  readonly dataDir: string
  readonly backupsDir: string
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly log: Logger
  /** Told what people may want to know and the record does not say; the log unless given. */
  readonly onNote?: ((text: string) => void) | undefined
}

/** Plain JSON: what `--json` prints. */
export type TaskResult = Readonly<Record<string, unknown>>

/** How a task ends that did its work and failed by what came of it: its record is complete. */
export class TaskFailure extends CairnError {
  readonly record: TaskResult

  constructor({ code, message, hint, details, cause }: CairnError, record: TaskResult) {
    super(code, message, { ...details, ...(hint === undefined ? {} : { hint }), cause })
    this.record = record
  }
}

export function longOptions({ signal, onProgress }: LongOptions): LongOptions {
  return { signal, onProgress }
}

export function note(
  { dataset, log, onNote }: Pick<TaskContext, 'dataset' | 'log' | 'onNote'>,
  text: string,
): void {
  if (onNote === undefined) log.info('task.note', { dataset, message: text })
  else onNote(text)
}
