/**
 * Policy: what the settings ask for, parsed and checked. Which thresholds hold for a dataset depends on
 * its own chain limit, so they are made for each.
 */
import { SETTINGS, type Values } from '../config/schema.ts'
import { CairnError, toCairnError } from '../errors.ts'
import type { RetentionPolicy } from '../retention/policy.ts'
import { offsiteOf, type OffsiteExport } from '../tasks/offsite.ts'
import { parseRetention } from '../tasks/retention.ts'
import { NEVER, parseSchedule, parseTimeZone, type Schedule } from './cron.ts'

/** What runs by a schedule; CARs are pruned when snapshots are. */
export const SCHEDULED = ['build', 'export', 'prune', 'prune-cars', 'verify', 'drill'] as const
export type ScheduledKind = (typeof SCHEDULED)[number]

export interface SaveRule {
  readonly afterMs: number
  readonly entries: number
}

export interface AutomationPolicy {
  /** 0: no saving by the clock alone. */
  readonly saveIntervalMs: number
  readonly saveRules: readonly SaveRule[]
  /** 0: none. */
  readonly maxLagMs: number
  readonly timeZone: string
  readonly schedules: Readonly<Partial<Record<ScheduledKind, Schedule>>>
  readonly verifyBudgetMs: number
  readonly keepSnapshots: RetentionPolicy | undefined
  readonly keepCars: RetentionPolicy | undefined
  readonly afterExport: string | undefined
  readonly offsite: OffsiteExport | undefined
  readonly thresholds: ThresholdSettings
}

interface ThresholdSettings {
  readonly rebuild: ThresholdSetting
  readonly alert: ThresholdSetting
  readonly emergency: ThresholdSetting
}

interface ThresholdSetting {
  readonly value: number
  /** It is what its default would be, and so follows the limit of each dataset. */
  readonly follows: boolean
}

export interface Thresholds {
  readonly rebuild: number
  readonly alert: number
  readonly emergency: number
}

const SETTING_OF = {
  build: 'build_schedule',
  export: 'export_schedule',
  prune: 'prune_schedule',
  'prune-cars': 'prune_schedule',
  verify: 'verify_schedule',
  drill: 'drill_schedule',
} as const satisfies Record<ScheduledKind, keyof Values>

const MAX_RULES = 32
const MAX_RULE_SECONDS = 31_622_400
const MAX_RULE_ENTRIES = 10_000_000

export function policyOf(values: Values): AutomationPolicy {
  const timeZone = parseTimeZone(values.time_zone)
  const keepSnapshots = retention(values, 'keep_snapshots')
  const keepCars = retention(values, 'keep_cars')
  return {
    saveIntervalMs: values.save_interval * 1000,
    saveRules: parseSaveRules(values.save_rules),
    maxLagMs: values.max_lag,
    timeZone,
    schedules: schedulesOf(values, timeZone, {
      prune: keepSnapshots !== undefined,
      'prune-cars': keepCars !== undefined,
    }),
    verifyBudgetMs: values.verify_budget,
    keepSnapshots,
    keepCars,
    afterExport: values.after_export ?? undefined,
    offsite: offsite(values),
    thresholds: {
      rebuild: thresholdSetting(values, 'rebuild_threshold'),
      alert: thresholdSetting(values, 'alert_threshold'),
      emergency: thresholdSetting(values, 'emergency_threshold'),
    },
  }
}

/** Those that are not switched off, by `never` or because there is nothing for them to do. */
function schedulesOf(
  values: Values,
  timeZone: string,
  hasRules: Readonly<Partial<Record<ScheduledKind, boolean>>>,
): AutomationPolicy['schedules'] {
  const schedules: Partial<Record<ScheduledKind, Schedule>> = {}
  for (const kind of SCHEDULED) {
    const setting = SETTING_OF[kind]
    const schedule = parseSchedule(values[setting], timeZone, setting)
    if (schedule !== undefined && hasRules[kind] !== false) schedules[kind] = schedule
  }
  return schedules
}

