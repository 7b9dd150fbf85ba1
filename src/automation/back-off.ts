/**
 * Back-off: how long a kind of job waits after it failed. Twice as long after each failure up to a cap,
 * the last half of it at random, so that many datasets do not come back at once.
 */
import { ERROR_CODES } from '../errors.ts'
import type { JobKind } from '../jobs/job.ts'

interface Pace {
  readonly firstMs: number
  readonly capMs: number
}

const MINUTE = 60_000
const OFTEN: Pace = { firstMs: 5_000, capMs: 5 * MINUTE }
const SELDOM: Pace = { firstMs: MINUTE, capMs: 60 * MINUTE }
const RARELY: Pace = { firstMs: 5 * MINUTE, capMs: 360 * MINUTE }

export const PACES: Readonly<Record<JobKind, Pace>> = {
  build: OFTEN,
  export: SELDOM,
  restore: SELDOM,
  prune: SELDOM,
  'prune-cars': SELDOM,
  verify: RARELY,
  drill: RARELY,
}

/** What an emergency waits after a failure, whatever the back-off says. */
export const EMERGENCY_PAUSE_MS = 5_000
const CONFLICT_PAUSE_MS = 1_000
/** How often a hook that fails is tried again at one moment of a schedule. */
const HOOK_RETRIES = 5

/** From half of the whole delay up to all of it. `random` is from 0 up to 1. */
export function failedHold(kind: JobKind, failures: number, random: number): number {
  const { firstMs, capMs } = PACES[kind]
  const whole = Math.min(capMs, firstMs * 2 ** Math.min(failures - 1, 30))
  return Math.round(whole / 2 + (whole / 2) * random)
}

/** After what was no failure of the job itself: a cancel, a lost race. */
export function pauseOf(kind: JobKind, code?: string): number {
  return code === 'conflict' ? CONFLICT_PAUSE_MS : PACES[kind].firstMs
}

/** Whether the moment of a schedule is still to be made good; otherwise the next one is waited for. */
export function isWorthRetrying(code: string, failures: number): boolean {
  if (code === 'hook_failed') return failures <= HOOK_RETRIES
  const exit = code in ERROR_CODES ? ERROR_CODES[code as keyof typeof ERROR_CODES].exit : 1
  // Damage, what is missing, and settings that are wrong stay so.
  return exit !== 2 && exit !== 4 && exit !== 5
}
