/** How far something is; without a total, that it goes on. */
import type { VNode } from 'preact'
import { countText } from './format.ts'

export interface ProgressProps {
  readonly label: string
  readonly done: number
  readonly total: number | null
  /** Amounts as text. */
  readonly text?: (value: number) => string
}

export function Progress({ label, done, total, text = countText }: ProgressProps): VNode {
  const known = total !== null && total > 0
  const said = known ? `${text(Math.min(done, total))} of ${text(total)}` : text(done)
  return (
    <div class="progress-box">
      <div class="row spread small">
        <span>{label}</span>
        <span class="muted">{said}</span>
      </div>
      <progress
        class="progress"
        aria-label={label}
        aria-valuetext={said}
        {...(known ? { max: total, value: Math.min(done, total) } : {})}
      />
    </div>
  )
}

export interface MeterProps {
  readonly label: string
  readonly value: number
  readonly most: number
  readonly level: 'ok' | 'warning' | 'critical'
}

/** How full something is. */
export function Meter({ label, value, most, level }: MeterProps): VNode {
  const part = most > 0 ? Math.min(1, value / most) : 0
  return (
    <div
      class={`meter meter-${level}`}
      role="meter"
      aria-label={label}
      aria-valuenow={value}
      aria-valuemin={0}
      aria-valuemax={most}
      aria-valuetext={`${countText(value)} of ${countText(most)}`}
    >
      <span style={{ width: `${(part * 100).toFixed(2)}%` }} />
    </div>
  )
}
