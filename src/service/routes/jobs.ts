/** Jobs: starting one, looking at them, waiting for one, stopping one; and saving when a user has left. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { CairnError } from '../../errors.ts'
import { hideFolders } from '../http/folders.ts'
import type { Job } from '../../jobs/job.ts'
import { startJob } from '../requests/job-requests.ts'
import { problems } from '../schemas/answers.ts'
import { DatasetParams, NoQuery } from '../schemas/common.ts'
import {
  DisconnectRequest,
  JobAnswer,
  JobList,
  JobParams,
  JobRequest,
  JobsQuery,
  JobStarted,
  WaitQuery,
} from '../schemas/job.ts'
import type { Service } from '../service.ts'

const tags = ['jobs']
const JOBS = '/v1/datasets/:dataset/jobs'

export function jobRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    hideFolders(app, service.values)
    await app.register(startRoutes(service))
    app.get(
      JOBS,
      {
        config: { right: 'read' },
        schema: {
          operationId: 'listJobs',
          tags,
          summary: 'The jobs of a dataset since the service began, newest first.',
          params: DatasetParams,
          querystring: JobsQuery,
          response: { 200: JobList, ...problems(404) },
        },
      },
      async ({ params: { dataset }, query: { kind, limit } }) => {
        await service.dataset(dataset)
        return { items: service.jobs.list({ dataset, kind, limit }) }
      },
    )
    app.get(
      `${JOBS}/:id`,
      {
        config: { right: 'read', stream: true },
        schema: {
          operationId: 'getJob',
          tags,
          summary: 'One job; with wait_ms at its end, or when that time is over.',
          params: JobParams,
          querystring: WaitQuery,
          response: { 200: JobAnswer, ...problems(404) },
        },
      },
      async ({ params: { dataset, id }, query: { wait_ms: waitMs }, signal }) => {
        const job = jobOf(service, dataset, id)
        if (waitMs === undefined) return { job }
        return { job: await waitFor(service, job, waitMs, signal) }
      },
    )
    app.delete(
      `${JOBS}/:id`,
      {
        config: { right: 'admin' },
        schema: {
          operationId: 'cancelJob',
          tags,
          summary: 'Asks a job to stop; one that has ended stays as it is.',
          params: JobParams,
          querystring: NoQuery,
          response: { 202: JobAnswer, ...problems(404) },
        },
      },
      async ({ params: { dataset, id } }, reply) => {
        const job = jobOf(service, dataset, id)
        return reply.code(202).send({ job: service.jobs.cancel(id) ?? job })
      },
    )
  }
}

function startRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      JOBS,
      {
        // A build is what a client that appends may ask for; any other kind needs admin.
        config: { right: 'append' },
        schema: {
          operationId: 'startJob',
          tags,
          summary:
            'Starts a job, or joins the one of its kind that runs. A build needs append, others admin.',
          params: DatasetParams,
          querystring: NoQuery,
          body: JobRequest,
          response: { 202: JobStarted, ...problems(404, 409) },
        },
      },
      async (request, reply) => {
        const { job, joined } = await startJob(
          service,
          request,
          request.params.dataset,
          request.body,
        )
        return accepted(reply, job).send({ job, joined })
      },
    )
    app.post(
      '/v1/datasets/:dataset/disconnect',
      {
        config: { right: 'append' },
        schema: {
          operationId: 'saveOnDisconnect',
          tags,
          summary: 'Saves because a user has left: a build with that reason.',
          params: DatasetParams,
          querystring: NoQuery,
          body: DisconnectRequest,
          response: { 202: JobAnswer, ...problems(404) },
        },
      },
      async ({ params: { dataset }, body: { user } }, reply) => {
        await service.dataset(dataset)
        const job = await service.automation.save(dataset, `user_disconnect:${user}`)
        return accepted(reply, job).send({ job })
      },
    )
  }
}

export function accepted<R extends FastifyReply>(reply: R, job: Job): R {
  reply.code(202).header('location', `/v1/datasets/${job.dataset}/jobs/${job.id}`)
  return reply
}

function jobOf({ jobs }: Service, dataset: string, id: string): Job {
  const job = jobs.get(id)
  if (job?.dataset === dataset) return job
  throw new CairnError('not_found', `The dataset "${dataset}" has no job "${id}".`, {
    hint: 'Only the last ones are remembered, and none from before a restart.',
  })
}

/** The job at its end, or as it is when the time is over. Nobody waits longer than the service lives. */
export async function waitFor(
  { jobs, draining }: Service,
  { id }: Job,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Job> {
  const ending = new AbortController()
  const end = (): void => ending.abort()
  // Not AbortSignal.any: the one that lives as long as the service would remember every waiter.
  for (const one of [signal, draining]) one.addEventListener('abort', end, { once: true })
  if (draining.aborted) end()
  try {
    return await jobs.wait(id, { signal: ending.signal, timeoutMs })
  } catch (error) {
    const job = signal.aborted ? undefined : jobs.get(id)
    if (job === undefined) throw error
    return job
  } finally {
    draining.removeEventListener('abort', end)
  }
}
