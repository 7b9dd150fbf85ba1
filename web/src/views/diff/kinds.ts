/** The kinds of change that are told apart. Pure. */
import type { ChangeRecord } from '../../../../src/client/index.ts'
import { timeOf } from '../../ui/format.ts'

export const KINDS = ['added', 'changed', 'removed', 'expired'] as const
export type Kind = (typeof KINDS)[number]

/** An entity that is gone because its time was over has expired; any other was removed. */
export function kindOf({ change, before }: ChangeRecord, to: number): Kind {
  const exp = before?.exp ?? null
  if (change !== 'removed' || exp === null) return change
  return timeOf(exp) <= to ? 'expired' : 'removed'
}
