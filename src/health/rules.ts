/** The rules of health: what was observed, against the limits. Pure; what could not be looked at is not healthy. */
import type { HealthLimits } from './limits.ts'
import type { Observation, Looked } from './observation.ts'
import type { Check, Finding } from './report.ts'
import { offsiteRule } from './offsite.ts'
import { backupsRule, carRule, drillRule, growthRule } from './rules-backups.ts'
import { buildRule, exportRule } from './rules-runs.ts'
import {
  chainRule,
  diskRule,
  durabilityRule,
  snapshotRule,
  storeRule,
  verifyRule,
} from './rules-store.ts'

/** In the order of the checks. Without a readable dataset there is nothing else to say. */
export function judge(seen: Observation, limits: HealthLimits): Finding[] {
  const { status, at } = seen
  if ('trouble' in status) return [troubleFinding('store', status.trouble, '')]
  const facts = status.value
  return [
    ...storeRule(facts, at),
    ...chainRule(facts, limits),
    ...snapshotRule(facts, limits, at),
    ...looked('car', seen.backups, ({ backups }) => carRule(seen, facts, backups, limits)),
    ...(seen.offsite === undefined
      ? []
      : looked('offsite', seen.offsite, (copies) => offsiteRule(copies, facts, seen, limits))),
    ...looked('disk', seen.space, diskRule),
    ...looked('drill', seen.drill, (drill) => drillRule(seen, facts, drill, limits)),
    ...looked('verify', seen.proof, verifyRule),
    ...looked('build', seen.automation, (automation) => buildRule(automation?.build)),
    ...looked('export', seen.automation, (automation) => exportRule(automation?.export)),
    ...(limits.maxBackupsBytes === 0
      ? []
      : looked('backups', seen.backupsBytes, (bytes) => backupsRule(bytes, limits))),
    // That the folder cannot be read was said above.
    ...('trouble' in seen.backups ? [] : growthRule(facts, seen.backups.value.backups)),
    ...durabilityRule(facts, limits),
  ]
}

function looked<T>(check: Check, at: Looked<T>, rule: (value: T) => Finding[]): Finding[] {
  return 'trouble' in at
    ? [troubleFinding(check, at.trouble, 'cannot be checked: ')]
    : rule(at.value)
}

function troubleFinding(
  check: Check,
  {
    code,
    message,
    hint,
  }: { code: NonNullable<Finding['code']>; message: string; hint?: string | undefined },
  before: string,
): Finding {
  return {
    check,
    level: 'critical',
    message: `${before}${message}`,
    ...(hint === undefined ? {} : { hint }),
    code,
  }
}
