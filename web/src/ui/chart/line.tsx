/** Values over time as lines. */
import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import { absoluteText } from '../format.ts'
import type { Column } from '../table.tsx'
import { TimeAxis, ValueAxis, type Area } from './axes.tsx'
import { ChartFrame } from './frame.tsx'
import { extent, linear, niceAxis, thinned, type Scale, type Ticks } from './scale.ts'

export interface Point {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly value: number
}

export interface Series {
  readonly name: string
  /** In the order of time. */
  readonly points: readonly Point[]
}

export interface LineChartProps {
  readonly title: string
  readonly summary: string
  readonly series: readonly Series[]
  readonly format: (value: number) => string
  /** Shorter, for the axis. */
  readonly tick?: (value: number) => string
  readonly fromZero?: boolean
  /** A line that should not be crossed. */
  readonly limit?: { readonly value: number; readonly name: string } | undefined
  /** Values hold until the next one. */
  readonly steps?: boolean
  readonly height?: number
  /** A gap between points that is longer is left open. */
  readonly gapMs?: number
}

const ROWS = 25

export function LineChart(props: LineChartProps): VNode {
  const { title, summary, series, format, height = 180, limit } = props
  const [here, setHere] = useState<number | undefined>(undefined)
  const shape = shapeOf(props, height)
  const point = (x: number | undefined, width: number): void => {
    setHere(x === undefined ? undefined : shape.times(width).from(x))
  }
  const read = here === undefined ? undefined : nearest(series[0]?.points ?? [], here)
  const found = read === undefined ? [] : series.map((one) => nearest(one.points, read.at))
  const reading =
    read === undefined
      ? legend(series, limit)
      : `${absoluteText(read.at)}: ${series
          .map(({ name }, i) => `${name} ${format(found[i]?.value ?? 0)}`)
          .join(', ')}`
  return (
    <ChartFrame
      title={title}
      summary={summary}
      height={height}
      draw={(width) => <Drawing {...props} shape={shape} width={width} read={read} />}
      onPoint={point}
      reading={reading}
      columns={columnsOf(series, format)}
      rows={thinned(series[0]?.points ?? [], ROWS).toReversed()}
      rowKey={({ at }) => at}
    />
  )
}

function legend(series: readonly Series[], limit: LineChartProps['limit']): string {
  const names = series.length > 1 ? series.map(({ name }) => name) : []
  return [...names, ...(limit === undefined ? [] : [`dashed: ${limit.name}`])].join(', ')
}

interface Shape {
  readonly low: number
  readonly high: number
  readonly values: Scale
  readonly ticks: Ticks
  readonly area: (width: number) => Area
  readonly times: (width: number) => Scale
}

function shapeOf(
  { series, limit, format, tick = format, fromZero = true }: LineChartProps,
  height: number,
): Shape {
  const points = series.flatMap((one) => one.points)
  const times = points.map(({ at }) => at)
  const [low, high] = [
    times.reduce((a, b) => Math.min(a, b), Infinity),
    times.reduce((a, b) => Math.max(a, b), -Infinity),
  ]
  const given = [...points.map(({ value }) => value), ...(limit === undefined ? [] : [limit.value])]
  const { ends, ticks } = niceAxis(extent(given, fromZero), 4)
  const longest = ticks.values.reduce((most, value) => Math.max(most, tick(value).length), 0)
  const area = (width: number): Area => ({
    left: longest * 7 + 10,
    right: width - 6,
    top: 8,
    bottom: height - 26,
  })
  const { top: above, bottom: below } = area(0)
  return {
    low,
    high,
    ticks,
    area,
    values: linear(ends, [below, above]),
    times: (width) => linear([low, high], [area(width).left, area(width).right]),
  }
}

type DrawingProps = LineChartProps & {
  readonly shape: Shape
  readonly width: number
  readonly read: Point | undefined
}

function Drawing({
  shape,
  width,
  read,
  series,
  limit,
  format,
  tick = format,
  steps,
  gapMs,
}: DrawingProps): VNode {
  const area = shape.area(width)
  const times = shape.times(width)
  const place = { times, values: shape.values, steps: steps === true, gapMs: gapMs ?? Infinity }
  const [first] = series
  return (
    <>
      <ValueAxis area={area} scale={shape.values} ticks={shape.ticks} format={tick} />
      <TimeAxis area={area} scale={times} low={shape.low} high={shape.high} />
      {series.length === 1 && first !== undefined && gapMs === undefined && (
        <path class="area" d={areaPath(first.points, place, area.bottom)} />
      )}
      {series.map(({ name, points }, i) => (
        <path key={name} class={`line line-${i}`} d={linePath(points, place)} />
      ))}
      {limit !== undefined && (
        <line
          class="line-limit"
          x1={area.left}
          x2={area.right}
          y1={shape.values.at(limit.value)}
          y2={shape.values.at(limit.value)}
        />
      )}
      {read !== undefined && (
        <g>
          <line
            class="here"
            x1={times.at(read.at)}
            x2={times.at(read.at)}
            y1={area.top}
            y2={area.bottom}
          />
          <circle class="dot" cx={times.at(read.at)} cy={shape.values.at(read.value)} r="4" />
        </g>
      )}
    </>
  )
}

interface Place {
  readonly times: Scale
  readonly values: Scale
  readonly steps: boolean
  readonly gapMs: number
}

function linePath(points: readonly Point[], { times, values, steps, gapMs }: Place): string {
  return points
    .map(({ at, value }, i) => {
      const [x, y] = [times.at(at).toFixed(1), values.at(value).toFixed(1)]
      const before = points[i - 1]
      if (before === undefined || at - before.at > gapMs) return `M${x} ${y}h0.01`
      return steps ? `H${x}V${y}` : `L${x} ${y}`
    })
    .join('')
}

function areaPath(points: readonly Point[], place: Place, bottom: number): string {
  const [first, last] = [points[0], points.at(-1)]
  if (first === undefined || last === undefined) return ''
  return `${linePath(points, place)}V${bottom}H${place.times.at(first.at).toFixed(1)}Z`
}

function nearest(points: readonly Point[], at: number): Point | undefined {
  let found = points[0]
  for (const point of points)
    if (found === undefined || Math.abs(point.at - at) < Math.abs(found.at - at)) found = point
  return found
}

function columnsOf(series: readonly Series[], format: (value: number) => string): Column<Point>[] {
  return [
    { name: 'When', cell: ({ at }) => absoluteText(at), head: true, sort: ({ at }) => at },
    ...series.map(({ name, points }): Column<Point> => ({
      name,
      number: true,
      cell: ({ at }) => format(nearest(points, at)?.value ?? 0),
      sort: ({ at }) => nearest(points, at)?.value ?? 0,
    })),
  ]
}
