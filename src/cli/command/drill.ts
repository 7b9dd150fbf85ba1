import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { basesOf, hasContent } from '../../backup/bases.ts'
import {
  drillReport,
  lastSuccessIn,
  REPORT_NAME,
  writeReport,
  type DrillReport,
} from '../../backup/drill-report.ts'
import { drill, type Drilled } from '../../backup/drill.ts'
import {
  checkAllKnown,
  newestFirst,
  readBackup,
  readBackups,
  type Backup,
} from '../../backup/folder.ts'
import { pathsBeside } from '../../backup/name.ts'
import type { Cairn } from '../../engine/cairn.ts'
import type { Dataset } from '../../engine/dataset.ts'
import { CairnError, isCairnError, toCairnError, type ErrorCode } from '../../errors.ts'
import { durationOption, identitiesOption, withFiles } from '../backup-options.ts'
import { longOptions, readDataset, type CommandContext, type CommandSpec } from '../command.ts'
import { formatCount, printable } from '../format.ts'
import { collect } from '../options.ts'

const SAMPLE = 100
/** These are not about the backup. */
const NOT_ABOUT_BACKUPS: readonly ErrorCode[] = ['usage', 'config', 'aborted']

export const drillCommand: CommandSpec = {
  examples: [
    ['cairn drill', 'restores the newest backup into a scratch store'],
    ['cairn drill --max-rto 15m --max-rpo 26h --quiet', 'for cron: ends with 18 over a limit'],
    ['cairn drill --from base.car delta.car', 'these files'],
  ],
  define: (command) =>
    command
      .option('--from <file...>', 'these CARs instead of the newest backup')
      .option('--identity <file>', 'secret keys of age; may be repeated', collect)
      .option('--sample <n>', `entities to look at one by one (${SAMPLE})`)
      .option('--max-rto <time>', 'fail if the restore takes longer')
      .option('--max-rpo <time>', 'fail if a loss now would cost more than this')
      .option('--scratch <dir>', "where the scratch store is made (the system's temporary folder)")
      .option('--report <file>', 'write the report here, too'),
  run: async (context) => {
    const { config, options, output } = context
    const { backups_dir, dataset } = config.values
    const reportPath = join(backups_dir, REPORT_NAME)
    const startedAt = Date.now()
    const lastSuccess = await lastSuccessIn(reportPath, dataset)
    const limits = limitsOf(context)
    const { outcome, sources } = await rehearse(context, limits)
    const report = drillReport(outcome, {
      dataset,
      sources,
      startedAt,
      finishedAt: Date.now(),
      lastSuccess,
    })
    await withFiles(backups_dir, async () => {
      await mkdir(backups_dir, { recursive: true, mode: 0o700 })
      await writeReport(reportPath, report)
    })
    const also = options.text('--report')
    if (also !== undefined) await withFiles(also, () => writeReport(also, report))
    if (output.json) await output.document(report)
    else for (const line of linesOf(report)) await output.line(line)
    if (report.status === 'failed') throw failed(report, outcome, reportPath)
  },
}

interface Limits {
  readonly sample: number
  readonly maxRtoMs: number | undefined
  readonly maxRpoMs: number | undefined
}

function limitsOf({ options }: CommandContext): Limits {
  return {
    sample: options.count('--sample', 1) ?? SAMPLE,
    maxRtoMs: durationOption(options, '--max-rto'),
    maxRpoMs: durationOption(options, '--max-rpo'),
  }
}

interface Rehearsed {
  readonly outcome: Drilled | CairnError
  readonly sources: readonly string[]
}

/** What goes wrong with the backup is its outcome; what is wrong with the call is thrown. */
async function rehearse(context: CommandContext, limits: Limits): Promise<Rehearsed> {
  const identities = await identitiesOption(context)
  let sources: readonly string[] = []
  try {
    const found = await whatToRestore(context)
    sources = found.sources
    const outcome = await withLive(context, (live) =>
      drill({
        ...longOptions(context),
        ...found,
        ...limits,
        identities,
        live,
        scratch: context.options.text('--scratch') ?? tmpdir(),
        openStore: (folder) => openScratch(context, folder),
        now: Date.now,
      }),
    )
    return { outcome, sources }
  } catch (error) {
    const outcome = toCairnError(error)
    if (NOT_ABOUT_BACKUPS.includes(outcome.code)) throw outcome
    return { outcome, sources }
  }
}

