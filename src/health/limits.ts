/** What counts as healthy, from the settings. */
import { NEVER, parseSchedule, parseTimeZone } from '../automation/cron.ts'
import { SETTINGS, type SettingName, type Values } from '../config/schema.ts'

export interface HealthLimits {
  /** Undefined: by the chain limit of the dataset. */
  readonly alertThreshold: number | undefined
  readonly emergencyThreshold: number | undefined
  readonly maxSnapshotAgeMs: number
  /** Undefined: by the time between exports. */
  readonly maxCarAgeMs: number | undefined
  /** The longest time between two scheduled exports; undefined where none are scheduled. */
  readonly exportEveryMs: number | undefined
  /** Of the newest copy elsewhere, while it lacks entries. */
  readonly maxOffsiteAgeMs: number
  readonly maxDrillAgeMs: number
  /** 0: no limit. */
  readonly maxBackupsBytes: number
  /** What is acknowledged must survive a power cut. */
  readonly requireSync: boolean
}

/** Where each setting comes from, as far as that is known. */
export type Origins = Readonly<Partial<Record<SettingName, string>>>

type Followed = 'alert_threshold' | 'emergency_threshold' | 'max_car_age'

/** A default gives way to what the dataset or the schedule says. */
export function healthLimits(
  values: Values,
  origins: Origins | undefined,
  now: number,
): HealthLimits {
  const given = (name: Followed): number | undefined => {
    const isDefault =
      origins === undefined
        ? values[name] === SETTINGS[name].fallback(values)
        : origins[name] === 'default'
    return isDefault ? undefined : values[name]
  }
  return {
    alertThreshold: given('alert_threshold'),
    emergencyThreshold: given('emergency_threshold'),
    maxSnapshotAgeMs: values.max_snapshot_age,
    maxCarAgeMs: given('max_car_age'),
    exportEveryMs: longestGap(values, now),
    maxOffsiteAgeMs: values.max_offsite_age,
    maxDrillAgeMs: values.max_drill_age,
    maxBackupsBytes: values.max_backups_bytes,
    requireSync: values.require_sync === 'yes',
  }
}

/** A schedule may be uneven, such as one for workdays. */
const LOOKED_AHEAD = 12

function longestGap({ export_schedule, time_zone }: Values, now: number): number | undefined {
  if (export_schedule.trim() === NEVER) return undefined
  const schedule = parseSchedule(export_schedule, parseTimeZone(time_zone), 'export_schedule')
  let longest: number | undefined
  let last = schedule?.next(now) ?? null
  for (let i = 0; i < LOOKED_AHEAD && last !== null; i++) {
    const next: number | null = schedule?.next(last) ?? null
    if (next !== null) longest = Math.max(longest ?? 0, next - last)
    last = next
  }
  return longest
}
