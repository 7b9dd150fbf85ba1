/** The jobs of a dataset, and the one that is watched closely while it runs. */
import { useSignal, type ReadonlySignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { Job, JobProgress } from '../../../../src/client/index.ts'
import { usePolled, type Polled } from '../../app/live.ts'
import { datasetClient } from '../../app/session.ts'
import { announce } from '../../ui/announcer.tsx'
import { hasEnded, JOB_NAMES, outcomeText } from './words.ts'

const MOST_JOBS = 100

/** Newest first, since the service began. */
export function useJobs(dataset: string): Polled<readonly Job[]> {
  return usePolled({ key: `jobs ${dataset}`, everyMs: 5000, onChangeOf: dataset }, (signal) =>
    datasetClient(dataset).jobs({ limit: MOST_JOBS }, { signal }),
  )
}

export interface Watched {
  readonly progress: ReadonlySignal<JobProgress | undefined>
  /** The first that was seen of the step that runs. */
  readonly first: ReadonlySignal<JobProgress | undefined>
}

/** Follows a job that runs; its end is announced. */
export function useWatched(job: Job, onEnd: () => void): Watched {
  const progress = useSignal(job.progress ?? undefined)
  const first = useSignal(job.progress ?? undefined)
  const { id, dataset } = job
  useEffect(() => {
    const stop = new AbortController()
    const onProgress = (now: JobProgress): void => {
      if (first.peek()?.step !== now.step) first.value = now
      progress.value = now
    }
    const watch = async (): Promise<void> => {
      const ended = await datasetClient(dataset).waitForJob(id, { onProgress, signal: stop.signal })
      if (!hasEnded(ended) || stop.signal.aborted) return
      announce(`${JOB_NAMES[ended.kind]}: ${outcomeText(ended)}`)
      onEnd()
    }
    // What keeps it from being watched is told where the jobs are listed.
    watch().catch(() => {
      if (!stop.signal.aborted) onEnd()
    })
    return () => stop.abort()
  }, [id, dataset])
  return { progress, first }
}
