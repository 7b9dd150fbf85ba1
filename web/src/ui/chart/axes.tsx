/** The axes of charts: values on the left, times below. */
import type { VNode } from 'preact'
import { tickText } from '../format.ts'
import { timeTicks, type Scale, type Ticks } from './scale.ts'

export interface Area {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

interface ValueAxisProps {
  readonly area: Area
  readonly scale: Scale
  readonly ticks: Ticks
  readonly format: (value: number) => string
}

export function ValueAxis({ area, scale, ticks, format }: ValueAxisProps): VNode {
  return (
    <g>
      {ticks.values.map((value) => (
        <g key={value}>
          <line
            class="axis"
            x1={area.left}
            x2={area.right}
            y1={scale.at(value)}
            y2={scale.at(value)}
          />
          <text x={area.left - 8} y={scale.at(value)} dy="0.32em" text-anchor="end">
            {format(value)}
          </text>
        </g>
      ))}
    </g>
  )
}

interface TimeAxisProps {
  readonly area: Area
  readonly scale: Scale
  readonly low: number
  readonly high: number
}

const TICK_WIDTH = 88

export function TimeAxis({ area, scale, low, high }: TimeAxisProps): VNode {
  const { step, values } = timeTicks(low, high, (area.right - area.left) / TICK_WIDTH)
  return (
    <g>
      {values.map((at) => (
        <text key={at} x={scale.at(at)} y={area.bottom + 18} text-anchor="middle">
          {tickText(at, step)}
        </text>
      ))}
    </g>
  )
}
