/** Checks of the store and the dataset, each as far as the one before allows. */
import type { Cairn } from '../../cairn.ts'
import type { DatasetStatus } from '../../engine/status.ts'
import type { StoreStatus } from '../../store/backend.ts'
import { withStore, type CommandContext } from '../command.ts'
import { formatBytes, formatCount } from '../format.ts'
import { formatTime } from '../../model/time.ts'
import { failed, failedWith, ok, skipped, warning, type CheckResult, type Report } from './check.ts'
import { checkBackups } from './backups.ts'
import { spaceResult } from './machine.ts'
import { checkSaving } from './saving.ts'
import { checkState } from './state.ts'

/** Commits of other machines may be a little ahead of this clock. */
const CLOCK_SLACK_MS = 5 * 60_000

/** The dataset's status, for a support bundle, if it could be read. */
export async function checkStore(
  context: CommandContext,
  report: Report,
): Promise<DatasetStatus | undefined> {
  try {
    return await withStore(context, false, async (cairn) => {
      await report(ok('store', `${cairn.location} opens`))
      for (const result of storeResults(await cairn.status())) await report(result)
      return checkDataset(context, cairn, report)
    })
  } catch (error) {
    await report(failedWith('store', error))
    await report(skipped('dataset', 'the store does not open'))
    return undefined
  }
}

function storeResults({
  details,
  synced,
  sizeBytes,
  freeBytes,
  notes,
}: StoreStatus): CheckResult[] {
  const facts = Object.entries(details).map(([name, value]) => `${name} ${value}`)
  const size = sizeBytes === undefined ? [] : [`size ${formatBytes(sizeBytes)}`]
  const results = [ok('store details', [...facts, ...size].join(', ') || 'none')]
  if (freeBytes !== undefined) results.push(spaceResult('store space', 'the store', freeBytes))
  if (synced === true) results.push(ok('durability', 'acknowledged writes survive a power cut'))
  const hint = 'docs/CLI.md, "Notes of a store", says what follows from it.'
  for (const note of notes) results.push(warning('store note', note, hint))
  return results
}

async function checkDataset(
  context: CommandContext,
  cairn: Cairn,
  report: Report,
): Promise<DatasetStatus | undefined> {
  const { dataset: name, data_dir, max_snapshot_age } = context.config.values
  try {
    const dataset = await cairn.dataset(name)
    const status = await dataset.status({ signal: context.signal })
    await report(ok('dataset', `the index pointer of "${name}" and all that it names can be read`))
    const { totalCount } = await dataset.list({ limit: 1, signal: context.signal })
    await report(ok('entities', formatCount(totalCount)))
    const now = Date.now()
    for (const result of pointerResults(status, now)) await report(result)
    const looking = { dataset, now, signal: context.signal, maxSnapshotAgeMs: max_snapshot_age }
    const hasSession = await checkSaving(looking, status, report)
    const state = { dataset, status, dataDir: data_dir, hasSession, signal: context.signal }
    await checkState(state, report)
    await checkBackups({ ...looking, config: context.config, status, hasSession }, report)
    return status
  } catch (error) {
    await report(failedWith('dataset', error))
    return undefined
  }
}

export function pointerResults({ pointer }: DatasetStatus, now: number): CheckResult[] {
  const { settings, recent_count: recent, ts } = pointer
  const limit = settings.chain_limit
  const chain = `${formatCount(recent)} of ${formatCount(limit)} recent entries`
  return [
    recent < limit * 0.8
      ? ok('recent chain', chain)
      : warning('recent chain', `${chain}.`, 'Run `cairn build-snapshot` more often.'),
    ts <= now + CLOCK_SLACK_MS
      ? ok('time of commits', `the newest is of ${formatTime(ts)}`)
      : failed(
          'time of commits',
          `The newest commit is of ${formatTime(ts)}, later than this clock.`,
          'Set the clocks of all machines that write to this store.',
        ),
  ]
}
