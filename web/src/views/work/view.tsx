/** Work: what runs, what can be started, what was done, and what is done by itself. */
import type { VNode } from 'preact'
import { ErrorNote } from '../../app/errors.tsx'
import { useAutomation, useStatus } from '../../app/status.ts'
import type { ViewProps } from '../../app/views.ts'
import { Skeleton } from '../../ui/card.tsx'
import { Actions } from './actions.tsx'
import { useJobs } from './jobs.ts'
import { Automation, Past } from './past.tsx'
import { lackText, lacks } from './rights.ts'
import { Running } from './running.tsx'
import { hasEnded } from './words.ts'
import './view.css'

export function View({ dataset }: ViewProps): VNode {
  const { data, error, refresh } = useJobs(dataset)
  const status = useStatus(dataset)
  const automation = useAutomation(dataset)
  const onEnd = (): void => {
    refresh()
    status.refresh()
    automation.refresh()
  }
  const jobs = data.value
  return (
    <div class="stack-l">
      <h1>Work</h1>
      {lacks('admin') && <Lacking />}
      {error.value !== undefined && <ErrorNote error={error.value} onRetry={refresh} />}
      <Running jobs={(jobs ?? []).filter((job) => !hasEnded(job))} onEnd={onEnd} />
      <Actions dataset={dataset} onStarted={refresh} />
      {jobs === undefined ? <Skeleton lines={4} /> : <Past jobs={jobs.filter(hasEnded)} />}
      <Automation dataset={dataset} />
    </div>
  )
}

function Lacking(): VNode {
  return (
    <div class="note note-warning" role="status">
      <p class="note-title">Your token may not do all of this</p>
      <p>{lackText()} Sign out, and sign in with one that may.</p>
    </div>
  )
}
