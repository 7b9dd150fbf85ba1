import type { Cairn } from '../../cairn.ts'
import { isCairnError } from '../../errors.ts'
import { DRILL_SAMPLE, drillTask, noteNoLive, type DrillRecord } from '../../tasks/drill.ts'
import { durationOption, identitiesOption } from '../backup-options.ts'
import { withStore, type CommandContext, type CommandSpec } from '../command.ts'
import { counted, printable } from '../format.ts'
import { collect } from '../options.ts'
import { printRecord, taskBase } from '../task.ts'

export const drillCommand: CommandSpec = {
  examples: [
    ['cairn drill', 'restores the newest backup into a scratch store'],
    ['cairn drill --max-rto 15m --max-rpo 26h --quiet', 'for cron: ends with 18 over a limit'],
    ['cairn drill --from base.car delta.car', 'these files'],
    ['cairn drill --from s3://BUCKET/cairn', 'the newest copy in a bucket'],
  ],
  define: (command) =>
    command
      .option('--from <file...>', 'these CARs, or s3:// addresses, instead of the newest backup')
      .option('--identity <file>', 'secret keys of age; may be repeated', collect)
      .option('--sample <n>', `entities to look at one by one (${DRILL_SAMPLE})`)
      .option('--max-rto <time>', 'fail if the restore takes longer')
      .option('--max-rpo <time>', 'fail if a loss now would cost more than this')
      .option('--scratch <dir>', "where the scratch store is made (the system's temporary folder)")
      .option('--report <file>', 'write the report here, too'),
  run: async (context) => {
    const { config, options, output } = context
    const drill = {
      from: options.texts('--from'),
      sample: options.count('--sample', 1),
      maxRtoMs: durationOption(options, '--max-rto'),
      maxRpoMs: durationOption(options, '--max-rpo'),
      identities: await identitiesOption(context),
      scratch: options.text('--scratch'),
      report: options.text('--report'),
      cacheBytes: config.values.cache_bytes,
    }
    const task = withLive(context, (cairn) => drillTask({ ...taskBase(context), cairn }, drill))
    await printRecord(task, async (record) => {
      if (output.json) return output.document(record)
      for (const line of linesOf(record)) await output.line(line)
    })
  },
}

/** With the store that is in use, if it can be opened: a drill is for the day when it cannot. */
async function withLive<T>(
  context: CommandContext,
  use: (cairn: Cairn | undefined) => Promise<T>,
): Promise<T> {
  let opened = false
  try {
    return await withStore(context, false, (cairn) => {
      opened = true
      return use(cairn)
    })
  } catch (error) {
    if (opened || !isCairnError(error) || error.code === 'aborted') throw error
    noteNoLive(taskBase(context), error)
    return use(undefined)
  }
}

function linesOf(report: DrillRecord): string[] {
  const { status, dataset, checks, total_count, rto_ms, rpo_ms } = report
  const lines = checks.map(({ ok, name, message }) =>
    printable(`${ok ? 'ok     ' : 'failed '} ${name}: ${message}`),
  )
  if (total_count === null || rto_ms === null || rpo_ms === null) return [...lines, status]
  const count = counted(total_count, 'entity', 'entities')
  return [
    ...lines,
    `${status}: "${dataset}" with ${count} in ${seconds(rto_ms)}; a loss now would cost ${seconds(rpo_ms)}`,
  ]
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
