/** The jobs since the service began, and what the automation did and does. */
import type { VNode } from 'preact'
import type { AutomationRecord, Job, JobKind, RunRecord } from '../../../../src/client/index.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { useAutomation } from '../../app/status.ts'
import { Badge, Card, Empty, Skeleton } from '../../ui/card.tsx'
import { Table, type Column } from '../../ui/table.tsx'
import { Time } from '../../ui/value.tsx'
import { adviceText, JOB_NAMES, outcomeText, reasonText, tookText } from './words.ts'

const COLUMNS: readonly Column<Job>[] = [
  { name: 'Job', cell: ({ kind }) => JOB_NAMES[kind], head: true },
  { name: 'Why', cell: ({ reason }) => reasonText(reason) },
  { name: 'Began', cell: ({ started_at, created_at }) => <Time at={started_at ?? created_at} /> },
  { name: 'Took', cell: tookText, number: true },
  { name: 'Outcome', cell: (job) => <Outcome job={job} /> },
]

export function Past({ jobs }: { jobs: readonly Job[] }): VNode {
  return (
    <Card title="Done since the service began">
      {jobs.length === 0 ? (
        <Empty title="Nothing was done yet">Jobs from before a restart are not remembered.</Empty>
      ) : (
        <div class="job-past">
          <Table
            caption="Jobs since the service began, newest first"
            columns={COLUMNS}
            rows={jobs}
            rowKey={({ id }) => id}
          />
        </div>
      )}
    </Card>
  )
}

function Outcome({ job }: { job: Job }): VNode {
  if (job.state !== 'failed') return <span>{outcomeText(job)}</span>
  const { error } = job
  const advice = adviceText(job)
  return (
    <div class="job-failed">
      <p class="critical">
        <strong>Failed.</strong> {outcomeText(job)}
      </p>
      {advice !== undefined && <p>What helps: {advice}</p>}
      {error !== null && <code>{error.code}</code>}
    </div>
  )
}

interface Row {
  readonly kind: JobKind
  readonly run: RunRecord | undefined
  readonly next: AutomationRecord['next'][number] | undefined
  readonly cron: string | undefined
  readonly zone: string | undefined
}

const ALONE: readonly Column<Row>[] = [
  { name: 'Job', cell: ({ kind }) => JOB_NAMES[kind], head: true },
  {
    name: 'Schedule',
    cell: ({ cron, zone }) =>
      cron === undefined ? <span class="muted">none</span> : <code title={zone}>{cron}</code>,
  },
  { name: 'Next', cell: ({ next }) => <Next next={next} /> },
  { name: 'Last run', cell: ({ run }) => <LastRun run={run} /> },
]

export function Automation({ dataset }: { dataset: string }): VNode {
  const { data, error, refresh } = useAutomation(dataset)
  const automation = data.value
  return (
    <Card title="By itself">
      {automation === undefined ? (
        error.value === undefined ? (
          <Skeleton lines={4} />
        ) : (
          <ErrorNote error={error.value} onRetry={refresh} />
        )
      ) : (
        <Table
          caption="What is done by itself: schedules, what comes next, and how each ended last"
          columns={ALONE}
          rows={rowsOf(automation)}
          rowKey={({ kind }) => kind}
        />
      )}
    </Card>
  )
}

const BY_ITSELF: readonly JobKind[] = ['build', 'export', 'prune', 'prune-cars', 'verify', 'drill']

function rowsOf({ runs, schedules, next }: AutomationRecord): readonly Row[] {
  return BY_ITSELF.map((kind) => ({
    kind,
    run: runs[kind],
    next: next.find((one) => one.kind === kind),
    cron: schedules[kind]?.cron,
    zone: schedules[kind]?.time_zone,
  }))
}

function Next({ next }: Pick<Row, 'next'>): VNode {
  if (next === undefined) return <span class="muted">not planned</span>
  return (
    <span>
      <Time at={next.at} />
      {next.reason !== 'schedule' && <span class="muted">, {reasonText(next.reason)}</span>}
    </span>
  )
}

function LastRun({ run }: Pick<Row, 'run'>): VNode {
  const last = run?.last ?? null
  if (run === undefined || last === null) return <span class="muted">never</span>
  if (last.state === 'succeeded') {
    return (
      <span>
        Done <Time at={last.finished_at} />
      </span>
    )
  }
  return (
    <div class="job-failed">
      <p>
        <Badge level={last.state === 'failed' ? 'critical' : 'warning'}>
          {last.state === 'failed' ? 'Failed' : 'Stopped'}
        </Badge>{' '}
        <Time at={last.finished_at} />
      </p>
      {last.error !== null && <p class="small">{last.error.message}</p>}
      {run.failures > 1 && <p class="small">{run.failures} times in a row</p>}
      {run.retry_at !== null && (
        <p class="small muted">
          Tried again <Time at={run.retry_at} />
        </p>
      )}
    </div>
  )
}
