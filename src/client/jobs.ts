/** Long work: started, watched, waited for. A job goes on when nobody waits for it any more. */
import { CairnClientError } from './error.ts'
import type { Job, JobKind, JobProgress, JobRequest } from './job-records.ts'
import type { CallOptions } from './transport.ts'
import type { Target } from './write.ts'

export interface WaitOptions extends CallOptions {
  /** Called with what is new. */
  readonly onProgress?: ((progress: JobProgress) => void) | undefined
  /** The job as it is then is the answer. Not given: its end is waited for. */
  readonly limitMs?: number | undefined
}

export interface JobCalls {
  /** Starts a job, or joins the one of its kind that runs. */
  readonly startJob: (
    request: JobRequest,
    options?: CallOptions,
  ) => Promise<{ job: Job; joined: boolean }>
  readonly job: (id: string, options?: CallOptions) => Promise<Job>
  /** Newest first. */
  readonly jobs: (
    query?: { readonly kind?: JobKind; readonly limit?: number },
    options?: CallOptions,
  ) => Promise<readonly Job[]>
  readonly waitForJob: (id: string, options?: WaitOptions) => Promise<Job>
  readonly cancelJob: (id: string, options?: CallOptions) => Promise<Job>
  /** Starts a job and waits for its end; one that does not succeed is an error, with the job in its details. */
  readonly run: (request: JobRequest, options?: Omit<WaitOptions, 'limitMs'>) => Promise<Job>
  /** Saves because a user has left. */
  readonly disconnect: (user: string, options?: CallOptions) => Promise<Job>
}

/** The service's own limit is a minute. */
const WAIT_MS = 20_000
const LOOK_MS = 1000

export function jobCalls({ http, place }: Target): JobCalls {
  const path = `${place}/jobs`
  const ask = async (
    id: string,
    waitMs: number | undefined,
    signal?: AbortSignal,
  ): Promise<Job> => {
    const query = { wait_ms: waitMs }
    const call = { method: 'GET', path: `${path}/${encodeURIComponent(id)}`, query } as const
    const patienceMs = waitMs ?? 0
    return (await http.json<{ job: Job }>({ ...call, retry: 'always', patienceMs, signal })).job
  }
  const startJob: JobCalls['startJob'] = (json, { signal } = {}) =>
    http.json({ method: 'POST', path, json, retry: 'unbegun', signal })
  const waitForJob: JobCalls['waitForJob'] = async (id, options = {}) => {
    const { onProgress, limitMs = Infinity, signal } = options
    const end = Date.now() + limitMs
    const look = onProgress === undefined ? WAIT_MS : LOOK_MS
    for (let told = ''; ;) {
      const job = await ask(id, Math.max(0, Math.min(look, end - Date.now())), signal)
      const { progress } = job
      if (progress !== null && progress.at !== told) onProgress?.(progress)
      told = progress?.at ?? told
      if (hasEnded(job) || Date.now() >= end) return job
    }
  }
  return {
    startJob,
    waitForJob,
    job: (id, { signal } = {}) => ask(id, undefined, signal),
    jobs: async (query, { signal } = {}) => {
      const call = { method: 'GET', path, query, retry: 'always', signal } as const
      return (await http.json<{ items: readonly Job[] }>(call)).items
    },
    cancelJob: async (id, { signal } = {}) => {
      const one = `${path}/${encodeURIComponent(id)}`
      const call = { method: 'DELETE', path: one, retry: 'always', signal } as const
      return (await http.json<{ job: Job }>(call)).job
    },
    run: async (request, options) => {
      const { job } = await startJob(request, options)
      return succeeded(await waitForJob(job.id, options))
    },
    disconnect: async (user, { signal } = {}) => {
      const call = { method: 'POST', path: `${place}/disconnect`, json: { user } } as const
      return (await http.json<{ job: Job }>({ ...call, retry: 'unbegun', signal })).job
    },
  }
}

const hasEnded = ({ state }: Job): boolean => state !== 'queued' && state !== 'running'

function succeeded(job: Job): Job {
  if (job.state === 'succeeded') return job
  const { error } = job
  const message = error?.message ?? `The job ${job.id} was cancelled.`
  const code = job.state === 'cancelled' ? 'job_cancelled' : (error?.code ?? 'internal')
  throw new CairnClientError(message, { code, hint: error?.hint, details: { job } })
}
