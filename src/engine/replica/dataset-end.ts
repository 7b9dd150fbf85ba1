/** One end of a sync, or of a fail-over: a dataset in an open store. */
import { CairnError } from '../../errors.ts'
import type { Context } from '../context.ts'
import type { Pointer } from '../pointer.ts'

export interface SyncTarget {
  readonly context: Context
  readonly dataset: string
  /** Undefined while the target has no such dataset. */
  readonly pointer: () => Promise<Pointer | undefined>
}

/** The pointer of a dataset that must be there. `hint`: what to try where it is not. */
export async function existing(
  { dataset, context, pointer }: SyncTarget,
  hint: string,
): Promise<Pointer> {
  const open = await pointer()
  if (open !== undefined) return open
  const { location } = context.backend
  const sentence = `The store ${location} has no dataset "${dataset}".`
  throw new CairnError('dataset_not_found', sentence, { hint, dataset })
}
