/** The newest entries of the log, as they come. */
import type { VNode } from 'preact'
import type { PlacedRecord } from '../../../../src/client/index.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { usePolled } from '../../app/live.ts'
import { hrefTo } from '../../app/router.ts'
import { datasetClient } from '../../app/session.ts'
import { VIEWS } from '../../app/views.ts'
import { Card, Empty, Skeleton, Tag } from '../../ui/card.tsx'
import { Time } from '../../ui/value.tsx'

const SHOWN = 8

export function Lately({ dataset }: { dataset: string }): VNode {
  const { data, error, refresh } = usePolled(
    { key: `lately ${dataset}`, everyMs: 15_000, onChangeOf: dataset },
    (signal) => newest(dataset, signal),
  )
  const entries = data.value
  return (
    <Card title="What changed lately">
      {entries === undefined ? (
        error.value === undefined ? (
          <Skeleton lines={4} />
        ) : (
          <ErrorNote error={error.value} onRetry={refresh} />
        )
      ) : entries.length === 0 ? (
        <Empty title="Nothing is in the log">What is written shows up here at once.</Empty>
      ) : (
        <ul class="lines">
          {entries.map((entry) => (
            <Line key={entry.position} entry={entry} />
          ))}
        </ul>
      )}
    </Card>
  )
}

async function newest(dataset: string, signal: AbortSignal): Promise<readonly PlacedRecord[]> {
  const client = datasetClient(dataset)
  const { next, floor } = await client.checkpoint({ signal })
  const since = Math.max(floor, next - SHOWN)
  const { items } = await client.log({ since, limit: SHOWN }, { signal })
  return items.toReversed()
}

function Line({ entry: { pi, ver, tip, ts } }: { entry: PlacedRecord }): VNode {
  return (
    <li>
      <span class="what">
        <EntityName pi={pi} />{' '}
        <Tag>{tip === null ? 'deleted' : ver === 1 ? 'new' : `version ${ver}`}</Tag>
      </span>
      <Time at={ts} />
    </li>
  )
}

function EntityName({ pi }: { pi: string }): VNode {
  if (!VIEWS.some(({ id }) => id === 'entities')) return <span class="mono">{pi}</span>
  return (
    <a class="mono" href={hrefTo({ view: 'entities', args: [pi] })}>
      {pi}
    </a>
  )
}
