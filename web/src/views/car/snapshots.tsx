/** The snapshots that a CAR has, and the chunks of one. */
import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import type { ChunkRecord, SnapshotRecord } from '../../../../src/client/records.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { Button } from '../../ui/button.tsx'
import { Card, Empty, Skeleton } from '../../ui/card.tsx'
import { countText } from '../../ui/format.ts'
import { Table, type Column } from '../../ui/table.tsx'
import { Bytes, Cid, Time } from '../../ui/value.tsx'
import { useLoaded } from '../entities/loaded.ts'
import { blockHref, entitiesHref, type Place } from '../entities/place.ts'
import { Visible } from '../entities/text.tsx'

export interface SnapshotsProps {
  readonly place: Place
  readonly chunksHref: (selector: string) => string
}

export function Snapshots({ place, chunksHref }: SnapshotsProps): VNode {
  const { data, error, retry } = useLoaded(`${place.key} snapshots`, (signal) =>
    place.source.snapshots({ signal }),
  )
  const at = ({ seq }: SnapshotRecord): string => `seq:${seq}`
  const columns: readonly Column<SnapshotRecord>[] = [
    {
      name: 'Snapshot',
      head: true,
      cell: (row) => <a href={entitiesHref(place, { at: at(row) })}>{countText(row.seq)}</a>,
    },
    { name: 'Made', cell: ({ ts }) => <Time at={ts} moment /> },
    {
      name: 'Reason',
      cell: ({ reason, tags }) => <Visible text={[reason, ...tags].filter(Boolean).join(', ')} />,
    },
    { name: 'Chunks', cell: (row) => <a href={chunksHref(at(row))}>Its chunks</a> },
    { name: 'CID', cell: ({ cid }) => <Cid value={cid} href={blockHref(place, cid)} /> },
    { name: 'Entities', number: true, cell: ({ live }) => countText(live) },
  ]
  return (
    <div class="stack-l">
      <div class="stack">
        <h1 tabIndex={-1}>Snapshots</h1>
        <p class="muted">Of all its roots, newest first.</p>
      </div>
      <Card>
        {error !== undefined && <ErrorNote error={error} onRetry={retry} />}
        {data === undefined && error === undefined && <Skeleton />}
        {data !== undefined && (
          <Table caption="Snapshots" columns={columns} rows={data} rowKey={({ cid }) => cid} />
        )}
      </Card>
    </div>
  )
}

/** As many are read at first; a snapshot may have a million. */
const STEP = 200

export function Chunks({ place, selector }: { place: Place; selector: string }): VNode {
  const [most, setMost] = useState(STEP)
  const { data, error, retry } = useLoaded(`${place.key} ${selector} ${most}`, (signal) =>
    firstChunks(place, selector, most, signal),
  )
  return (
    <div class="stack-l">
      <div class="stack">
        <h1 tabIndex={-1}>Chunks of {chunksOf(selector)}</h1>
        <p class="muted">The pieces that the entities are stored in, in the order of ids.</p>
      </div>
      <Card>
        {error !== undefined && <ErrorNote error={error} onRetry={retry} />}
        {data === undefined && error === undefined && <Skeleton />}
        {data?.chunks.length === 0 && <Empty title="It has none" />}
        {data !== undefined && data.chunks.length > 0 && (
          <Table
            caption="Chunks"
            columns={columnsOf(place)}
            rows={data.chunks}
            rowKey={({ last }) => last}
          />
        )}
        {data?.more === true && (
          <div>
            <Button small onClick={() => setMost(most + STEP)}>
              More of them
            </Button>
          </div>
        )}
      </Card>
    </div>
  )
}

const chunksOf = (selector: string): VNode | string =>
  selector === 'latest' ? (
    'the newest snapshot'
  ) : (
    <Visible text={selector.replace(/^seq:/, 'snapshot ')} />
  )

async function firstChunks(
  { source }: Place,
  selector: string,
  most: number,
  signal: AbortSignal,
): Promise<{ chunks: readonly ChunkRecord[]; more: boolean }> {
  const chunks: ChunkRecord[] = []
  for await (const chunk of source.chunks(selector, { signal })) {
    if (chunks.length === most) return { chunks, more: true }
    chunks.push(chunk)
  }
  return { chunks, more: false }
}

function columnsOf(place: Place): readonly Column<ChunkRecord>[] {
  return [
    {
      name: 'Up to the id',
      head: true,
      cell: ({ last }) => (
        <span class="row-id">
          <Visible text={last} />
        </span>
      ),
    },
    { name: 'CID', cell: ({ cid }) => <Cid value={cid} href={blockHref(place, cid)} /> },
    { name: 'Entities', number: true, cell: ({ live }) => countText(live) },
    { name: 'Size', number: true, cell: ({ bytes }) => <Bytes value={bytes} /> },
  ]
}
