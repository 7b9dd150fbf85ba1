/**
 * What every route is given: one opened store, the settings as they are now, and who works on it by
 * itself. There is one Service a process.
 */
import type { Automation } from '../automation/automation.ts'
import type { Values } from '../config/schema.ts'
import type { Cairn } from '../cairn.ts'
import type { Logger } from '../engine/logger.ts'
import type { Dataset } from '../engine/dataset.ts'
import type { HealthWatch } from '../health/watch.ts'
import type { Jobs } from '../jobs/jobs.ts'
import type { Backend } from '../store/backend.ts'
import type { Tokens } from './access/tokens.ts'
import type { Heartbeats } from './heartbeats.ts'
import type { Metrics } from './metrics/metrics.ts'
import type { Samples } from './samples.ts'
import type { Sessions } from './sessions.ts'

export interface Service {
  readonly cairn: Cairn
  /** The same store, for verifying it. */
  readonly backend: Backend
  /**
   * A dataset that exists, one object a name: only appends that go through the same one share a
   * commit.
   */
  readonly dataset: (name: string) => Promise<Dataset>
  /** The current settings; SIGHUP replaces them. */
  readonly values: () => Values
  readonly jobs: Jobs
  readonly automation: Automation
  readonly health: HealthWatch
  readonly metrics: Metrics
  readonly samples: Samples
  readonly sessions: Sessions
  readonly heartbeats: Heartbeats
  readonly tokens: Tokens
  readonly log: Logger
  readonly now: () => number
  /** Aborted when the service begins to end: endless answers end then. */
  readonly draining: AbortSignal
}

/** The datasets of a store by name, each opened once; one that failed to open is tried again. */
export function sharedDatasets(cairn: Cairn): (name: string) => Promise<Dataset> {
  const opened = new Map<string, Promise<Dataset>>()
  return (name) => {
    const known = opened.get(name)
    if (known !== undefined) return known
    const opening = cairn.dataset(name)
    opened.set(name, opening)
    opening.catch(() => opened.delete(name))
    return opening
  }
}
