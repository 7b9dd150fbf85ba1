/** Snapshots and CARs on one axis of time. The list below has the same in words. */
import type { VNode } from 'preact'
import { useId, useRef, useState } from 'preact/hooks'
import type { BackupRecord } from '../../../../src/client/index.ts'
import { TimeAxis } from '../../ui/chart/axes.tsx'
import { useWidth } from '../../ui/chart/frame.tsx'
import { linear, type Scale } from '../../ui/chart/scale.ts'
import { absoluteText, bytesText, pluralText, timeOf } from '../../ui/format.ts'
import { generationsOf, type Moment } from './history.ts'

interface AxisProps {
  readonly moments: readonly Moment[]
  readonly cars: readonly BackupRecord[]
  /** Called for a snapshot that was pointed at and chosen. */
  readonly onChoose: (seq: number) => void
}

interface Mark {
  readonly key: string
  readonly at: number
  readonly lane: 'snapshots' | 'cars'
  readonly kind: 'current' | 'kept' | 'left' | 'whole' | 'delta'
  readonly seq: number
  readonly text: string
}

const LANES = { snapshots: 24, cars: 58 } as const
const BOTTOM = 78
const HEIGHT = BOTTOM + 26
const LEFT = 84

export function Axis({ moments, cars, onChoose }: AxisProps): VNode {
  const id = useId()
  const box = useRef<HTMLDivElement>(null)
  const width = useWidth(box)
  const [here, setHere] = useState<Mark | undefined>(undefined)
  // What comes later lies on top, and the current one above all.
  const marks = [...moments.map(snapshotMark), ...cars.map(carMark)].sort(
    (a, b) => Number(a.kind === 'current') - Number(b.kind === 'current') || a.at - b.at,
  )
  const times = marks.map(({ at }) => at)
  const [low, high] = [
    times.reduce((a, b) => Math.min(a, b), Infinity),
    times.reduce((a, b) => Math.max(a, b), -Infinity),
  ]
  const [left, right] = [width < 480 ? 12 : LEFT, width - 12]
  const scale = linear([low, high], [left, right])
  const point = (event: PointerEvent): Mark | undefined => {
    const bounds = box.current?.getBoundingClientRect()
    if (bounds === undefined) return undefined
    return nearest(marks, scale, event.clientX - bounds.left, event.clientY - bounds.top)
  }
  const breaks = generationsOf(cars)
  return (
    <figure class="chart-figure">
      <div
        class="chart moment-axis"
        ref={box}
        onPointerMove={(event) => setHere(point(event))}
        onPointerLeave={() => setHere(undefined)}
        onClick={() => here !== undefined && onChoose(here.seq)}
      >
        <svg height={HEIGHT} role="img" aria-labelledby={`${id}-title ${id}-desc`}>
          <title id={`${id}-title`}>Snapshots and CARs over time</title>
          <desc id={`${id}-desc`}>{summaryText(moments, cars, low, high)}</desc>
          {width > 0 && marks.length > 0 && (
            <>
              <Lanes left={left} right={right} named={left === LEFT} />
              <TimeAxis
                area={{ left, right, top: 0, bottom: BOTTOM }}
                scale={scale}
                low={low}
                high={high}
              />
              {breaks.map(({ at, generation }) => (
                <line
                  key={generation}
                  class="moment-break"
                  x1={scale.at(at)}
                  x2={scale.at(at)}
                  y1="6"
                  y2={BOTTOM}
                />
              ))}
              {marks.map((mark) => (
                <MarkShape
                  key={mark.key}
                  mark={mark}
                  x={scale.at(mark.at)}
                  here={mark.key === here?.key}
                />
              ))}
            </>
          )}
        </svg>
      </div>
      <p class="chart-read small muted" aria-hidden="true">
        {here?.text ?? legendText(moments, cars, breaks.length)}
      </p>
    </figure>
  )
}

function Lanes({ left, right, named }: { left: number; right: number; named: boolean }): VNode {
  return (
    <g>
      {(['snapshots', 'cars'] as const).map((lane) => (
        <g key={lane}>
          <line class="axis" x1={left} x2={right} y1={LANES[lane]} y2={LANES[lane]} />
          {named && (
            <text x="0" y={LANES[lane]} dy="0.32em">
              {lane === 'snapshots' ? 'Snapshots' : 'CARs'}
            </text>
          )}
        </g>
      ))}
    </g>
  )
}

function MarkShape({ mark, x, here }: { mark: Mark; x: number; here: boolean }): VNode {
  const y = LANES[mark.lane]
  const name = `moment-mark moment-mark-${mark.kind}${here ? ' moment-mark-here' : ''}`
  if (mark.lane === 'snapshots')
    return <circle class={name} cx={x} cy={y} r={mark.kind === 'current' ? 7 : 5} />
  const size = mark.kind === 'whole' ? 6 : 4.5
  return <rect class={name} x={x - size} y={y - size} width={2 * size} height={2 * size} rx="1.5" />
}

function snapshotMark({ snapshot, left }: Moment): Mark {
  const { seq, ts, live, current } = snapshot
  const at = timeOf(ts)
  const kind = current ? 'current' : left ? 'left' : 'kept'
  const text = `Snapshot ${seq}, ${absoluteText(at)}: ${pluralText(live, 'entity', 'entities')}`
  return { key: `snapshot ${snapshot.cid}`, at, lane: 'snapshots', kind, seq, text }
}

function carMark({ filename, ts, seq, size_bytes, since }: BackupRecord): Mark {
  const at = timeOf(ts)
  const kind = since === null ? 'whole' : 'delta'
  const text = `${filename}, ${bytesText(size_bytes)}${since === null ? '' : ', what was new'}`
  return { key: `car ${filename}`, at, lane: 'cars', kind, seq, text }
}

const REACH = 24

function nearest(marks: readonly Mark[], scale: Scale, x: number, y: number): Mark | undefined {
  let [found, least]: [Mark | undefined, number] = [undefined, REACH]
  for (const mark of marks) {
    const away = Math.hypot(scale.at(mark.at) - x, LANES[mark.lane] - y)
    if (away < least) [found, least] = [mark, away]
  }
  return found
}

function summaryText(
  moments: readonly Moment[],
  cars: readonly BackupRecord[],
  low: number,
  high: number,
): string {
  const what = `${pluralText(moments.length, 'snapshot')} and ${pluralText(cars.length, 'CAR')}`
  return `${what} from ${absoluteText(low)} to ${absoluteText(high)}. The list below has them in words.`
}

function legendText(
  moments: readonly Moment[],
  cars: readonly BackupRecord[],
  breaks: number,
): string {
  return [
    'Large circle: current',
    ...(moments.some(({ left }) => left) ? ['hollow: left by a rollback or restore'] : []),
    ...(cars.some(({ since }) => since !== null) ? ['small square: delta'] : []),
    ...(breaks > 0 ? ['dashed: a new generation'] : []),
  ].join(', ')
}
