/** The snapshots and CARs of a dataset over time, and what can be done with each. */
import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import type {
  BackupRecord,
  CoverageRecord,
  Job,
  SnapshotRecord,
} from '../../../../src/client/index.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { hrefTo } from '../../app/router.ts'
import { useBackups, useStatus } from '../../app/status.ts'
import type { ViewProps } from '../../app/views.ts'
import { Button } from '../../ui/button.tsx'
import { Card, Empty, Skeleton } from '../../ui/card.tsx'
import { countText, pluralText } from '../../ui/format.ts'
import { useCoverage } from '../coverage/data.ts'
import { useJobs } from '../work/jobs.ts'
import { baseName } from '../work/words.ts'
import { Axis } from './axis.tsx'
import { historyOf, type History } from './history.ts'
import { Car, Item, type Drilled } from './item.tsx'
import { RollbackDialog, RolledBack } from './rollback.tsx'
import { MOST_SNAPSHOTS, useSnapshots } from './snapshots.ts'
import './view.css'

const SHOWN = 20

export function View({ dataset }: ViewProps): VNode {
  const snapshots = useSnapshots(dataset)
  const backups = useBackups(dataset)
  const jobs = useJobs(dataset).data.value ?? []
  const [kept, cars] = [snapshots.data.value, backups.data.value]
  const refresh = (): void => {
    snapshots.refresh()
    backups.refresh()
  }
  const error = snapshots.error.value ?? backups.error.value
  if (kept === undefined || cars === undefined) {
    return (
      <div class="stack-l">
        <h1>Timeline</h1>
        {error === undefined ? (
          <Skeleton lines={6} />
        ) : (
          <ErrorNote error={error} onRetry={refresh} />
        )}
      </div>
    )
  }
  return (
    <div class="stack-l">
      <Head dataset={dataset} count={kept.items.length} cars={cars.length} />
      {error !== undefined && <ErrorNote error={error} onRetry={refresh} />}
      <RolledBack dataset={dataset} onDone={refresh} />
      <Moments
        dataset={dataset}
        history={historyOf(kept.items, cars, jobs)}
        cars={cars}
        jobs={jobs}
        onChanged={refresh}
      />
      {kept.hasMore && (
        <p class="muted">
          There are older ones; the newest {countText(MOST_SNAPSHOTS)} are shown.{' '}
          <code>cairn snapshots</code> lists all.
        </p>
      )}
    </div>
  )
}

function Head({ dataset, count, cars }: { dataset: string; count: number; cars: number }): VNode {
  const generation = useStatus(dataset).data.value?.generation.number
  return (
    <div class="row spread">
      <div>
        <h1>Timeline</h1>
        <p class="muted">
          {pluralText(count, 'snapshot is', 'snapshots are')} kept, and {pluralText(cars, 'CAR')}.
          {generation !== undefined && generation > 1 && (
            <> This is generation {generation}: it was rolled back or restored before.</>
          )}
        </p>
      </div>
      <a href={hrefTo({ view: 'diff' })}>Compare any two</a>
    </div>
  )
}

interface MomentsProps {
  readonly dataset: string
  readonly history: History
  readonly cars: readonly BackupRecord[]
  readonly jobs: readonly Job[]
  readonly onChanged: () => void
}

function Moments({ dataset, history, cars, jobs, onChanged }: MomentsProps): VNode {
  const { moments, strays } = history
  const most = useSignal(SHOWN)
  const rollingTo = useSignal<SnapshotRecord | undefined>(undefined)
  const status = useStatus(dataset).data.value
  const drilled = drilledOf(useCoverage(dataset).data.value, jobs)
  const choose = (seq: number): void => {
    const place = moments.findIndex(({ snapshot }) => snapshot.seq === seq)
    if (place >= most.value) most.value = place + 1
    requestAnimationFrame(() => {
      const item = document.getElementById(`snapshot-${seq}`)
      item?.scrollIntoView({ block: 'start' })
      item?.focus({ preventScroll: true })
    })
  }
  if (moments.length === 0 && strays.length === 0)
    return <Empty title="There is no snapshot yet">The first build makes one.</Empty>
  return (
    <>
      <Card>
        <Axis moments={moments} cars={cars} onChoose={choose} />
      </Card>
      <ol class="moments" aria-label="Snapshots, newest first">
        {moments.slice(0, most.value).map((moment) => (
          <Item
            key={moment.snapshot.cid}
            dataset={dataset}
            moment={moment}
            chunksOfCurrent={status?.chunk_count}
            drilled={drilled}
            onRollback={() => (rollingTo.value = moment.snapshot)}
          />
        ))}
      </ol>
      {moments.length > most.value && (
        <div class="row">
          <Button onClick={() => (most.value += SHOWN)}>
            Show {countText(Math.min(SHOWN, moments.length - most.value))} more
          </Button>
          <span class="small muted">
            {countText(most.value)} of {countText(moments.length)} are shown
          </span>
        </div>
      )}
      {strays.length > 0 && (
        <Card
          title="CARs of snapshots that are not kept here"
          note="They can be restored all the same."
        >
          <ul class="moment-cars">
            {strays.map((car) => (
              <Car
                key={car.filename}
                dataset={dataset}
                car={car}
                drilled={drilled.get(car.filename)}
              />
            ))}
          </ul>
        </Card>
      )}
      <RollbackDialog
        dataset={dataset}
        to={rollingTo.value}
        current={moments.find(({ snapshot }) => snapshot.current)?.snapshot}
        onClose={() => (rollingTo.value = undefined)}
        onDone={onChanged}
      />
    </>
  )
}

/** By what coverage tells, and by the drills since the service began; the newest counts. */
function drilledOf(
  coverage: CoverageRecord | undefined,
  jobs: readonly Job[],
): ReadonlyMap<string, Drilled> {
  const told = (coverage?.intervals ?? []).flatMap(({ cars }) => {
    if (cars === null || cars.name === null || cars.proved_by === 'export') return []
    return [[cars.name, { passed: cars.proved_at !== null, at: cars.proved_at }] as const]
  })
  const done = jobs.toReversed().flatMap(({ kind, state, result, finished_at }) => {
    const sources = result?.['sources']
    if (kind !== 'drill' || state === 'cancelled' || !Array.isArray(sources)) return []
    const drilled = { passed: state === 'succeeded', at: finished_at }
    return sources.map((source) => [baseName(source), drilled] as const)
  })
  return new Map<string, Drilled>([...told, ...done])
}
