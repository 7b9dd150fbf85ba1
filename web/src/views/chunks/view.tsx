/** The tree of a snapshot, chunk by chunk, and what a build rewrote of it. */
import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { useEffect } from 'preact/hooks'
import type { ChunkRecord, SnapshotRecord } from '../../../../src/client/index.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { navigate } from '../../app/router.ts'
import { datasetClient } from '../../app/session.ts'
import type { ViewProps } from '../../app/views.ts'
import { Button } from '../../ui/button.tsx'
import { Card, Empty, Skeleton } from '../../ui/card.tsx'
import { bytesText, countText, pluralText } from '../../ui/format.ts'
import { Table, type Column } from '../../ui/table.tsx'
import { Cid } from '../../ui/value.tsx'
import { Visible } from '../entities/text.tsx'
import { SnapshotPicker } from '../timeline/picker.tsx'
import { findSnapshot, selectorOf, useSnapshots } from '../timeline/snapshots.ts'
import { compareChunks, type ChunkView, type Comparison } from './compare.ts'
import { Picture } from './picture.tsx'
import './view.css'

const NONE = 'none'

export function View({ dataset, query }: ViewProps): VNode {
  const { data, error, refresh } = useSnapshots(dataset)
  const items = data.value?.items
  if (items === undefined || items.length === 0) {
    return (
      <div class="stack-l">
        <h1>Chunks</h1>
        {error.value !== undefined ? (
          <ErrorNote error={error.value} onRetry={refresh} />
        ) : items === undefined ? (
          <Skeleton lines={6} />
        ) : (
          <Empty title="There is no snapshot yet" />
        )}
      </div>
    )
  }
  const of = findSnapshot(items, query['of']) ?? findSnapshot(items, 'latest') ?? items[0]
  const before = of && items[items.indexOf(of) + 1]
  const against =
    query['against'] === NONE ? undefined : (findSnapshot(items, query['against']) ?? before)
  const choose = (chosen: { of?: string; against?: string }): void =>
    navigate({ view: 'chunks', query: { ...query, ...chosen } }, { replace: true })
  return (
    <div class="stack-l">
      <h1>Chunks</h1>
      <div class="grid-wide">
        <SnapshotPicker
          label="Snapshot"
          items={items}
          value={of}
          onChange={(selector) => choose({ of: selector, against: '' })}
        />
        <SnapshotPicker
          label="Compared with"
          none="None"
          items={items}
          value={against}
          onChange={(selector) => choose({ against: selector === '' ? NONE : selector })}
        />
      </div>
      {of !== undefined && (
        <Compared key={`${of.cid} ${against?.cid}`} dataset={dataset} of={of} against={against} />
      )}
    </div>
  )
}

/** A tree of more is shown up to here, and that is said. */
const MOST_CHUNKS = 50_000

interface Read {
  readonly chunks: readonly ChunkRecord[]
  readonly isWhole: boolean
}

async function readChunks(
  dataset: string,
  snapshot: SnapshotRecord,
  signal: AbortSignal,
): Promise<Read> {
  const chunks: ChunkRecord[] = []
  for await (const chunk of datasetClient(dataset).chunks(selectorOf(snapshot), { signal })) {
    if (chunks.length === MOST_CHUNKS) return { chunks, isWhole: false }
    chunks.push(chunk)
  }
  return { chunks, isWhole: true }
}

interface ComparedProps {
  readonly dataset: string
  readonly of: SnapshotRecord
  readonly against: SnapshotRecord | undefined
}

