/** Puts a service together over an opened store: who works on it, and who is told of what. Starts nothing. */
import { setMaxListeners } from 'node:events'
import { createAutomation, type Automation } from '../../automation/automation.ts'
import type { AutomationState } from '../../automation/state.ts'
import type { Config } from '../../config/resolve.ts'
import type { Cairn } from '../../cairn.ts'
import type { Logger } from '../../engine/logger.ts'
import { isCairnError } from '../../errors.ts'
import { openHealthWatch } from '../../health/watch.ts'
import { JOB_KINDS } from '../../jobs/job.ts'
import { Jobs } from '../../jobs/jobs.ts'
import type { Backend } from '../../store/backend.ts'
import { openTokens, type Tokens } from '../access/tokens.ts'
import { createHeartbeats } from '../heartbeats.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { createSamples } from '../samples.ts'
import { createSessions } from '../sessions.ts'
import { sharedDatasets, type Service } from '../service.ts'
import type { LastRun } from '../metrics/store-gauges.ts'

export interface Parts {
  readonly backend: Backend
  readonly cairn: Cairn
  readonly metrics: Metrics
  /** As they are now. */
  readonly config: () => Pick<Config, 'values' | 'origins'>
  readonly tokens?: Tokens
  readonly log: Logger
  readonly now: () => number
  readonly draining: AbortSignal
}

export function assemble({ config, metrics, ...parts }: Parts): Service {
  const { backend, cairn, log, now } = parts
  // Every stream of changes listens to it.
  setMaxListeners(0, parts.draining)
  const values = (): Config['values'] => config().values
  const dataset = sharedDatasets(cairn)
  const jobs = new Jobs({ now, log })
  const given = { cairn, ...config(), now, log }
  const health = openHealthWatch(given)
  const automation = createAutomation({ ...given, backend, jobs })
  const tokens = parts.tokens ?? openTokens({ path: () => values().tokens_file, log })
  jobs.onEnd((job) => metrics.jobEnded(job))
  metrics.watch({
    cairn,
    dataset,
    backupsDir: () => values().backups_dir,
    jobs: () => jobs.list(),
    health: (name) => health.latest(name),
    lastRuns: (name) => lastRuns(automation, name),
    now,
  })
  const samples = createSamples({ cairn, dataset, now, stop: parts.draining })
  const live = liveOf({ ...parts, dataset, automation })
  return { ...parts, dataset, values, jobs, automation, health, metrics, samples, tokens, ...live }
}

function liveOf({
  cairn,
  dataset,
  automation,
  log,
  draining,
}: Pick<Service, 'cairn' | 'dataset' | 'automation' | 'log' | 'draining'>): Pick<
  Service,
  'sessions' | 'heartbeats'
> {
  const sessions = createSessions({
    dataset,
    onChange: (name) => automation.noteChange(name),
  })
  const heartbeats = createHeartbeats({
    sessions,
    datasets: () => cairn.datasets(),
    generation: async (name) => (await (await dataset(name)).head()).generation.tag,
    save: (name, reason) => automation.save(name, reason),
    log,
    stop: draining,
  })
  return { sessions, heartbeats }
}

function lastRuns(automation: Automation, dataset: string): LastRun[] {
  const runs = runsOf(automation, dataset)
  return JOB_KINDS.flatMap((kind) => {
    const last = runs[kind]?.last
    if (last === undefined || last === null) return []
    return [{ kind, at: Date.parse(last.finished_at), success: last.state === 'succeeded' }]
  })
}

/** Of one that nobody looks after yet there are none. */
function runsOf(automation: Automation, dataset: string): AutomationState['runs'] {
  try {
    return automation.state(dataset).runs
  } catch (error) {
    if (isCairnError(error, 'dataset_not_found')) return {}
    throw error
  }
}
