/** What lasts: entities by snapshot, sizes of CARs, durations of jobs. */
import type { ComponentChildren, VNode } from 'preact'
import type { Job } from '../../../../src/client/index.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { usePolled, type Polled } from '../../app/live.ts'
import { datasetClient } from '../../app/session.ts'
import { useBackups } from '../../app/status.ts'
import { Card, Empty, Skeleton } from '../../ui/card.tsx'
import { BarChart } from '../../ui/chart/bars.tsx'
import { LineChart } from '../../ui/chart/line.tsx'
import {
  absoluteText,
  bytesText,
  countText,
  durationText,
  pluralText,
  timeOf,
} from '../../ui/format.ts'
import { shortCount, trendText, untilText } from './words.ts'

const MOST_SNAPSHOTS = 1000
const MOST_BARS = 40

export function EntitiesOverSnapshots({ dataset }: { dataset: string }): VNode {
  const snapshots = usePolled(
    { key: `snapshots-all ${dataset}`, everyMs: 60_000 },
    async (signal) => {
      const { items } = await datasetClient(dataset).snapshots({ limit: MOST_SNAPSHOTS, signal })
      return items.toReversed()
    },
  )
  return (
    <Card title="Entities in each snapshot">
      <Answered polled={snapshots}>
        {(items) => {
          const points = items.map(({ ts, live }) => ({ at: timeOf(ts), value: live }))
          if (points.length < 2)
            return <Empty title="One snapshot is no history yet">The next one begins it.</Empty>
          return (
            <LineChart
              title="Entities in each snapshot"
              summary={trendText(points, countText, untilText)}
              series={[{ name: 'Entities', points }]}
              format={countText}
              tick={shortCount}
              steps
            />
          )
        }}
      </Answered>
    </Card>
  )
}

export function CarSizes({ dataset }: { dataset: string }): VNode {
  return (
    <Card title="Sizes of CARs">
      <Answered polled={useBackups(dataset)}>
        {(backups) => {
          const newest = backups.slice(0, MOST_BARS).toReversed()
          if (newest.length === 0) return <Empty title="There is no CAR yet" />
          return (
            <BarChart
              title="Sizes of CARs"
              summary={`${pluralText(newest.length, 'CAR')}, the newest has ${bytesText(newest.at(-1)?.size_bytes ?? 0)}.`}
              names={['CAR', 'Size']}
              format={bytesText}
              bars={newest.map(({ filename, verified_at, size_bytes, since }) => ({
                key: filename,
                name: `${absoluteText(timeOf(verified_at))}${since === null ? '' : ', what was new'}`,
                value: size_bytes,
              }))}
            />
          )
        }}
      </Answered>
    </Card>
  )
}

export function Durations({ dataset }: { dataset: string }): VNode {
  const jobs = usePolled(
    { key: `jobs-ended ${dataset}`, everyMs: 15_000, onChangeOf: dataset },
    (signal) => datasetClient(dataset).jobs({ limit: 100 }, { signal }),
  )
  return (
    <Card title="How long jobs took">
      <Answered polled={jobs}>
        {(all) => {
          const ended = all
            .flatMap((job) => timed(job))
            .slice(0, MOST_BARS)
            .toReversed()
          if (ended.length === 0)
            return (
              <Empty title="No job has ended yet">
                They are listed since the service was started.
              </Empty>
            )
          return (
            <BarChart
              title="How long jobs took"
              summary={`${pluralText(ended.length, 'job')} since the service was started; failed ones have another colour.`}
              names={['Job', 'Duration']}
              format={durationText}
              bars={ended}
            />
          )
        }}
      </Answered>
    </Card>
  )
}

function timed({ id, kind, state, started_at, finished_at }: Job) {
  if (started_at === null || finished_at === null) return []
  const failed = state === 'failed'
  const at = timeOf(started_at)
  const name = `${kind}${failed ? ' (failed)' : ''}, ${absoluteText(at)}`
  return [{ key: id, name, value: timeOf(finished_at) - at, other: failed }]
}

interface AnsweredProps<T> {
  readonly polled: Polled<T>
  readonly children: (answer: T) => ComponentChildren
}

function Answered<T>({ polled: { data, error, refresh }, children }: AnsweredProps<T>): VNode {
  if (data.value !== undefined) return <>{children(data.value)}</>
  if (error.value === undefined) return <Skeleton />
  return <ErrorNote error={error.value} onRetry={refresh} />
}
