/** The leaves of a tree, side by side in the order of ids: what was rewritten stands out. */
import type { VNode } from 'preact'
import { useId, useRef, useState } from 'preact/hooks'
import { useWidth } from '../../ui/chart/frame.tsx'
import { bytesText, countText, pluralText } from '../../ui/format.ts'
import { Cid } from '../../ui/value.tsx'
import { Visible } from '../entities/text.tsx'
import { visibleText } from '../entities/visible.ts'
import { cellsOf, layout, type Box, type Cell, type Comparison } from './compare.ts'

/** More could not be told apart, or would make a phone's screen endless. */
const MOST_CELLS = 600
const MOST_ON_PHONE = 240
const PHONE = 480
const ROW = 34
const HEIGHT = 28

interface PictureProps {
  readonly comparison: Comparison
  /** What it shows, in a sentence. */
  readonly summary: string
  /** There is another snapshot to compare with. */
  readonly compared: boolean
}

export function Picture({ comparison, summary, compared }: PictureProps): VNode {
  const id = useId()
  const box = useRef<HTMLDivElement>(null)
  const width = useWidth(box)
  const [here, setHere] = useState<number | undefined>(undefined)
  const { chunks } = comparison
  const cells = cellsOf(chunks, width < PHONE ? MOST_ON_PHONE : MOST_CELLS)
  const boxes = layout(cells, width, cells.length > 120 ? 18 : 40)
  const rows = (boxes.at(-1)?.row ?? 0) + 1
  const move = (event: KeyboardEvent): void => {
    const next = stepOf(event.key, here, cells.length)
    if (next === undefined) return
    event.preventDefault()
    setHere(next)
  }
  // There may be fewer cells than before.
  const read = here === undefined ? undefined : cells[Math.min(here, cells.length - 1)]
  const each = cells[0]?.chunks.length ?? 1
  return (
    <figure class="chart-figure">
      <div
        class="chunk-picture"
        ref={box}
        role="slider"
        tabIndex={0}
        aria-label={`${summary} The arrow keys go from chunk to chunk.`}
        aria-valuemin={1}
        aria-valuemax={Math.max(1, cells.length)}
        aria-valuenow={(here ?? 0) + 1}
        aria-valuetext={cellText(cells[here ?? 0], compared)}
        aria-orientation="horizontal"
        onKeyDown={move}
        onFocus={() => here === undefined && setHere(0)}
        onPointerLeave={(event) => event.pointerType === 'mouse' && setHere(undefined)}
      >
        <svg height={rows * ROW} aria-hidden="true">
          <pattern id={id} width="6" height="6" patternUnits="userSpaceOnUse">
            <path class="chunk-hatch" d="M-1 7L7 -1M-1 1L1 -1M5 7L7 5" />
          </pattern>
          {width > 0 &&
            cells.map((cell, i) => (
              <CellShape
                key={cell.first}
                cell={cell}
                box={boxes[i]}
                pattern={id}
                here={i === here}
                onHere={() => setHere(i)}
              />
            ))}
        </svg>
      </div>
      <Legend compared={compared} each={each} pattern={id} />
      <Reading cell={read} compared={compared} />
    </figure>
  )
}

const STEPS: Readonly<Record<string, number>> = {
  ArrowRight: 1,
  ArrowDown: 1,
  ArrowLeft: -1,
  ArrowUp: -1,
  PageDown: 20,
  PageUp: -20,
}

function stepOf(key: string, here: number | undefined, count: number): number | undefined {
  if (key === 'Home') return 0
  if (key === 'End') return count - 1
  const step = STEPS[key]
  if (step === undefined) return undefined
  return here === undefined ? 0 : Math.min(count - 1, Math.max(0, here + step))
}

interface CellShapeProps {
  readonly cell: Cell
  readonly box: Box | undefined
  readonly pattern: string
  readonly here: boolean
  readonly onHere: () => void
}

