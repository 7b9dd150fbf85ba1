/** Verifying a dataset in its store. What was found makes it fail, with the whole record. */
import { join } from 'node:path'
import { withFiles } from '../util/file-error.ts'
import type { FoundState, Problem } from '../verify/finding.ts'
import type { VerifyMode } from '../verify/plan.ts'
import { verdictError, type Verdict, type VerifyReport } from '../verify/report.ts'
import { verifyDataset } from '../verify/verify.ts'
import { longOptions, TaskFailure, type TaskContext } from './context.ts'

export interface VerifyTaskOptions {
  readonly mode: VerifyMode
}

export type VerifyRecord = Readonly<{
  status: Verdict
  dataset: string
  mode: VerifyMode['kind']
  commit: number | null
  snapshots: number
  proved: number
  blocks: number
  bytes: number
  found: Readonly<Record<FoundState, number>>
  unreachable: number | null
  problems: readonly Problem[]
  coverage: VerifyCoverage
  ledger: string
  notes: readonly string[]
}>

export interface VerifyCoverage {
  readonly parts: number
  readonly never_proved: number
  readonly half_within_ms: number | null
  readonly most_within_ms: number | null
  readonly proved_within_ms: number | null
  /** False where damage, the store or the time kept some parts from being known. */
  readonly whole: boolean
}

/** It opens no dataset, which may be damaged. */
export async function verifyTask(
  context: Omit<TaskContext, 'cairn'>,
  { mode }: VerifyTaskOptions,
): Promise<VerifyRecord> {
  const { backend, dataset, dataDir, now, log } = context
  const ledgerDir = join(dataDir, 'ledger')
  const report = await withFiles(ledgerDir, () =>
    verifyDataset(backend, dataset, { ...longOptions(context), mode, ledgerDir, now, log }),
  )
  const record = recordOf(report)
  const failure = verdictError(
    report,
    '`cairn repair --from CAR,kubo:URL,...` brings back what is missing or corrupt; the report lists it.',
  )
  if (failure !== undefined) throw new TaskFailure(failure, record)
  return record
}

function recordOf({ coverage, ...report }: VerifyReport): VerifyRecord {
  return {
    status: report.verdict,
    dataset: report.dataset,
    mode: report.mode,
    commit: report.commit,
    snapshots: report.snapshots,
    proved: report.proved,
    blocks: report.blocks,
    bytes: report.bytes,
    found: report.counts,
    unreachable: report.unreachable,
    problems: report.problems,
    coverage: {
      parts: coverage.parts,
      never_proved: coverage.never,
      half_within_ms: coverage.halfWithinMs,
      most_within_ms: coverage.mostWithinMs,
      proved_within_ms: coverage.allWithinMs,
      whole: report.whole,
    },
    ledger: report.ledger,
    notes: report.notes,
  }
}