function offsite(values: Values): OffsiteExport | undefined {
  retention(values, 'keep_offsite')
  return offsiteOf(values)
}

/** As `parseRetention`, and says which setting it is that cannot be kept to. */
function retention(
  values: Values,
  setting: 'keep_snapshots' | 'keep_cars' | 'keep_offsite',
): RetentionPolicy | undefined {
  try {
    return parseRetention(values[setting])
  } catch (cause) {
    const { message, hint = 'See `cairn prune --help`.' } = toCairnError(cause)
    throw new CairnError('config', `The setting ${setting} cannot be kept to: ${message}`, {
      hint,
      setting,
      cause,
    })
  }
}

type ThresholdName = 'rebuild_threshold' | 'alert_threshold' | 'emergency_threshold'

function thresholdSetting(values: Values, name: ThresholdName): ThresholdSetting {
  const value = values[name]
  return { value, follows: value === SETTINGS[name].fallback(values) }
}

/** The thresholds of a dataset with this limit, in their order: rebuild < alert < emergency <= limit. */
export function thresholdsOf(
  { thresholds }: Pick<AutomationPolicy, 'thresholds'>,
  chainLimit: number,
  dataset: string,
): Thresholds {
  const { rebuild, alert, emergency } = thresholds
  const own = defaultThresholds(chainLimit)
  if (rebuild.follows && alert.follows && emergency.follows) return own
  const set = {
    rebuild: rebuild.follows ? own.rebuild : rebuild.value,
    alert: alert.follows ? own.alert : alert.value,
    emergency: emergency.follows ? own.emergency : emergency.value,
  }
  if (set.rebuild < set.alert && set.alert < set.emergency && set.emergency <= chainLimit)
    return set
  throw new CairnError(
    'config',
    `The thresholds do not fit the dataset "${dataset}": rebuild ${set.rebuild}, alert ${set.alert}, emergency ${set.emergency}, chain limit ${chainLimit}.`,
    {
      hint: 'It must be: rebuild_threshold < alert_threshold < emergency_threshold <= the chain limit.',
      dataset,
      ...set,
      chain_limit: chainLimit,
    },
  )
}

/** Half, 70% and 80% of the limit, which fit it however small it is. */
export function defaultThresholds(chainLimit: number): Thresholds {
  const basis = { data_dir: '', chain_limit: chainLimit }
  return {
    rebuild: SETTINGS.rebuild_threshold.fallback(basis),
    alert: SETTINGS.alert_threshold.fallback(basis),
    emergency: SETTINGS.emergency_threshold.fallback(basis),
  }
}

/** `SECONDS:ENTRIES` between commas, or `never`. */
export function parseSaveRules(text: string): SaveRule[] {
  if (text.trim() === NEVER) return []
  const parts = text.split(',').map((one) => one.trim())
  if (parts.length > MAX_RULES) throw refusedRules(text, `there are more than ${MAX_RULES}`)
  return parts.map((part) => {
    const [, seconds = '', entries = ''] = /^(\d{1,9}):(\d{1,9})$/.exec(part) ?? []
    const [after, count] = [Number(seconds), Number(entries)]
    const possible = after <= MAX_RULE_SECONDS && count <= MAX_RULE_ENTRIES
    if (seconds === '' || after === 0 || count === 0 || !possible)
      throw refusedRules(text, `"${part.slice(0, 50)}" is no rule`)
    return { afterMs: after * 1000, entries: count }
  })
}

/** As it stands in a reason. */
export const printRule = ({ afterMs, entries }: SaveRule): string => `${afterMs / 1000}:${entries}`

function refusedRules(text: string, why: string): CairnError {
  return new CairnError(
    'config',
    `The setting save_rules cannot be "${text.slice(0, 100)}": ${why}.`,
    {
      hint: 'Give SECONDS:ENTRIES between commas, such as 3600:1,300:100, or "never".',
      setting: 'save_rules',
    },
  )
}
