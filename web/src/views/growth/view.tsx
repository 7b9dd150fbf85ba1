/** How it grows: the last day as the service has seen it, and the longer history that snapshots, CARs and jobs tell. */
import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { ErrorNote } from '../../app/errors.tsx'
import { usePolled } from '../../app/live.ts'
import { datasetClient } from '../../app/session.ts'
import { useStatus } from '../../app/status.ts'
import type { ViewProps } from '../../app/views.ts'
import { Card, Empty, Skeleton } from '../../ui/card.tsx'
import { LineChart } from '../../ui/chart/line.tsx'
import { bytesText, countText, timeOf } from '../../ui/format.ts'
import { Tabs } from '../../ui/tabs.tsx'
import { CarSizes, Durations, EntitiesOverSnapshots } from './history.tsx'
import { shortCount, sinceText, trendText } from './words.ts'

type Window = 'recent' | 'day'

const WINDOWS = [
  { id: 'recent', name: 'Half an hour' },
  { id: 'day', name: 'A day' },
] as const

/** After three missing ones there is a gap. */
const GAP = 3.5

export function View({ dataset }: ViewProps): VNode {
  const window = useSignal<Window>('recent')
  return (
    <div class="stack-l">
      <h1>How it grows</h1>
      <Tabs
        label="How far back"
        tabs={WINDOWS}
        selected={window.value}
        onSelect={(id) => (window.value = id)}
      >
        <Now key={window.value} dataset={dataset} window={window.value} />
      </Tabs>
      <EntitiesOverSnapshots dataset={dataset} />
      <div class="grid-wide">
        <CarSizes dataset={dataset} />
        <Durations dataset={dataset} />
      </div>
    </div>
  )
}

function Now({ dataset, window }: { dataset: string; window: Window }): VNode {
  const { data, error, refresh } = usePolled(
    { key: `samples ${dataset} ${window}`, everyMs: window === 'recent' ? 10_000 : 60_000 },
    (signal) => datasetClient(dataset).samples({ window }, { signal }),
  )
  const limit = useStatus(dataset).data.value?.settings.chain_limit
  const answer = data.value
  if (answer === undefined)
    return error.value === undefined ? (
      <Skeleton lines={6} />
    ) : (
      <ErrorNote error={error.value} onRetry={refresh} />
    )
  const { items, every_ms } = answer
  if (items.length < 2) {
    return (
      <Empty title="There is nothing to draw yet">
        The service takes these figures since it was started; the first ones are here in a moment.
      </Empty>
    )
  }
  const points = (of: (item: (typeof items)[number]) => number | null) =>
    items.flatMap((item) => {
      const value = of(item)
      return value === null ? [] : [{ at: timeOf(item.ts), value }]
    })
  const common = { gapMs: every_ms * GAP }
  const [total, recent] = [points((one) => one.total_count), points((one) => one.recent_count)]
  const [store, memory] = [points((one) => one.store_bytes), points((one) => one.memory_bytes)]
  // The limit belongs into the picture only when it is near.
  const near = limit !== undefined && recent.some(({ value }) => value * 4 > limit)
  return (
    <div class="grid-wide">
      <Card title="Entities">
        <LineChart
          {...common}
          title="Entities over time"
          summary={trendText(total, countText, sinceText)}
          series={[{ name: 'Entities', points: total }]}
          format={countText}
          tick={shortCount}
          fromZero={false}
        />
      </Card>
      <Card title="Waiting for a snapshot">
        <LineChart
          {...common}
          title="Length of the recent chain over time"
          summary={trendText(recent, countText, sinceText)}
          series={[{ name: 'Entries', points: recent }]}
          format={countText}
          tick={shortCount}
          limit={near ? { value: limit, name: `the limit of ${countText(limit)}` } : undefined}
        />
      </Card>
      {store.length > 1 && (
        <Card title="Size of the store">
          <LineChart
            {...common}
            title="Size of the store over time"
            summary={trendText(store, bytesText, sinceText)}
            series={[{ name: 'Store', points: store }]}
            format={bytesText}
          />
        </Card>
      )}
      <Card title="Memory of the service">
        <LineChart
          {...common}
          title="Memory of the service over time"
          summary={trendText(memory, bytesText, sinceText)}
          series={[{ name: 'Memory', points: memory }]}
          format={bytesText}
        />
      </Card>
    </div>
  )
}
