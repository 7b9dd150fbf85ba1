/** One thing that can be started: what it does, its options, and how it ended. */
import { useSignal } from '@preact/signals'
import type { ComponentChildren, VNode } from 'preact'
import { useEffect } from 'preact/hooks'
import type { Job, JobRequest } from '../../../../src/client/index.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { datasetClient } from '../../app/session.ts'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { Card } from '../../ui/card.tsx'
import { lacks, noteRefusal, type Right } from './rights.ts'
import { adviceText, outcomeText } from './words.ts'

/** Why it was done, for the lists of snapshots and jobs. */
export const REASON = 'the page'

export interface Starter {
  readonly busy: boolean
  readonly note: string
  readonly failed: unknown
  /** The job when it has succeeded; undefined when it was not started, or did not. */
  readonly start: (request: JobRequest) => Promise<Job | undefined>
}

/** `onMoved` is called when a job has begun, and when it has ended. */
export function useStarter(dataset: string, needs: Right, onMoved: () => void): Starter {
  const busy = useSignal(false)
  const note = useSignal('')
  const failed = useSignal<unknown>(undefined)
  const gone = useSignal(new AbortController()).peek()
  useEffect(() => () => gone.abort(), [])
  const run = async (request: JobRequest): Promise<Job> => {
    const client = datasetClient(dataset)
    const { job, joined } = await client.startJob({ reason: REASON, ...request })
    note.value = joined ? 'It runs already: waiting for that one.' : 'Begun.'
    announce(note.value)
    onMoved()
    return await client.waitForJob(job.id, { signal: gone.signal })
  }
  const start = async (request: JobRequest): Promise<Job | undefined> => {
    busy.value = true
    note.value = ''
    failed.value = undefined
    try {
      const job = await run(request)
      onMoved()
      note.value = job.state === 'failed' ? '' : outcomeText(job)
      announce(outcomeText(job))
      if (job.state === 'failed') failed.value = { ...job.error, hint: adviceText(job) }
      return job.state === 'succeeded' ? job : undefined
    } catch (error) {
      if (gone.signal.aborted) return undefined
      noteRefusal(error, needs)
      note.value = ''
      failed.value = error
      return undefined
    } finally {
      busy.value = false
    }
  }
  return { busy: busy.value, note: note.value, failed: failed.value, start }
}

interface ActionProps {
  readonly title: string
  readonly about: ComponentChildren
  readonly needs: Right
  readonly starter: Starter
  readonly button: string
  readonly primary?: boolean
  readonly onStart: () => void
  /** Its options. */
  readonly children?: ComponentChildren
}

export function Action(props: ActionProps): VNode {
  const { title, about, needs, starter, button, primary = false, onStart, children } = props
  const isLacking = lacks(needs)
  return (
    <Card title={title}>
      <p class="muted job-about">{about}</p>
      {children}
      <div class="row">
        <Button
          kind={primary ? 'primary' : 'plain'}
          busy={starter.busy}
          disabled={isLacking}
          onClick={onStart}
        >
          {button}
        </Button>
        <span class="small muted">
          {isLacking ? `This needs a token with the right ${needs}.` : starter.note}
        </span>
      </div>
      {starter.failed !== undefined && !isLacking && <ErrorNote error={starter.failed} />}
    </Card>
  )
}
