/** All the time that is looked at, in two bands: what the store brings back, and what the CARs alone do. */
import type { VNode } from 'preact'
import { useId, useRef, useState } from 'preact/hooks'
import type { CoverageRecord } from '../../../../src/client/index.ts'
import { TimeAxis } from '../../ui/chart/axes.tsx'
import { useWidth } from '../../ui/chart/frame.tsx'
import { linear, type Scale } from '../../ui/chart/scale.ts'
import { absoluteText, timeOf } from '../../ui/format.ts'
import type { Interval, Recovery } from './data.ts'
import { GRADE_NAMES, gradeOf, intervalAt, recoveryText, type Grade } from './words.ts'

const BANDS = [
  { name: 'Store', top: 8, of: ({ store }: Interval): Recovery | null => store },
  { name: 'CARs', top: 48, of: ({ cars }: Interval): Recovery | null => cars },
] as const
const THICK = 28
const BOTTOM = 84
const HEIGHT = BOTTOM + 26
const LEFT = 56

export function Bands({ coverage }: { coverage: CoverageRecord }): VNode {
  const id = useId()
  const box = useRef<HTMLDivElement>(null)
  const width = useWidth(box)
  const [here, setHere] = useState<number | undefined>(undefined)
  const { intervals, from, to } = coverage
  const [low, high] = [timeOf(from), timeOf(to)]
  const area = { left: LEFT, right: width - 6, top: 0, bottom: BOTTOM }
  const scale = linear([low, high], [area.left, area.right])
  const read = here === undefined ? undefined : intervalAt(intervals, here)
  const point = (event: PointerEvent): void => {
    const left = box.current?.getBoundingClientRect().left ?? 0
    const at = scale.from(event.clientX - left)
    setHere(at >= low && at <= high ? at : undefined)
  }
  return (
    <figure class="chart-figure">
      <div class="chart" ref={box} onPointerMove={point} onPointerLeave={() => setHere(undefined)}>
        <svg height={HEIGHT} role="img" aria-labelledby={`${id}-title ${id}-desc`}>
          <title id={`${id}-title`}>What can be brought back, over time</title>
          <desc id={`${id}-desc`}>
            From {absoluteText(low)} to {absoluteText(high)}. The table below has each stretch in
            words.
          </desc>
          <pattern id={`${id}-nearly`} width="6" height="6" patternUnits="userSpaceOnUse">
            <path class="band-hatch" d="M-1 7L7 -1M-1 1L1 -1M5 7L7 5" />
          </pattern>
          {width > 0 && (
            <>
              {BANDS.map(({ name, top, of }) => (
                <g key={name}>
                  <text x="0" y={top + THICK / 2} dy="0.32em">
                    {name}
                  </text>
                  {stretchesOf(intervals, of).map((stretch) => (
                    <Stretch
                      key={stretch.from}
                      stretch={stretch}
                      scale={scale}
                      top={top}
                      pattern={`${id}-nearly`}
                    />
                  ))}
                </g>
              ))}
              <TimeAxis area={area} scale={scale} low={low} high={high} />
              {here !== undefined && (
                <line class="here" x1={scale.at(here)} x2={scale.at(here)} y1="0" y2={BOTTOM} />
              )}
            </>
          )}
        </svg>
      </div>
      <p class="chart-read small muted" aria-hidden="true">
        {here === undefined || read === undefined
          ? `${absoluteText(low)} to ${absoluteText(high)}. Full: that very moment. Striped: an earlier state. Empty: nothing.`
          : `${absoluteText(here)}: the store brings back ${recoveryText(read.store)}, the CARs ${recoveryText(read.cars)}.`}
      </p>
    </figure>
  )
}

interface Graded {
  readonly from: number
  readonly to: number
  readonly grade: Grade
}

/** Neighbours of one grade are one. */
function stretchesOf(
  intervals: readonly Interval[],
  of: (interval: Interval) => Recovery | null,
): readonly Graded[] {
  const joined: Graded[] = []
  for (const interval of intervals) {
    const next = {
      from: timeOf(interval.from),
      to: timeOf(interval.to),
      grade: gradeOf(of(interval)),
    }
    const last = joined.at(-1)
    if (last?.grade === next.grade) joined[joined.length - 1] = { ...last, to: next.to }
    else joined.push(next)
  }
  return joined
}

interface StretchProps {
  readonly stretch: Graded
  readonly scale: Scale
  readonly top: number
  readonly pattern: string
}

function Stretch({ stretch: { from, to, grade }, scale, top, pattern }: StretchProps): VNode {
  const x = scale.at(from)
  const place = { x, width: Math.max(2, scale.at(to) - x), y: top, height: THICK, rx: 3 }
  return (
    <g data-grade={grade}>
      <title>{GRADE_NAMES[grade]}</title>
      <rect class={`band band-${grade}`} {...place} />
      {grade === 'nearly' && <rect {...place} fill={`url(#${pattern})`} />}
    </g>
  )
}
