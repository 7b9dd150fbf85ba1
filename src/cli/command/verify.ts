import { CairnError } from '../../errors.ts'
import { verifyTask, type VerifyRecord } from '../../tasks/verify.ts'
import { FOUND_STATES, type Problem } from '../../verify/finding.ts'
import type { VerifyMode } from '../../verify/plan.ts'
import { durationOption } from '../backup-options.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { counted, formatBytes, formatCount, printable } from '../format.ts'
import type { Options } from '../options.ts'
import { printRecord, taskBase } from '../task.ts'
import { withBackend } from '../verify-store.ts'

export const verify: CommandSpec = {
  examples: [
    ['cairn verify', 'everything that is kept: snapshots, content, chain and log'],
    ['cairn verify --quick', 'the current state; of content whether the tips are there'],
    ['cairn verify --budget 5m', 'for cron: as much as the time allows, oldest proved first'],
    ['cairn verify --sample 10%', 'a random tenth'],
  ],
  define: (command) =>
    command
      .option('--quick', 'the current snapshot and the recent chain; content by presence of tips')
      .option('--sample <share>', 'a random choice of the parts, such as 10%')
      .option('--budget <time>', 'as many parts as the time allows, oldest proved first'),
  run: async (context) => {
    const mode = modeOf(context.options)
    const task = withBackend(context, (backend) =>
      verifyTask({ ...taskBase(context), backend }, { mode }),
    )
    await printRecord(task, (record) => print(context, record))
  },
}

function modeOf(options: Options): VerifyMode {
  options.atMostOne('--quick', '--sample', '--budget')
  const ms = durationOption(options, '--budget')
  if (ms !== undefined) return { kind: 'budget', ms }
  const share = options.text('--sample')
  if (share !== undefined) return { kind: 'sample', fraction: parseShare(share) }
  return { kind: options.switch('--quick') ? 'quick' : 'full' }
}

function parseShare(text: string): number {
  const [, number = '', unit = ''] = /^(\d{1,3}(?:\.\d{1,6})?)(%)$/.exec(text) ?? []
  const share = unit === '' ? Number.NaN : Number(number) / 100
  if (share > 0 && share <= 1) return share
  throw new CairnError('usage', `--sample cannot be "${text.slice(0, 60)}".`, {
    hint: 'Give a share from above 0% to 100%, such as 10%.',
  })
}

async function print({ output }: CommandContext, record: VerifyRecord): Promise<void> {
  for (const note of record.notes) output.note(`note: ${note}`)
  if (output.json) return output.document(record)
  const { status, problems, found, proved, blocks, bytes, coverage, unreachable } = record
  for (const problem of problems) await output.line(problemLine(problem))
  const all = FOUND_STATES.reduce((sum, state) => sum + found[state], 0)
  if (all > problems.length) await output.line(`... and ${formatCount(all - problems.length)} more`)
  const read = `${counted(blocks, 'block')}, ${formatBytes(bytes)}`
  await output.line(
    `${status}: ${formatCount(proved)} of ${counted(coverage.parts, 'part')} proved (${read})`,
  )
  await output.line(coverageLine(coverage))
  if (unreachable !== null && unreachable > 0) {
    const left = counted(unreachable, 'block')
    await output.line(`${left} that nothing kept reaches: \`cairn prune\` frees them`)
  }
  await output.flush()
}

export function problemLine({ state, kind, cid, message }: Problem): string {
  return printable(`${state}\t${kind}\t${cid ?? '-'}\t${message}`)
}

function coverageLine(coverage: VerifyRecord['coverage']): string {
  const { never_proved, half_within_ms, most_within_ms, proved_within_ms, whole } = coverage
  const known = whole ? '' : '; not all parts are known yet'
  if (proved_within_ms !== null)
    return `all was proved within the last ${ageOf(proved_within_ms)}${known}`
  const half = half_within_ms === null ? [] : [`half within the last ${ageOf(half_within_ms)}`]
  const most = most_within_ms === null ? [] : [`90% within ${ageOf(most_within_ms)}`]
  const yet = `${counted(never_proved, 'part')} never proved yet`
  return [...half, ...most, yet].join(', ') + known
}

const AGES = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const

function ageOf(ms: number): string {
  const [unit, size] = AGES.find(([, one]) => ms >= 2 * one) ?? ['s', 1000]
  return `${Math.ceil(ms / size)}${unit}`
}
