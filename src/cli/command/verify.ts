import { CairnError } from '../../errors.ts'
import { FOUND_STATES, type Problem } from '../../verify/finding.ts'
import type { VerifyMode } from '../../verify/plan.ts'
import { verdictError, type VerifyReport } from '../../verify/report.ts'
import { verifyDataset } from '../../verify/verify.ts'
import { durationOption } from '../backup-options.ts'
import { longOptions, type CommandContext, type CommandSpec } from '../command.ts'
import { counted, formatBytes, formatCount, printable } from '../format.ts'
import type { Options } from '../options.ts'
import { withLedger } from '../verify-store.ts'

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
    const report = await withLedger(context, (backend, ledgerDir) =>
      verifyDataset(backend, context.config.values.dataset, {
        ...longOptions(context),
        mode,
        ledgerDir,
      }),
    )
    await print(context, report)
    const failure = verdictError(
      report,
      '`cairn repair --from CAR,kubo:URL,...` brings back what is missing or corrupt; the list is above.',
    )
    if (failure !== undefined) throw failure
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

async function print({ output }: CommandContext, report: VerifyReport): Promise<void> {
  for (const note of report.notes) output.note(`note: ${note}`)
  if (output.json) return output.document(reportRecord(report))
  for (const problem of report.problems) await output.line(problemLine(problem))
  const found = FOUND_STATES.reduce((sum, state) => sum + report.counts[state], 0)
  if (found > report.problems.length)
    await output.line(`... and ${formatCount(found - report.problems.length)} more`)
  const { verdict, proved, blocks, bytes, coverage } = report
  const read = `${counted(blocks, 'block')}, ${formatBytes(bytes)}`
  await output.line(
    `${verdict}: ${formatCount(proved)} of ${counted(coverage.parts, 'part')} proved (${read})`,
  )
  await output.line(coverageLine(report))
  if (report.unreachable !== null && report.unreachable > 0) {
    const left = counted(report.unreachable, 'block')
    await output.line(`${left} that nothing kept reaches: \`cairn prune\` frees them`)
  }
  await output.flush()
}

export function problemLine({ state, kind, cid, message }: Problem): string {
  return printable(`${state}\t${kind}\t${cid ?? '-'}\t${message}`)
}

function coverageLine({ coverage, whole }: VerifyReport): string {
  const { never, halfWithinMs, mostWithinMs, allWithinMs } = coverage
  const known = whole ? '' : '; not all parts are known yet'
  if (allWithinMs !== null) return `all was proved within the last ${ageOf(allWithinMs)}${known}`
  const half = halfWithinMs === null ? [] : [`half within the last ${ageOf(halfWithinMs)}`]
  const most = mostWithinMs === null ? [] : [`90% within ${ageOf(mostWithinMs)}`]
  const yet = `${counted(never, 'part')} never proved yet`
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

function reportRecord(report: VerifyReport): Record<string, unknown> {
  const { coverage, problems, mode, ledger, ...same } = report
  return {
    status: same.verdict,
    dataset: same.dataset,
    mode,
    commit: same.commit,
    snapshots: same.snapshots,
    proved: same.proved,
    blocks: same.blocks,
    bytes: same.bytes,
    found: same.counts,
    unreachable: same.unreachable,
    problems,
    coverage: {
      parts: coverage.parts,
      never_proved: coverage.never,
      half_within_ms: coverage.halfWithinMs,
      most_within_ms: coverage.mostWithinMs,
      proved_within_ms: coverage.allWithinMs,
      whole: same.whole,
    },
    ledger,
    notes: same.notes,
  }
}
