import type { Dataset } from '../../engine/dataset.ts'
import { fallBackRecord, rollbackRecord } from '../../engine/records.ts'
import type { FellBack } from '../../engine/fall-back.ts'
import type { RollbackReport, RollbackTarget } from '../../engine/rollback.ts'
import { CairnError } from '../../errors.ts'
import { printCid } from '../../model/cid.ts'
import {
  longOptions,
  readDataset,
  withStore,
  type CommandContext,
  type CommandSpec,
} from '../command.ts'
import { confirm } from '../confirm.ts'
import { counted, formatCount } from '../format.ts'

export const rollback: CommandSpec = {
  examples: [
    ['cairn rollback latest~1 --dry-run', 'what it would do'],
    ['cairn rollback latest~1 --yes', 'to the snapshot before the newest'],
    ['cairn rollback seq:7 --keep-chain --yes', 'with what is not in a snapshot yet on top'],
    ['cairn rollback --commit 41 --yes', 'to a commit; this is how a rollback is undone'],
    ['cairn rollback --to-good', 'if the newest state is damaged, to the newest that is whole'],
  ],
  writes: true,
  define: (command) =>
    command
      .argument('[selector]', 'a snapshot: latest~1, seq:7, a tag, a CID')
      .option('--commit <n>', 'a commit instead of a snapshot')
      .option('--to-good', 'prove the newest state; if it is damaged, go to the newest whole one')
      .option('--keep-chain', 'keep the entries of the recent chain on top')
      .option('-n, --dry-run', 'say what would happen and change nothing')
      .option('-y, --yes', 'do not ask'),
  run: async (context) => {
    if (context.options.switch('--to-good')) return toGood(context)
    const target = targetOf(context)
    await readDataset(context, async (dataset) => {
      const plan = await planOf(context, dataset, target)
      if (context.options.switch('--dry-run')) return printPlan(context, plan)
      if (!context.options.switch('--yes')) await confirm(context, `${sentence(plan)} Go on?`)
      const keepChain = context.options.switch('--keep-chain')
      await printReport(
        context,
        await dataset.rollback(target, { keepChain, signal: context.signal }),
      )
    })
  },
}

function targetOf({ args, options }: CommandContext): RollbackTarget {
  const commit = options.count('--commit')
  const [snapshot] = args
  if ((snapshot === undefined) !== (commit === undefined)) return { snapshot, commit }
  throw new CairnError('usage', 'A rollback goes to one snapshot or to one commit.', {
    hint: 'Name a snapshot (latest~1, seq:7, a tag, a CID) or --commit N, not both.',
  })
}

/** Does not open the dataset, which the damage may prevent; asks nothing, as what is whole is left alone. */
async function toGood(context: CommandContext): Promise<void> {
  const { args, options, config, output } = context
  const others = ['--commit', '--keep-chain', '--dry-run'].filter((flag) => options.has(flag))
  if (args.length > 0 || others.length > 0) {
    throw new CairnError('usage', '--to-good looks for the state by itself.', {
      hint: 'Leave out the selector, --commit, --keep-chain and --dry-run; `cairn verify` changes nothing.',
    })
  }
  const { dataset } = config.values
  const report = await withStore(context, false, (cairn) =>
    cairn.fallBack(dataset, longOptions(context)),
  )
  if (output.json) return output.document(fallBackRecord(report))
  if (report.status === 'good') {
    return output.line(`"${dataset}" is whole: nothing was changed.`)
  }
  for (const line of fellBackLines(dataset, report)) await output.line(line)
}

interface Plan {
  readonly dataset: string
  readonly target: RollbackTarget
  readonly keepChain: boolean
  readonly recentCount: number
  readonly countNow: number
  readonly countThen: number
}

async function planOf(
  { options, signal }: CommandContext,
  dataset: Dataset,
  target: RollbackTarget,
): Promise<Plan> {
  const then = await dataset.list({ at: target, limit: 1, signal })
  const { pointer } = await dataset.status({ signal })
  return {
    dataset: dataset.name,
    target,
    keepChain: options.switch('--keep-chain'),
    recentCount: pointer.recent_count,
    countNow: pointer.total_count,
    countThen: then.totalCount,
  }
}

function sentence({ dataset, target, keepChain, recentCount, countNow, countThen }: Plan): string {
  const where =
    target.snapshot === undefined ? `commit ${target.commit}` : `snapshot ${target.snapshot}`
  const chain = keepChain
    ? `keeping up to ${counted(recentCount, 'recent entry', 'recent entries')}`
    : 'without the recent chain'
  return `"${dataset}" goes from ${counted(countNow, 'entity', 'entities')} to ${where} with ${formatCount(countThen)}, ${chain}.`
}

async function printPlan({ output }: CommandContext, plan: Plan): Promise<void> {
  if (!output.json) return output.line(sentence(plan))
  await output.document({
    status: 'planned',
    target: { snapshot: plan.target.snapshot ?? null, commit: plan.target.commit ?? null },
    keep_chain: plan.keepChain,
    recent_count: plan.recentCount,
    total_count: plan.countNow,
    target_count: plan.countThen,
  })
}

async function printReport({ output }: CommandContext, report: RollbackReport): Promise<void> {
  if (output.json) return output.document(rollbackRecord(report))
  await output.line(printCid(report.snapshot))
  await output.flush()
  const { seq, undo, totalCount } = report
  output.note(`snapshot ${seq} is current, ${counted(totalCount, 'entity', 'entities')}`)
  output.note(`to undo: cairn rollback --commit ${undo}`)
}

function fellBackLines(dataset: string, report: FellBack): string[] {
  const { from, to, damage, lost, seq, totalCount, unlisted } = report
  const positions = counted(lost.to - lost.from, 'log position is', 'log positions are')
  const last = lost.to - 1
  return [
    `"${dataset}" fell back from commit ${from} to the state of commit ${to}: snapshot ${seq}, ${counted(totalCount, 'entity', 'entities')}.`,
    ...damage.map(({ commit, what, cid, code }) => {
      return `Damaged in commit ${commit}: ${what} ${cid ?? 'of unknown CID'} (${code}).`
    }),
    lost.to === lost.from
      ? 'No log position was lost.'
      : `${positions} no longer current: ${last === lost.from ? last : `${lost.from} to ${last}`}.`,
    ...(unlisted === 0
      ? []
      : [`${counted(unlisted, 'kept snapshot', 'kept snapshots')} only the damaged list named.`]),
    `What is left of commit ${from} is kept. To get it back: cairn verify, cairn repair, then cairn rollback --commit ${from}.`,
  ]
}
