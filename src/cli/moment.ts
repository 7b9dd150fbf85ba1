/** The options by which reading commands look at an earlier state. */
import type { Command } from 'commander'
import type { At } from '../engine/time.ts'
import type { Options } from './options.ts'

export function addMoment(command: Command): void {
  command
    .option('--at <time>', 'as it was at a time (RFC 3339 or milliseconds since 1970)')
    .option('--seq <n>', 'as in the snapshot with this number')
    .option('--snapshot <selector>', 'as in a snapshot: latest~1, seq:7, a tag, a CID')
    .option('--commit <n>', 'as of a commit')
}

export function momentOf(options: Options): At | undefined {
  options.atMostOne('--at', '--seq', '--snapshot', '--commit')
  const time = options.time('--at')
  if (time !== undefined) return { time }
  const commit = options.count('--commit')
  if (commit !== undefined) return { commit }
  const seq = options.count('--seq')
  const snapshot = seq === undefined ? options.text('--snapshot') : `seq:${seq}`
  return snapshot === undefined ? undefined : { snapshot }
}
