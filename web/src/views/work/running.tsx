/** What runs now: how far it is, how fast, how long it takes yet, and stopping it. */
import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import type { Job } from '../../../../src/client/index.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { datasetClient } from '../../app/session.ts'
import { Button } from '../../ui/button.tsx'
import { Badge, Card, Tag } from '../../ui/card.tsx'
import { Progress } from '../../ui/progress.tsx'
import { Time } from '../../ui/value.tsx'
import { useWatched } from './jobs.ts'
import { lacks, noteRefusal } from './rights.ts'
import { amountText, JOB_NAMES, paceText, reasonText, stepText } from './words.ts'

interface RunningProps {
  readonly jobs: readonly Job[]
  readonly onEnd: () => void
}

export function Running({ jobs, onEnd }: RunningProps): VNode | null {
  if (jobs.length === 0) return null
  return (
    <Card title="Running now">
      <ul class="stack">
        {jobs.map((job) => (
          <RunningJob key={job.id} job={job} onEnd={onEnd} />
        ))}
      </ul>
    </Card>
  )
}

function RunningJob({ job, onEnd }: { job: Job; onEnd: () => void }): VNode {
  const { kind, reason, state, stuck, created_at, started_at } = job
  const watched = useWatched(job, onEnd)
  const progress = watched.progress.value
  const amount = amountText(kind, progress?.step ?? '')
  const pace = progress === undefined ? '' : paceText(watched.first.value, progress, amount)
  return (
    <li class="job-running">
      <div class="row spread">
        <span class="row">
          <strong>{JOB_NAMES[kind]}</strong>
          <Tag>{reasonText(reason)}</Tag>
          {stuck && <Badge level="warning">It makes no progress</Badge>}
        </span>
        <span class="small muted">
          {state === 'queued' ? 'Waits since ' : 'Began '}
          <Time at={started_at ?? created_at} />
        </span>
      </div>
      <Progress
        label={progress === undefined ? 'Beginning' : stepText(progress.step)}
        done={progress?.done ?? 0}
        total={progress?.total ?? null}
        text={amount}
      />
      <div class="row spread">
        <span class="small muted">{pace}</span>
        <Cancel job={job} />
      </div>
    </li>
  )
}

function Cancel({ job: { id, dataset, kind } }: { job: Job }): VNode {
  const asked = useSignal(false)
  const failed = useSignal<unknown>(undefined)
  const cancel = async (): Promise<void> => {
    asked.value = true
    failed.value = undefined
    try {
      await datasetClient(dataset).cancelJob(id)
    } catch (error) {
      noteRefusal(error, 'admin')
      asked.value = false
      failed.value = error
    }
  }
  return (
    <>
      <Button
        small
        label={`Stop: ${JOB_NAMES[kind]}`}
        busy={asked.value}
        disabled={lacks('admin')}
        onClick={() => void cancel()}
      >
        {asked.value ? 'Stopping' : 'Stop'}
      </Button>
      {failed.value !== undefined && <ErrorNote error={failed.value} />}
    </>
  )
}