interface ToRestore {
  readonly sources: readonly string[]
  readonly backup: Backup | undefined
}

async function whatToRestore({ config, options }: CommandContext): Promise<ToRestore> {
  const given = options.texts('--from')
  if (given !== undefined) return { sources: given, backup: await newestOf(given) }
  const { backups_dir, dataset } = config.values
  const folder = await readBackups(backups_dir)
  checkAllKnown(folder)
  const { backups } = folder
  const own = backups.filter(({ sidecar }) => sidecar.dataset === dataset)
  const backup = own.find(hasContent)
  if (backup === undefined) {
    const what = own.length === 0 ? 'no backup' : 'no backup with its content'
    throw new CairnError('not_found', `There is ${what} of "${dataset}" in ${backups_dir}.`, {
      hint: 'Make one with `cairn export-car`; cron can do it every night.',
      path: backups_dir,
    })
  }
  const bases = basesOf(backups, backup)
  if (bases !== undefined)
    return { sources: [backup, ...bases].map(({ paths }) => paths.car), backup }
  throw new CairnError(
    'base_missing',
    `The base of ${backup.paths.car} is not in the folder of backups.`,
    { hint: 'Export a full CAR, or name the files with --from.', path: backup.paths.car },
  )
}

/** The newest state in CARs that have a sidecar. */
async function newestOf(cars: readonly string[]): Promise<Backup | undefined> {
  const found: Backup[] = []
  for (const car of cars) {
    const backup = await readBackup(pathsBeside(car)).catch(() => undefined)
    if (backup !== undefined) found.push(backup)
  }
  return found.length === cars.length ? newestFirst(found)[0] : undefined
}

/** The dataset that is in use, if its store can be opened: a drill is for the day when it cannot. */
async function withLive(
  context: CommandContext,
  use: (live: Dataset | undefined) => Promise<Drilled>,
): Promise<Drilled> {
  let opened = false
  try {
    return await readDataset(context, (dataset) => {
      opened = true
      return use(dataset)
    })
  } catch (error) {
    if (opened || !isCairnError(error) || error.code === 'aborted') throw error
    context.output.note(`compared with no live dataset: ${error.message}`)
    return use(undefined)
  }
}

async function openScratch(
  { config, log, signal }: CommandContext,
  folder: string,
): Promise<Cairn> {
  const { openCairn } = await import('../../compose.ts')
  const { cache_bytes } = config.values
  return openCairn(`lmdb:${folder}`, { create: true, cacheBytes: cache_bytes, log, signal })
}

function linesOf(report: DrillReport): string[] {
  const { status, dataset, checks, total_count, rto_ms, rpo_ms } = report
  const lines = checks.map(({ ok, name, message }) =>
    printable(`${ok ? 'ok     ' : 'failed '} ${name}: ${message}`),
  )
  if (total_count === null || rto_ms === null || rpo_ms === null) return [...lines, status]
  const count = formatCount(total_count)
  return [
    ...lines,
    `${status}: "${dataset}" with ${count} entities in ${seconds(rto_ms)}; a loss now would cost ${seconds(rpo_ms)}`,
  ]
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

function failed(report: DrillReport, outcome: Drilled | CairnError, path: string): CairnError {
  const bad = report.checks.filter(({ ok }) => !ok).map(({ name }) => name)
  const [why, hint] =
    'checks' in outcome ? [`failed: ${bad.join(', ')}`, undefined] : [outcome.message, outcome.hint]
  return new CairnError('unhealthy', `The drill of "${report.dataset}" failed: ${why}`, {
    hint: hint ?? `The report is ${path}. Make a new backup with \`cairn export-car\`, and try it.`,
    path,
  })
}
