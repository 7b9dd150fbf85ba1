/** Jobs as clients ask for them: who may, and as options of the tasks. Commands are never taken from here. */
import { join } from 'node:path'
import type { FastifyRequest } from 'fastify'
import { CairnError } from '../../errors.ts'
import type { Started } from '../../jobs/jobs.ts'
import type { RetentionPolicy } from '../../retention/policy.ts'
import { offsiteOf } from '../../tasks/offsite.ts'
import { parseRetention } from '../../tasks/retention.ts'
import type { VerifyMode } from '../../verify/plan.ts'
import { mayAlso, requireRight } from '../access/access.ts'
import { readBackupOf } from './backup-files.ts'
import { runJob } from '../dataset-tasks.ts'
import type { ExportRequest, JobRequest, RestoreRequest, VerifyRequest } from '../schemas/job.ts'
import type { Service } from '../service.ts'

export async function startJob(
  service: Service,
  request: FastifyRequest,
  dataset: string,
  asked: JobRequest,
): Promise<Started> {
  const { reason = 'manual' } = asked
  if (asked.kind !== 'build') requireRight(service, request, 'admin')
  if (asked.kind === 'restore') return startRestore(service, request, dataset, asked)
  // A job for a dataset that is not there is refused at once.
  await service.dataset(dataset)
  switch (asked.kind) {
    case 'build': {
      const { tags, meta, force } = asked
      const options = { tags, meta, force }
      return runJob(service, dataset, 'build', options, reason, { follow: true })
    }
    case 'export':
      return runJob(service, dataset, 'export', exportOptions(service, asked), reason)
    case 'prune': {
      const policy = policyOf(service, asked.keep, 'keep_snapshots')
      return runJob(service, dataset, 'prune', { policy, dryRun: asked.dry_run }, reason)
    }
    case 'prune-cars': {
      const policy = policyOf(service, asked.keep, 'keep_cars')
      return runJob(service, dataset, 'prune-cars', { policy, dryRun: asked.dry_run }, reason)
    }
    case 'verify':
      return runJob(service, dataset, 'verify', { mode: modeOf(service, asked) }, reason)
    case 'drill': {
      const { sample, max_rto_ms: maxRtoMs, max_rpo_ms: maxRpoMs } = asked
      const { cache_bytes: cacheBytes } = service.values()
      const options = { sample, maxRtoMs, maxRpoMs, cacheBytes }
      return runJob(service, dataset, 'drill', options, reason)
    }
  }
}

function exportOptions(
  { values }: Service,
  { content, since, snapshot, version, encrypt_to: encryptTo, force }: ExportRequest,
): Parameters<typeof runJob<'export'>>[3] {
  const settings = values()
  const after = settings.after_export ?? undefined
  const offsite = offsiteOf(settings)
  return { content, since, snapshot, v2: version === 2, encryptTo, force, after, offsite }
}

async function startRestore(
  service: Service,
  request: FastifyRequest,
  dataset: string,
  { reason = 'manual', backups, as, at, replace, dry_run: dryRun }: RestoreRequest,
): Promise<Started> {
  checkTarget(service, request, dataset, as)
  const { backups_dir: folder } = service.values()
  for (const name of backups) await readBackupOf(folder, dataset, name)
  const files = backups.map((name) => join(folder, name))
  return alone(runJob(service, dataset, 'restore', { files, as, at, replace, dryRun }, reason))
}

/** Whoever is bound to some datasets does not write into another one. */
export function checkTarget(
  service: Service,
  request: FastifyRequest,
  dataset: string,
  as: string | undefined,
): void {
  if (as === undefined || as === dataset || mayAlso(service, 'admin', request)) return
  throw new CairnError('access_denied', `The token is not for the dataset "${as}".`, {
    hint: 'Restoring under another name needs a token for all datasets.',
  })
}

/** One that was joined restores something else. */
export function alone(started: Started): Started {
  if (!started.joined) return started
  throw new CairnError('busy', 'Another restore of this dataset is under way.', {
    hint: 'Wait for its end, or cancel it.',
    job: started.job.id,
  })
}

function policyOf(
  { values }: Service,
  rules: string | undefined,
  setting: 'keep_snapshots' | 'keep_cars',
): RetentionPolicy {
  const policy = parseRetention(rules ?? values()[setting])
  if (policy !== undefined) return policy
  throw new CairnError('usage', `The setting ${setting} says never.`, {
    hint: 'Say what to keep, such as {"keep": "last=10,daily=30"}.',
  })
}

function modeOf({ values }: Service, { mode = 'full', budget_ms: ms }: VerifyRequest): VerifyMode {
  if (mode === 'budget') return { kind: 'budget', ms: ms ?? values().verify_budget }
  if (ms === undefined) return { kind: mode }
  throw new CairnError('usage', 'Only a verification of mode "budget" has a budget.', {
    hint: 'Leave budget_ms out, or ask for that mode.',
  })
}
