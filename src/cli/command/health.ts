import { CairnError, isCairnError, type ErrorCode } from '../../errors.ts'
import { lookAt, reportOf } from '../../health/look.ts'
import { rememberedOffsite } from '../../health/offsite.ts'
import { observedTrouble } from '../../health/observe.ts'
import {
  CHECKS,
  findingLine,
  isWorse,
  worst,
  type Check,
  type Finding,
  type HealthReport,
} from '../../health/report.ts'
import { withStore, type CommandContext, type CommandSpec } from '../command.ts'
import { checkMachine } from '../doctor/machine.ts'
import { counted, printable } from '../format.ts'
import { collect } from '../options.ts'

/** These are not about the store. */
const NOT_ABOUT_THE_STORE: readonly ErrorCode[] = ['usage', 'config', 'aborted']
const UNREACHABLE: readonly ErrorCode[] = [
  'backend_unavailable',
  'backend_timeout',
  'backend_refused',
]
/** Longer than a node may take for one answer. */
const DEADLINES = 4

export const health: CommandSpec = {
  examples: [
    ['cairn health', 'all datasets; exit code 18 when something is wrong'],
    ['cairn health -d main --quiet', 'for cron: prints only what is wrong'],
    ['cairn health --json --skip disk --skip drill', 'for monitoring'],
  ],
  define: (command) =>
    command
      .option('--configured', 'the configured dataset alone, as -d does with a name')
      .option('--skip <check>', `leave one out: ${CHECKS.join(', ')}`, collect),
  run: async (context) => {
    const { output } = context
    const reports = await lookAtAll(context, skippedOf(context))
    if (output.json) await output.document(recordOf(context, reports))
    else for (const line of linesOf(context, reports)) await output.line(line)
    throwUnhealthy(reports)
  },
}

function skippedOf({ options }: CommandContext): ReadonlySet<Check> {
  const given = options.texts('--skip') ?? []
  const known = given.map((name) => {
    const check = CHECKS.find((one) => one === name)
    if (check !== undefined) return check
    throw new CairnError('usage', `--skip cannot be "${name.slice(0, 60)}".`, {
      hint: `Give one of ${CHECKS.join(', ')}.`,
    })
  })
  return new Set(known)
}

async function lookAtAll(
  context: CommandContext,
  skipped: ReadonlySet<Check>,
): Promise<HealthReport[]> {
  const { config, signal } = context
  const { values, origins } = config
  const place = {
    dataDir: values.data_dir,
    backupsDir: values.backups_dir,
    now: Date.now,
    deadlineMs: values.deadline * DEADLINES,
    lookOffsite: rememberedOffsite(Date.now),
    signal,
  }
  // Of no dataset in particular: it stands in the first report.
  let machine = await machineFindings(context)
  const choose = (findings: readonly Finding[]): readonly Finding[] => {
    const all = [...machine, ...findings]
    machine = []
    return all.filter((one) => !skipped.has(one.check) || isUnreadable(one))
  }
  try {
    return await withStore(context, false, async (cairn) => {
      const reports: HealthReport[] = []
      for (const dataset of await namesOf(context, () => cairn.datasets()))
        reports.push(await lookAt({ ...place, cairn, dataset }, values, origins, choose))
      return reports
    })
  } catch (error) {
    if (!isCairnError(error) || NOT_ABOUT_THE_STORE.includes(error.code)) throw error
    const { dataset } = values
    return [reportOf(observedTrouble({ ...place, dataset }, error), values, origins, choose)]
  }
}

/** Nothing can be said of a dataset that cannot be read: leaving that out would make all look well. */
const isUnreadable = ({ check, code }: Pick<Finding, 'check' | 'code'>): boolean =>
  check === 'store' && code !== undefined

async function namesOf(
  { config, options }: CommandContext,
  datasets: () => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const { values, origins } = config
  const isOne = options.switch('--configured') || origins.dataset !== 'default'
  const all = isOne ? [] : await datasets()
  return all.length > 0 ? all : [values.dataset]
}

async function machineFindings({ config }: CommandContext): Promise<Finding[]> {
  const failed = (await checkMachine(config, Date.now())).filter((one) => one.status === 'failed')
  return failed.map(({ name, message, hint }) => ({
    check: 'store',
    level: 'critical',
    message: `${name}: ${message}`,
    ...(hint === undefined ? {} : { hint }),
  }))
}

/** The fields of the configured dataset, and those of all. */
function recordOf({ config }: CommandContext, reports: readonly HealthReport[]): unknown {
  const { dataset } = config.values
  const main = reports.find((one) => one.dataset === dataset)
  const named = (one: HealthReport) => (finding: Finding) => ({ ...finding, dataset: one.dataset })
  return {
    healthy: reports.every(({ healthy }) => healthy),
    level: worst(reports),
    dataset,
    checked_at: reports[0]?.checked_at,
    recent_count: main?.recent_count ?? null,
    snapshot_ts: main?.snapshot_ts ?? null,
    alerts: reports.flatMap((one) => one.alerts.map(named(one))),
    checks: reports.flatMap((one) => one.checks.map(named(one))),
    datasets: reports,
  }
}

function linesOf({ output }: CommandContext, reports: readonly HealthReport[]): string[] {
  return reports.flatMap(({ dataset, alerts, checks }) => {
    const findings = output.quiet ? alerts : checks
    const lines = findings.flatMap((finding) => {
      const { level, hint } = finding
      const line = printable(findingLine(finding))
      return level === 'ok' || hint === undefined ? [line] : [line, printable(`  hint: ${hint}`)]
    })
    return reports.length > 1 && lines.length > 0 ? [`dataset ${dataset}`, ...lines] : lines
  })
}

function throwUnhealthy(reports: readonly HealthReport[]): void {
  const alerts = reports.flatMap((one) => one.alerts)
  const first = alerts.find(({ level }) => !alerts.some((one) => isWorse(one.level, level)))
  if (first === undefined) return
  const hint = first.hint ?? 'See above.'
  const code = alerts.find(
    (one) => isUnreadable(one) && UNREACHABLE.includes(one.code ?? 'internal'),
  )?.code
  const message = `${counted(alerts.length, 'check')} found something wrong.`
  throw new CairnError(code ?? 'unhealthy', message, { hint })
}
