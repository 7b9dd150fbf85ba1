/** Which task a kind of job is, and with which options the automation runs it. */
import type { TaskContext, TaskResult } from '../tasks/context.ts'
import { buildTask } from '../tasks/build.ts'
import { drillTask } from '../tasks/drill.ts'
import { exportTask } from '../tasks/export.ts'
import { copyOffsite } from '../tasks/offsite.ts'
import { pruneTask } from '../tasks/prune.ts'
import { pruneCarsTask } from '../tasks/prune-cars.ts'
import { verifyTask } from '../tasks/verify.ts'
import { CairnError } from '../errors.ts'
import type { AutomationPolicy, ScheduledKind } from './policy.ts'

export interface RunOptions {
  readonly reason: string
  /** Of an export: what it made is there, and only its copies are missing. */
  readonly copiesOnly: boolean
}

export async function runTask(
  kind: ScheduledKind,
  context: TaskContext,
  policy: AutomationPolicy,
  { reason, copiesOnly }: RunOptions,
): Promise<TaskResult> {
  switch (kind) {
    case 'build':
      return buildTask(context, { reason })
    case 'export':
      return copiesOnly && policy.offsite !== undefined
        ? copyOffsite(context, policy.offsite)
        : exportTask(context, { after: policy.afterExport, offsite: policy.offsite })
    case 'prune':
      return pruneTask(context, { policy: ruled(policy.keepSnapshots) })
    case 'prune-cars':
      return pruneCarsTask(context, { policy: ruled(policy.keepCars) })
    case 'verify':
      return verifyTask(context, { mode: { kind: 'budget', ms: policy.verifyBudgetMs } })
    case 'drill':
      return drillTask(context)
  }
}

function ruled<T>(policy: T | undefined): T {
  if (policy !== undefined) return policy
  throw new CairnError('config', 'Nothing is pruned: the rules are set to "never".', {
    hint: 'Set keep_snapshots and keep_cars.',
  })
}