function Compared({ dataset, of, against }: ComparedProps): VNode {
  const read = useSignal<{ of: Read; against: Read | undefined } | undefined>(undefined)
  const failed = useSignal<unknown>(undefined)
  const turn = useSignal(0)
  useEffect(() => {
    const stop = new AbortController()
    const { signal } = stop
    failed.value = undefined
    Promise.all([
      readChunks(dataset, of, signal),
      against === undefined ? undefined : readChunks(dataset, against, signal),
    ]).then(
      ([own, other]) => (read.value = { of: own, against: other }),
      (error: unknown) => {
        if (!signal.aborted) failed.value = error
      },
    )
    return () => stop.abort()
  }, [turn.value])
  if (failed.value !== undefined)
    return <ErrorNote error={failed.value} onRetry={() => turn.value++} />
  if (read.value === undefined) return <Skeleton lines={6} />
  const comparison = compareChunks(read.value.of.chunks, read.value.against?.chunks)
  const isWhole = read.value.of.isWhole && read.value.against?.isWhole !== false
  const summary = summaryText(comparison, of, against)
  return (
    <>
      <p class="chunk-summary">{summary}</p>
      {!isWhole && (
        <p class="note note-warning">
          The tree has more than {countText(MOST_CHUNKS)} chunks; only the first ones are looked at.
        </p>
      )}
      <Card>
        <Picture comparison={comparison} summary={summary} compared={against !== undefined} />
      </Card>
      <ChunkTable comparison={comparison} summary={summary} compared={against !== undefined} />
    </>
  )
}

function summaryText(
  { chunks, bytes, entries, rewritten, rewrittenBytes, replaced }: Comparison,
  of: SnapshotRecord,
  against: SnapshotRecord | undefined,
): string {
  const all = `${pluralText(entries, 'entry', 'entries')} in ${pluralText(chunks.length, 'chunk')}, ${bytesText(bytes)}`
  if (against === undefined) return `Snapshot ${of.seq} has ${all}.`
  if (rewritten === 0 && replaced === 0)
    return `Snapshots ${against.seq} and ${of.seq} share all of it: ${all}.`
  const place =
    of.seq > against.seq
      ? `Since snapshot ${against.seq}, snapshot ${of.seq} rewrote`
      : `Beside snapshot ${against.seq}, snapshot ${of.seq} has other`
  return `${place} ${countText(rewritten)} of ${pluralText(chunks.length, 'chunk')}, ${bytesText(rewrittenBytes)} of ${bytesText(bytes)}; the rest is shared.`
}

const ROWS = 100

interface ChunkTableProps {
  readonly comparison: Comparison
  readonly summary: string
  readonly compared: boolean
}

function ChunkTable({ comparison, summary, compared }: ChunkTableProps): VNode {
  const open = useSignal(false)
  const onlyNew = useSignal(false)
  const most = useSignal(ROWS)
  const numbered = comparison.chunks.map((chunk, i) => ({ ...chunk, number: i + 1 }))
  const rows = onlyNew.value ? numbered.filter(({ isNew }) => isNew) : numbered
  return (
    <details
      class="chunk-table"
      onToggle={({ currentTarget }) => (open.value = currentTarget.open)}
    >
      <summary>All chunks as a table</summary>
      {open.value && (
        <div class="stack">
          {compared && (
            <div class="row">
              <Button
                small
                pressed={onlyNew.value}
                onClick={() => (onlyNew.value = !onlyNew.value)}
              >
                Only rewritten ones
              </Button>
            </div>
          )}
          <Table
            caption={summary}
            columns={compared ? COLUMNS : COLUMNS.filter(({ name }) => name !== 'State')}
            rows={rows.slice(0, most.value)}
            rowKey={({ number }) => number}
          />
          {rows.length > most.value && (
            <div class="row">
              <Button small onClick={() => (most.value += ROWS)}>
                Show {countText(Math.min(ROWS, rows.length - most.value))} more
              </Button>
              <span class="small muted">
                {countText(most.value)} of {countText(rows.length)} are shown
              </span>
            </div>
          )}
        </div>
      )}
    </details>
  )
}

const COLUMNS: readonly Column<ChunkView & { readonly number: number }>[] = [
  { name: 'Chunk', cell: ({ number }) => countText(number), head: true },
  { name: 'State', cell: ({ isNew }) => (isNew ? 'rewritten' : 'kept') },
  {
    name: 'Last id',
    cell: ({ last }) => (
      <code>
        <Visible text={last} />
      </code>
    ),
  },
  { name: 'Entries', cell: ({ entries }) => countText(entries), number: true },
  { name: 'Bytes', cell: ({ bytes }) => bytesText(bytes), number: true },
  { name: 'CID', cell: ({ cid }) => <Cid value={cid} /> },
]
