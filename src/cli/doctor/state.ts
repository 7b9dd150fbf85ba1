/** Checks of what is stored: whether a session's newest state can be read, and the damage that is known of. */
import { join } from 'node:path'
import { damagedCommits, isDamage, type DamagedCommits } from '../../engine/damage.ts'
import type { Dataset } from '../../engine/dataset.ts'
import type { DatasetStatus } from '../../engine/status.ts'
import { readProof } from '../../health/proof.ts'
import type { ProofFacts } from '../../health/observation.ts'
import { readValue } from '../../live/load.ts'
import { counted, formatCount } from '../format.ts'
import { failed, failedWith, ok, skipped, warning, type CheckResult, type Report } from './check.ts'

/** `cairn verify` takes all the time that it needs. */
const READ_MS = 3000

export interface StoredState {
  readonly dataset: Dataset
  readonly status: DatasetStatus
  readonly dataDir: string
  readonly hasSession: boolean
  readonly signal: AbortSignal
}

export async function checkState(state: StoredState, report: Report): Promise<void> {
  const { dataset, status, dataDir, hasSession, signal } = state
  if (hasSession) await report(await checkNewest(dataset, signal))
  const snapshots = []
  for await (const one of dataset.snapshots({ signal })) snapshots.push(one)
  for (const result of fallenBackResults(damagedCommits(snapshots))) await report(result)
  const owner = { dataset: dataset.name, identity: status.pointer.identity }
  await report(await checkProof(join(dataDir, 'ledger'), owner))
}

/** Every block that is read is hashed: who restarts the program now would find it so. */
async function checkNewest(dataset: Dataset, signal: AbortSignal): Promise<CheckResult> {
  const name = 'newest state'
  const until = performance.now() + READ_MS
  let read = 0
  try {
    for await (const { tip } of dataset.entries({ order: 'asc', signal })) {
      if (performance.now() > until)
        return ok(name, `the first ${counted(read, 'value')} can be read`)
      if (tip !== null) await readValue(dataset, tip, signal)
      read += 1
    }
    return ok(name, `all ${formatCount(read)} values can be read`)
  } catch (error) {
    if (!isDamage(error)) return failedWith(name, error)
    const hint =
      'A restart of its program goes back to the newest good state. To lose nothing: `cairn verify`, then `cairn repair --from` a backup.'
    return failed(name, `It is damaged: ${error.message}`, hint)
  }
}

export function fallenBackResults(ranges: readonly DamagedCommits[]): CheckResult[] {
  return ranges.map(({ to }) =>
    warning(
      'damaged state',
      `The state of commit ${to} was damaged, so an older one was made current; what is left of it is kept.`,
      `Bring its blocks back with \`cairn repair\`, then run \`cairn rollback --commit ${to}\`.`,
    ),
  )
}

async function checkProof(
  folder: string,
  owner: { readonly dataset: string; readonly identity: string },
): Promise<CheckResult> {
  try {
    return proofResult(await readProof(folder, owner))
  } catch (error) {
    return failedWith('verified', error)
  }
}

export function proofResult({ parts, never, problems }: ProofFacts): CheckResult {
  const name = 'verified'
  if (parts === 0) return skipped(name, 'not yet; `cairn verify` proves every block')
  if (problems === 0) return ok(name, `${formatCount(parts - never)} of ${counted(parts, 'part')}`)
  return failed(
    name,
    `${counted(problems, 'damaged or missing block')} were found by \`cairn verify\`.`,
    'Bring them back with `cairn repair --from` a backup, then verify again.',
  )
}
