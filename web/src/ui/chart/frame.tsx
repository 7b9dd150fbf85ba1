/** What every chart has: its width as it is, a title and a sentence, a reading below the pointer, and its data as a table. */
import type { ComponentChildren, RefObject, VNode } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { Table, type Column } from '../table.tsx'

export interface FrameProps<T> {
  readonly title: string
  /** What is to be seen, in a sentence. */
  readonly summary: string
  readonly height: number
  readonly draw: (width: number) => ComponentChildren
  /** Called with the place of the pointer; undefined when it leaves. */
  readonly onPoint: (x: number | undefined, width: number) => void
  /** What is below the pointer, in words. */
  readonly reading: string
  readonly columns: readonly Column<T>[]
  readonly rows: readonly T[]
  readonly rowKey: (row: T) => string | number
}

export function ChartFrame<T>(props: FrameProps<T>): VNode {
  const { title, summary, height, draw, onPoint, reading, columns, rows, rowKey } = props
  const id = useId()
  const box = useRef<HTMLDivElement>(null)
  const width = useWidth(box)
  const point = (event: PointerEvent): void => {
    const left = box.current?.getBoundingClientRect().left ?? 0
    onPoint(event.clientX - left, width)
  }
  return (
    <figure class="chart-figure">
      <div
        class="chart"
        ref={box}
        onPointerMove={point}
        onPointerLeave={() => onPoint(undefined, width)}
      >
        <svg height={height} role="img" aria-labelledby={`${id}-title ${id}-desc`}>
          <title id={`${id}-title`}>{title}</title>
          <desc id={`${id}-desc`}>{summary}</desc>
          {width > 0 && draw(width)}
        </svg>
      </div>
      <p class="chart-read small muted" aria-hidden="true">
        {reading}
      </p>
      <details class="chart-data">
        <summary>
          The numbers<span class="aside">: {title}</span>
        </summary>
        <Table caption={`${title}. ${summary}`} columns={columns} rows={rows} rowKey={rowKey} />
      </details>
    </figure>
  )
}

/** The width of an element, as it is laid out. */
export function useWidth(box: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0)
  useEffect(() => {
    const element = box.current
    if (element === null) return undefined
    const observer = new ResizeObserver(([entry]) =>
      setWidth(Math.floor(entry?.contentRect.width ?? 0)),
    )
    observer.observe(element)
    return () => observer.disconnect()
  }, [box])
  return width
}
