/** The options that name a retention policy. */
import type { Command } from 'commander'
import { span } from '../config/kinds.ts'
import type { RetentionPolicy } from '../retention/policy.ts'
import { kindOption } from './backup-options.ts'
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

/** A span of time that may be long, in milliseconds. */
export function parseSpan(flag: string, text: string): number {
  return kindOption(span, flag, text)
}
