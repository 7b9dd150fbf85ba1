/**
 * Cron: at which moments a schedule comes round. The only file that knows the library for it.
 *
 * A moment that the clocks jump over in spring comes at the first one after the gap; one that they pass
 * twice in autumn comes once. (Schedules with several hours or a step skip the gap and run twice.)
 */
import { Cron } from 'croner'
import { CairnError } from '../errors.ts'

export interface Schedule {
  /** As it was given, with its time zone: what tells two schedules apart. */
  readonly cron: string
  readonly timeZone: string
  /** The first moment after `after`; null where there is none. */
  readonly next: (after: number) => number | null
  /** The last moment before `before`; null where there is none. */
  readonly previous: (before: number) => number | null
}

export const NEVER = 'never'

const FIVE_FIELDS = /^(\S+\s+){4}\S+$/
const NICKNAME = /^@[a-z]+$/

/** Undefined for `never`. */
export function parseSchedule(
  text: string,
  timeZone: string,
  setting: string,
): Schedule | undefined {
  const cron = text.trim()
  if (cron === NEVER) return undefined
  if (!FIVE_FIELDS.test(cron) && !NICKNAME.test(cron))
    throw refused(setting, text, 'it needs five fields')
  const schedule = scheduleOf(cron, timeZone, setting)
  if (schedule.next(0) === null) throw refused(setting, text, 'that day never comes')
  return schedule
}

function scheduleOf(cron: string, timeZone: string, setting: string): Schedule {
  let job: Cron
  try {
    job = new Cron(cron, { timezone: timeZone, mode: '5-part', paused: true })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.replace(/^CronPattern: /, '') : 'unreadable'
    throw refused(setting, cron, why.replace(/\.$/, ''), cause)
  }
  return {
    cron,
    timeZone,
    next: (after) => job.nextRun(new Date(after))?.getTime() ?? null,
    previous: (before) => job.previousRuns(1, new Date(before))[0]?.getTime() ?? null,
  }
}

export function parseTimeZone(text: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone
  } catch (cause) {
    throw new CairnError('config', `There is no time zone "${text.slice(0, 100)}".`, {
      hint: 'Set time_zone to a name such as UTC or Europe/Berlin.',
      setting: 'time_zone',
      cause,
    })
  }
}

function refused(setting: string, text: string, why: string, cause?: unknown): CairnError {
  return new CairnError(
    'config',
    `The setting ${setting} cannot be "${text.slice(0, 100)}": ${why}.`,
    {
      hint: 'Give minute, hour, day, month and weekday, such as "0 2 * * *", or "never".',
      setting,
      cause,
    },
  )
}