/** Filled from below as far as its chunks are new. */
function CellShape({ cell, box, pattern, here, onHere }: CellShapeProps): VNode | null {
  if (box === undefined) return null
  const gap = box.width > 6 ? 2 : box.width > 2 ? 1 : 0
  const place = { x: box.x, width: Math.max(0.5, box.width - gap), rx: Math.min(3, box.width / 4) }
  const top = box.row * ROW + 3
  const height = (cell.fresh / cell.chunks.length) * HEIGHT
  return (
    <g
      class={here ? 'chunk-cell chunk-here' : 'chunk-cell'}
      data-fresh={cell.fresh}
      onPointerEnter={onHere}
      onClick={onHere}
    >
      <rect class="chunk-kept" {...place} y={top} height={HEIGHT} />
      {cell.fresh > 0 && (
        <>
          <rect class="chunk-new" {...place} y={top + HEIGHT - height} height={height} />
          <rect {...place} y={top + HEIGHT - height} height={height} fill={`url(#${pattern})`} />
        </>
      )}
      {here && <rect class="chunk-frame" {...place} y={top} height={HEIGHT} />}
    </g>
  )
}

function Legend({ compared, each, pattern }: { compared: boolean; each: number; pattern: string }) {
  return (
    <p class="row small muted chunk-legend">
      {compared && (
        <>
          <span class="row">
            <svg width="18" height="14" aria-hidden="true">
              <rect class="chunk-new" width="18" height="14" rx="3" />
              <rect width="18" height="14" rx="3" fill={`url(#${pattern})`} />
            </svg>
            rewritten
          </span>
          <span class="row">
            <svg width="18" height="14" aria-hidden="true">
              <rect class="chunk-kept" x="0.5" y="0.5" width="17" height="13" rx="3" />
            </svg>
            kept as it was
          </span>
        </>
      )}
      <span>as wide as it has entries, in the order of ids</span>
      {each > 1 && (
        <span>
          Each box stands for {each} chunks{compared && ', filled as far as they were rewritten'}.
        </span>
      )}
    </p>
  )
}

function Reading({ cell, compared }: { cell: Cell | undefined; compared: boolean }): VNode {
  if (cell === undefined)
    return <p class="chunk-reading small muted">Point at a box to see what it holds.</p>
  const [first, last] = [cell.chunks[0], cell.chunks.at(-1)]
  return (
    <dl class="chunk-reading small">
      <div>
        <dt>{cell.chunks.length === 1 ? 'Chunk' : 'Chunks'}</dt>
        <dd>
          {numbersOf(cell)}
          {compared && `, ${stateText(cell)}`}
        </dd>
      </div>
      <div>
        <dt>Ids</dt>
        <dd>
          {first?.after === undefined ? (
            'from the first'
          ) : (
            <>
              after{' '}
              <code>
                <Visible text={first.after} />
              </code>
            </>
          )}{' '}
          up to{' '}
          <code>
            <Visible text={last?.last ?? ''} />
          </code>
        </dd>
      </div>
      <div>
        <dt>Holds</dt>
        <dd>
          {pluralText(cell.entries, 'entry', 'entries')}, {bytesText(cell.bytes)}
        </dd>
      </div>
      {cell.chunks.length === 1 && first !== undefined && (
        <div>
          <dt>CID</dt>
          <dd>
            <Cid value={first.cid} />
          </dd>
        </div>
      )}
    </dl>
  )
}

function numbersOf({ first, chunks }: Cell): string {
  const from = countText(first + 1)
  return chunks.length === 1 ? from : `${from} to ${countText(first + chunks.length)}`
}

function stateText({ fresh, chunks }: Cell): string {
  if (chunks.length === 1) return fresh === 1 ? 'rewritten' : 'kept as it was'
  return fresh === 0 ? 'all kept' : `${fresh} of them rewritten`
}

function cellText(cell: Cell | undefined, compared: boolean): string {
  if (cell === undefined) return 'No chunk'
  const last = cell.chunks.at(-1)?.last ?? ''
  const state = compared ? `, ${stateText(cell)}` : ''
  return `Chunk ${numbersOf(cell)}${state}: up to ${visibleText(last)}, ${pluralText(cell.entries, 'entry', 'entries')}, ${bytesText(cell.bytes)}`
}
