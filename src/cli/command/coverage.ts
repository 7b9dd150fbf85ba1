import { CairnError } from '../../errors.ts'
import { readCoverage, type CoverageReport } from '../../health/coverage-report.ts'
import { ageText } from '../../health/words.ts'
import { withStore, type CommandContext, type CommandSpec } from '../command.ts'
import { counted, printable } from '../format.ts'

export const coverageCommand: CommandSpec = {
  examples: [
    ['cairn coverage', 'from when to when, from the store and from the CARs'],
    [
      'cairn coverage --since 2026-01-01T00:00:00Z --json',
      'for monitoring; 18 when there are holes',
    ],
  ],
  define: (command) =>
    command.option('--since <time>', 'from this time on, not as far as the retention rules reach'),
  run: async (context) => {
    const { config, options, output, signal } = context
    const { values } = config
    const report = await withStore(context, false, (cairn, backend) =>
      readCoverage({
        cairn,
        backend,
        dataset: values.dataset,
        values,
        now: Date.now(),
        since: options.time('--since'),
        signal,
      }),
    )
    if (output.json) await output.document(report)
    else for (const line of linesOf(context, report)) await output.line(printable(line))
    throwUncovered(report)
  },
}

type Way = CoverageReport['intervals'][number]['store']

function linesOf(
  { output }: CommandContext,
  { intervals, findings, offsite }: CoverageReport,
): readonly string[] {
  const told = findings.flatMap(({ level, message, from, to, hint }) => [
    `${level.toUpperCase()}: ${message}: ${from} to ${to}`,
    `  hint: ${hint}`,
  ])
  if (output.quiet) return told
  const rows = [
    ['FROM', 'TO', 'FROM THE STORE', 'FROM CARS ALONE'],
    ...intervals.map(({ from, to, store, cars }) => [from, to, cell(store), cell(cars)]),
  ]
  const widths = [0, 1, 2].map((i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)))
  const table = rows.map((row) =>
    row
      .map((text, i) => text.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return [...table, ...(offsite === null ? [] : [elsewhere(offsite)]), ...told]
}

/** Such as `offsite: 30 copies in s3://..., the newest of 2026-...`. */
function elsewhere({
  place,
  status,
  copies,
  newest_at,
}: NonNullable<CoverageReport['offsite']>): string {
  if (status === 'unknown') return `offsite: unknown, ${place}`
  const newest = newest_at === null ? '' : `, the newest of ${newest_at}`
  return `offsite: ${counted(copies ?? 0, 'copy', 'copies')} in ${place}${newest}`
}

/** Such as `seq:7, up to 3.0 hours lost, proved 2026-... by drill`. */
function cell(recovery: Way): string {
  if (recovery === null) return 'nothing'
  const { name, exact, loses_ms, proved_at, proved_by } = recovery
  const what = name ?? 'every moment'
  const loses = exact ? '' : `, up to ${ageText(loses_ms)} lost`
  const proved = proved_at === null ? ', not proved' : `, proved ${proved_at} by ${proved_by}`
  return `${what}${loses}${proved}`
}

function throwUncovered({ covered, dataset, findings }: CoverageReport): void {
  const [worst] = findings.filter(({ level }) => level === 'critical')
  if (worst === undefined) return
  const { hint, message } = worst
  const what = covered ? `${message}.` : `Not all moments of "${dataset}" can be brought back.`
  throw new CairnError('unhealthy', what, { hint })
}
