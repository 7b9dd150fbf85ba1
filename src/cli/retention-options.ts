/** The options that name a retention policy. */
import { CairnError } from '../errors.ts'
import type { Command } from 'commander'
import type { RetentionPolicy } from '../retention/policy.ts'
import { collect, type Options } from './options.ts'

export function addRetentionOptions(command: Command): Command {
  return command
    .option('--keep-last <n>', 'the newest N')
    .option('--keep-hourly <n>', 'the newest of each of the last N hours that have one')
    .option('--keep-daily <n>', 'of each of the last N days')
    .option('--keep-weekly <n>', 'of each of the last N weeks')
    .option('--keep-monthly <n>', 'of each of the last N months')
    .option('--keep-yearly <n>', 'of each of the last N years')
    .option('--keep-within <time>', 'all not older than the newest by more than this: 36h, 30d, 8w')
    .option('--keep-tag <tag>', 'all with this tag; may be repeated', collect)
}

export function retentionPolicy(options: Options): RetentionPolicy {
  const within = options.text('--keep-within')
  const rules = {
    last: options.count('--keep-last'),
    hourly: options.count('--keep-hourly'),
    daily: options.count('--keep-daily'),
    weekly: options.count('--keep-weekly'),
    monthly: options.count('--keep-monthly'),
    yearly: options.count('--keep-yearly'),
    withinMs: within === undefined ? undefined : parseSpan('--keep-within', within),
    tags: options.texts('--keep-tag'),
  }
  return Object.fromEntries(Object.entries(rules).filter(([, rule]) => rule !== undefined))
}

const SPAN = /^(\d{1,6})\s*(s|m|h|d|w|y)$/
const DAY_MS = 86_400_000
const UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: DAY_MS,
  w: 7 * DAY_MS,
  y: 366 * DAY_MS,
}

/** A span of time that may be long, in milliseconds. */
export function parseSpan(flag: string, text: string): number {
  const [, count = '', unit = ''] = SPAN.exec(text) ?? []
  const value = Number(count) * (UNITS[unit] ?? 0)
  if (count !== '' && value > 0) return value
  throw new CairnError('usage', `${flag} cannot be "${text.slice(0, 60)}".`, {
    hint: 'Give a time such as 36h, 30d, 8w or 1y.',
  })
}
