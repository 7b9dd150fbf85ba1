import { setTimeout as delay } from 'node:timers/promises'
import { follow } from '../../engine/replica/follow.ts'
import type { SyncReport } from '../../engine/replica/sync.ts'
import type { FollowedSource } from '../../engine/replica/source.ts'
import { CairnError } from '../../errors.ts'
import { longOptions, type CommandContext, type CommandSpec } from '../command.ts'
import { counted, formatBytes } from '../format.ts'
import { storeOption } from '../other-store.ts'
import { withSource } from '../sync-source.ts'
import { withTarget, type Copy } from '../sync-target.ts'

export const sync: CommandSpec = {
  examples: [
    ['cairn sync lmdb:/mnt/new/copy', 'copy the dataset, or bring the copy up to date'],
    [
      'cairn sync kubo:http://other:5001 --follow',
      'and go on, a moment behind, until it is stopped',
    ],
    ['cairn sync https://copy.example.org --follow', 'to the service that serves the copy'],
    ['cairn sync --from https://cairn.example.org --follow', 'the other way: pull from a service'],
  ],
  writes: true,
  define: (command) =>
    command
      .argument(
        '[target]',
        'what gets the copy: lmdb:DIR, kubo:URL, s3://BUCKET/PREFIX, or a service (https://HOST)',
      )
      .option('--from <source>', 'copy from this store, or service (https://HOST), into --store')
      .option('--token-file <file>', 'the token for a service (CAIRN_TOKEN)')
      .option('--follow', 'go on until stopped: what is new at the source follows at once'),
  run: async (context) => {
    const { options, args, config } = context
    const [target] = args
    const from = options.text('--from')
    if ((target === undefined) === (from === undefined)) {
      throw new CairnError('usage', 'A sync has one target, or one source.', {
        hint: 'Name the target (cairn sync lmdb:/other), or the source with --from, not both.',
      })
    }
    const into = target === undefined ? config.values.store : storeOption(context, target)
    const source = from === undefined ? config.values.store : storeOption(context, from)
    await withSource(context, source, (one) =>
      withTarget(context, into, (copy) => run(context, one, copy)),
    )
  },
}

async function run(context: CommandContext, source: FollowedSource, target: Copy): Promise<void> {
  const { options, config, signal } = context
  const { dataset } = config.values
  let began = performance.now()
  const one = (): Promise<SyncReport> => {
    began = performance.now()
    return target.sync(source, dataset, longOptions(context))
  }
  const print = (report: SyncReport): Promise<void> =>
    printReport(context, report, target.location, performance.now() - began)
  if (!options.switch('--follow')) return print(await one())
  await follow({
    source,
    dataset,
    sync: one,
    onSynced: print,
    onAway: (error, againMs) =>
      context.output.note(`${error.message} Trying again in ${Math.round(againMs / 1000)} s.`),
    signal,
    delay: (ms) => delay(ms, undefined, { signal }).catch(() => undefined),
  })
}

async function printReport(
  { output }: CommandContext,
  report: SyncReport,
  target: string,
  ms: number,
): Promise<void> {
  const seconds = Math.round(ms) / 1000
  if (output.json) {
    const { totalCount: total_count, source, ...rest } = report
    await output.document({ ...rest, total_count, source, target, seconds })
    return output.flush()
  }
  await output.line(target)
  await output.flush()
  const { status, from, blocks, bytes, requests, found, totalCount } = report
  const state = `${counted(totalCount, 'entity', 'entities')}, commit ${from} of ${report.source}`
  if (status === 'already_synced') return output.note(`nothing is new: ${state}`)
  output.note(state)
  const there = found === 0 ? '' : `, ${counted(found, 'block')} lay there already`
  output.note(
    `${counted(blocks, 'block')} copied (${formatBytes(bytes)}) by ${counted(requests, 'request')} in ${seconds} s${there}`,
  )
}
