/** What coverage says, in sentences. Pure. */
import type { CoverageRecord, Finding } from '../../../../src/client/index.ts'
import type { Level } from '../../ui/card.tsx'
import { absoluteText, durationText, momentText, timeOf } from '../../ui/format.ts'
import type { Interval, Recovery } from './data.ts'

export interface Answer {
  readonly level: Level
  readonly headline: string
  readonly detail: string
}

/** `alerts`: of the checks that say whether what it would be brought back from is any good. */
export function answerOf(
  coverage: CoverageRecord,
  alerts: readonly Finding[],
  now: number,
): Answer {
  const { covered, intervals, findings, from } = coverage
  const holes = findings.filter(({ kind }) => kind === 'hole')
  const last = intervals.at(-1)
  const since = momentText(timeOf(from), now)
  const isDoubtful = alerts.some(({ level }) => level === 'critical')
  const isImperfect = findings.length + alerts.length > 0
  return {
    level: !covered || isDoubtful ? 'critical' : isImperfect ? 'warning' : 'ok',
    headline:
      holes.length > 0
        ? `Of ${holes.length === 1 ? 'one stretch' : `${holes.length} stretches`} of time nothing can be brought back`
        : !covered
          ? 'If the store is lost, all is lost'
          : isDoubtful
            ? 'Whether all can be brought back is in doubt'
            : `Every moment since ${since} can be brought back`,
    detail: lossText(last),
  }
}

/** What a loss of the store would cost now. */
function lossText(last: Interval | undefined): string {
  const cars = last?.cars ?? null
  if (cars === null) return 'There is no CAR that could be restored if the store were lost.'
  if (cars.proved_at === null)
    return 'If the store were lost now, the newest CAR might not help: restoring it on trial has failed.'
  if (cars.exact)
    return 'If the store were lost now, the CARs would bring back the newest state, and the moments that their row shows.'
  return `If the store were lost now, the CARs would bring back the state of ${stateOf(cars)}; up to ${durationText(cars.loses_ms)} of changes would be lost.`
}

const stateOf = ({ state_of }: Recovery): string =>
  state_of === null ? 'that moment' : absoluteText(timeOf(state_of))

/** What comes back, for a moment of an interval. */
export function recoveryText(recovery: Recovery | null): string {
  if (recovery === null) return 'nothing'
  const { by, exact, name } = recovery
  if (by === 'commit') return 'exactly that moment'
  const from =
    by === 'snapshot' ? `snapshot ${(name ?? '').replace('seq:', '')}` : (name ?? 'a CAR')
  return exact ? `exactly that, from ${from}` : `the state of ${stateOf(recovery)}, from ${from}`
}

export type Grade = 'exact' | 'nearly' | 'none'

export function gradeOf(recovery: Recovery | null): Grade {
  if (recovery === null) return 'none'
  return recovery.exact ? 'exact' : 'nearly'
}

export const GRADE_NAMES: Readonly<Record<Grade, string>> = {
  exact: 'exactly',
  nearly: 'an earlier state',
  none: 'not at all',
}

const PROVERS: Readonly<Record<'verify' | 'drill' | 'export', string>> = {
  verify: 'by verifying the store',
  drill: 'by restoring it on trial',
  export: 'by reading it back when it was made',
}

export const proverText = ({ proved_by }: Recovery): string =>
  proved_by === null ? '' : PROVERS[proved_by]

/** The interval that a moment lies in. */
export function intervalAt(intervals: readonly Interval[], at: number): Interval | undefined {
  return (
    intervals.find(({ from, to }) => timeOf(from) <= at && at < timeOf(to)) ??
    intervals.findLast(({ from, to }) => timeOf(from) <= at && at <= timeOf(to))
  )
}
