/** What is said of a dataset's health, as src/health/report.ts makes it. */
import { Type, type TSchema } from 'typebox'
import { CHECKS } from '../../health/report.ts'
import { strict } from './common.ts'

const LevelSchema = Type.Enum(['ok', 'warning', 'critical'])

const FindingSchema = strict({
  check: Type.Enum([...CHECKS]),
  level: LevelSchema,
  message: Type.String(),
  hint: Type.Optional(Type.String()),
  value: Type.Optional(Type.Number()),
  threshold: Type.Optional(Type.Number()),
  code: Type.Optional(Type.String()),
})

export const HealthReportSchema: TSchema = strict({
  healthy: Type.Boolean(),
  level: LevelSchema,
  dataset: Type.String(),
  checked_at: Type.String(),
  recent_count: Type.Union([Type.Integer(), Type.Null()]),
  snapshot_ts: Type.Union([Type.String(), Type.Null()]),
  alerts: Type.Array(FindingSchema),
  checks: Type.Array(FindingSchema),
})
