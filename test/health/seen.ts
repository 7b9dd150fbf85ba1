/** A dataset in the best of health, and settings, to be changed by each test. */
import { backup } from '../backup/backups.ts'
import { SETTINGS, SETTING_NAMES, type Values } from '../../src/config/schema.ts'
import type { HealthLimits } from '../../src/health/limits.ts'
import type { DatasetFacts, Observation } from '../../src/health/observation.ts'
import type { Finding, HealthReport } from '../../src/health/report.ts'
import { healthReport } from '../../src/health/report.ts'

export const HOUR = 3_600_000
export const DAY: number = 24 * HOUR
export const NOW: number = Date.UTC(2026, 4, 1, 12)

export const LIMITS: HealthLimits = {
  alertThreshold: undefined,
  emergencyThreshold: undefined,
  maxSnapshotAgeMs: 48 * HOUR,
  maxCarAgeMs: undefined,
  exportEveryMs: undefined,
  maxOffsiteAgeMs: 48 * HOUR,
  maxDrillAgeMs: 35 * DAY,
  maxBackupsBytes: 0,
  requireSync: false,
}

export const FACTS: DatasetFacts = {
  identity: 'one',
  generation: 0,
  next: 100,
  commitTs: NOW - HOUR,
  chainLimit: 10_000,
  recentCount: 10,
  snapshotSeq: 7,
  snapshotTs: NOW - HOUR,
  location: 'lmdb:/store',
  synced: true,
  notes: [],
}

export const BEST: Observation = {
  dataset: 'main',
  at: NOW,
  backupsDir: '/backups',
  status: { value: FACTS },
  backups: {
    value: { backups: [backup('new', { next: 100, at: NOW - HOUR })], unfinished: [], damaged: [] },
  },
  backupsBytes: { value: 1000 },
  space: { value: [{ where: 'the store', freePercent: 60 }] },
  drill: {
    value: {
      dataset: 'main',
      passed: true,
      finishedAt: NOW - DAY,
      rtoMs: 20,
      snapshot: 'x',
      sources: ['/backups/new.car'],
    },
  },
  proof: { value: { parts: 5, never: 1, problems: 0, oldest: NOW - DAY } },
  automation: { value: undefined },
}

/** All settings with their defaults, but for those given. */
export function valuesOf(given: Partial<Values> = {}): Values {
  const basis = { data_dir: given.data_dir ?? '/nowhere', chain_limit: given.chain_limit ?? 10_000 }
  const defaults = SETTING_NAMES.map((name) => [name, SETTINGS[name].fallback(basis)])
  return { ...(Object.fromEntries(defaults) as unknown as Values), ...given }
}

export function reportWith(checks: readonly Finding[], at: number = NOW): HealthReport {
  return healthReport({ dataset: 'main', at, recentCount: 1, snapshotTs: at }, checks)
}
