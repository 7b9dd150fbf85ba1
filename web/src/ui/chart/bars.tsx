/** One bar for each of several things, in their order. */
import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import { ValueAxis } from './axes.tsx'
import { ChartFrame } from './frame.tsx'
import { extent, linear, niceAxis } from './scale.ts'

export interface Bar {
  readonly key: string
  /** What it stands for, in words. */
  readonly name: string
  readonly value: number
  /** Of another colour; the name says why. */
  readonly other?: boolean
}

export interface BarChartProps {
  readonly title: string
  readonly summary: string
  readonly bars: readonly Bar[]
  readonly format: (value: number) => string
  /** What the bars and values are called in the table. */
  readonly names: readonly [bar: string, value: string]
  readonly height?: number
}

const MOST_WIDE = 28

export function BarChart({
  title,
  summary,
  bars,
  format,
  names,
  height = 160,
}: BarChartProps): VNode {
  const [here, setHere] = useState<number | undefined>(undefined)
  const values = bars.map(({ value }) => value)
  const { ends, ticks } = niceAxis(extent(values, true), 3)
  const longest = ticks.values.reduce((most, value) => Math.max(most, format(value).length), 0)
  const areaOf = (width: number) => ({
    left: longest * 7 + 10,
    right: width - 2,
    top: 8,
    bottom: height - 8,
  })
  const { top, bottom } = areaOf(0)
  const heights = linear(ends, [bottom, top])
  const stepOf = (width: number): number => {
    const { left, right } = areaOf(width)
    return Math.min(MOST_WIDE, (right - left) / Math.max(1, bars.length))
  }
  const read = here === undefined ? undefined : bars[here]
  return (
    <ChartFrame
      title={title}
      summary={summary}
      height={height}
      onPoint={(x, width) => {
        const i = x === undefined ? -1 : Math.floor((x - areaOf(width).left) / stepOf(width))
        setHere(i >= 0 && i < bars.length ? i : undefined)
      }}
      reading={read === undefined ? '' : `${read.name}: ${format(read.value)}`}
      columns={[
        { name: names[0], cell: ({ name }) => name, head: true },
        {
          name: names[1],
          cell: ({ value }) => format(value),
          number: true,
          sort: ({ value }) => value,
        },
      ]}
      rows={bars.toReversed()}
      rowKey={({ key }) => key}
      draw={(width) => (
        <>
          <ValueAxis area={areaOf(width)} scale={heights} ticks={ticks} format={format} />
          {bars.map(({ key, value, other }, i) => (
            <rect
              key={key}
              class={other === true ? 'bar-other' : 'bar'}
              opacity={here === undefined || here === i ? 1 : 0.55}
              x={areaOf(width).left + i * stepOf(width) + 1}
              width={Math.max(1, stepOf(width) - 2)}
              y={Math.min(heights.at(value), bottom - 1)}
              height={Math.max(1, bottom - heights.at(value))}
              rx="1.5"
            />
          ))}
        </>
      )}
    />
  )
}
