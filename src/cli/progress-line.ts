/** The words of progress: one line that fits the terminal, and what was done in how long. */
import type { Progress } from '../engine/context.ts'
import { formatBytes, formatCount, formatSpan } from './format.ts'

export interface Pace {
  /** A second. */
  readonly rate: number | undefined
  readonly leftMs: number | undefined
  readonly elapsedMs: number
}

export interface StepDone {
  readonly step: string
  readonly unit: Progress['unit']
  readonly done: number
  readonly ms: number
}

const BARS = [24, 16, 8] as const

export function amount(count: number, unit: Progress['unit']): string {
  return unit === 'bytes' ? formatBytes(count) : formatCount(count)
}

/** At most `width` columns; without a width there is no bar. */
export function progressLine(progress: Progress, pace: Pace, width?: number): string {
  const forms = formsOf(progress, pace, width !== undefined)
  const most = width ?? Infinity
  return forms.find((one) => one.length <= most) ?? (forms.at(-1) ?? '').slice(0, most)
}

/** The same with less and less. */
function formsOf(progress: Progress, pace: Pace, bar: boolean): string[] {
  const { step, done, total, unit } = progress
  const speed = pace.rate === undefined ? [] : [`${amount(Math.round(pace.rate), unit)}/s`]
  const join = (...parts: readonly string[]): string => parts.join('  ')
  if (total === undefined || total <= 0) {
    const spent = wholeSeconds(pace.elapsedMs)
    if (done === 0) return [join(`${step}:`, spent), step]
    const count = `${step}: ${amount(done, unit)}`
    return [join(count, ...speed, spent), join(count, ...speed), count, step]
  }
  const part = Math.min(1, done / total)
  const percent = `${Math.floor(part * 100)}%`
  const left = pace.leftMs === undefined ? [] : [`${wholeSeconds(pace.leftMs)} left`]
  const of = `${amount(done, unit)}/${amount(total, unit)}`
  const pictures = bar ? BARS.map((size) => `${step}: ${picture(part, size)} ${percent}`) : []
  const plain = `${step}: ${percent}`
  return [
    ...pictures.map((one) => join(one, of, ...speed, ...left)),
    join(plain, of, ...speed, ...left),
    join(plain, ...speed, ...left),
    join(plain, ...left),
    plain,
    percent,
  ]
}

const wholeSeconds = (ms: number): string => formatSpan(Math.max(1, Math.ceil(ms / 1000)) * 1000)

function picture(part: number, size: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, part)) * size)
  return `[${'#'.repeat(filled)}${'.'.repeat(size - filled)}]`
}

const MOST_STEPS = 4

/** `took 12 s: merge 2,300 at 1,200/s, prove 12`; the steps that took longest. */
export function doneLine(steps: readonly StepDone[], elapsedMs: number): string {
  const longest = new Set(steps.toSorted((a, b) => b.ms - a.ms).slice(0, MOST_STEPS))
  const parts = steps.filter((one) => longest.has(one) && one.done > 0).map(stepText)
  const what = parts.length === 0 ? '' : `: ${parts.join(', ')}`
  return `took ${formatSpan(elapsedMs)}${what}`
}

function stepText({ step, unit, done, ms }: StepDone): string {
  const speed = ms < 100 ? '' : ` at ${amount(Math.round((done * 1000) / ms), unit)}/s`
  return `${step} ${amount(done, unit)}${speed}`
}
