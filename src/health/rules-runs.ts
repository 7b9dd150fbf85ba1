/** Rules about what the service does by itself. Pure. */
import type { RunFacts } from './observation.ts'
import type { Finding } from './report.ts'
import { minutesText, timeText } from './words.ts'

const FAILURES_IN_ROW = 3
const SLOW_BUILD_MS = 30 * 60_000

export function buildRule(build: RunFacts | undefined): Finding[] {
  if (build === undefined) return []
  const { failuresInRow, durationMs } = build
  if (failuresInRow >= FAILURES_IN_ROW) {
    return [
      {
        check: 'build',
        level: 'critical',
        message: `The last ${failuresInRow} builds failed: ${reasonOf(build)}`,
        hint: 'cairn build-snapshot shows what is wrong.',
        value: failuresInRow,
        threshold: FAILURES_IN_ROW,
      },
    ]
  }
  if (build.failed) {
    const message = `The last build failed, and will be tried again: ${reasonOf(build)}`
    return [{ check: 'build', level: 'ok', message, value: failuresInRow }]
  }
  const took = durationMs ?? 0
  return [
    {
      check: 'build',
      level: took > SLOW_BUILD_MS ? 'warning' : 'ok',
      message: `The last build took ${minutesText(took)}`,
      value: took,
      threshold: SLOW_BUILD_MS,
      hint: 'Build more often, or see what keeps the store busy.',
    },
  ]
}

export function exportRule(last: RunFacts | undefined): Finding[] {
  if (last === undefined) return []
  const when = timeText(last.finishedAt)
  if (!last.failed)
    return [{ check: 'export', level: 'ok', message: `The last export, of ${when}, succeeded` }]
  return [
    {
      check: 'export',
      level: 'critical',
      message: `The last export, of ${when}, failed: ${reasonOf(last)}`,
      hint: 'cairn export-car shows what is wrong.',
      value: last.failuresInRow,
    },
  ]
}

const reasonOf = ({ message }: RunFacts): string => message ?? 'the reason is not known.'
