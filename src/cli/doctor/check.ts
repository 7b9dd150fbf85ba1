/** A check of the doctor, and its result. */
import { toCairnError } from '../../errors.ts'

type CheckStatus = 'ok' | 'warning' | 'failed' | 'skipped'

export interface CheckResult {
  readonly name: string
  readonly status: CheckStatus
  /** A sentence or a value, for people. */
  readonly message: string
  readonly hint?: string | undefined
}

export type Report = (result: CheckResult) => Promise<void>

export const ok = (name: string, message: string): CheckResult => ({ name, status: 'ok', message })

export const skipped = (name: string, message: string): CheckResult => ({
  name,
  status: 'skipped',
  message,
})

export function warning(name: string, message: string, hint: string): CheckResult {
  return { name, status: 'warning', message, hint }
}

export function failed(name: string, message: string, hint: string): CheckResult {
  return { name, status: 'failed', message, hint }
}

export function failedWith(name: string, thrown: unknown): CheckResult {
  const { message, hint } = toCairnError(thrown)
  return { name, status: 'failed', message, hint }
}
