/** CARs over the wire: the whole state as a stream, and a CAR to restore from. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { exportToStream } from '../../backup/write-car.ts'
import { takeAnyBody } from '../http/any-body.ts'
import { hideFolders } from '../http/folders.ts'
import { carStream } from '../requests/car-stream.ts'
import { accepted } from './jobs.ts'
import { checkTarget } from '../requests/job-requests.ts'
import { BINARY, problems, streamOf } from '../schemas/answers.ts'
import { DownloadQuery, UploadQuery } from '../schemas/backup.ts'
import { DatasetParams } from '../schemas/common.ts'
import { JobAnswer } from '../schemas/job.ts'
import type { Service } from '../service.ts'
import { nothing } from '../http/stream.ts'
import { receiveCar, restoreReceived } from '../requests/upload.ts'

const tags = ['backups']
const URL = '/v1/datasets/:dataset/car'
const CAR = 'application/vnd.ipld.car'

export function carRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    await app.register(uploadRoute(service))
    app.get(
      URL,
      {
        config: { right: 'read', stream: true },
        schema: {
          operationId: 'downloadCar',
          tags,
          summary: 'The state as a CAR: all of it, a snapshot, or what is new since one.',
          params: DatasetParams,
          querystring: DownloadQuery,
          response: { 200: streamOf(CAR, 'A CAR, as it is made.'), ...problems(404, 409) },
        },
      },
      async (request, reply) => {
        const { params, query, signal } = request
        const { content, since, snapshot, version } = query
        const dataset = await service.dataset(params.dataset)
        // What it is asked to be must be there, also when only the head is wanted.
        for (const selector of [since, snapshot])
          if (selector !== undefined) await dataset.snapshot(selector, { signal })
        void reply
          .type(CAR)
          .header('content-disposition', `attachment; filename="${dataset.name}.car"`)
        if (request.method === 'HEAD') return reply.send(nothing())
        const form = { version, recipients: [], force: false, now: service.now }
        const stream = await carStream(
          (sink, ending) =>
            exportToStream(dataset, sink, { ...form, content, since, snapshot, signal: ending }),
          signal,
        )
        return reply.send(stream)
      },
    )
  }
}

/** A body of any type, as it comes. */
function uploadRoute(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    takeAnyBody(app)
    hideFolders(app, service.values)
    app.post(
      URL,
      {
        config: { right: 'admin', stream: true },
        schema: {
          operationId: 'uploadCar',
          tags,
          summary: 'Restores from a CAR: it is taken in whole, then proved and restored by a job.',
          params: DatasetParams,
          querystring: UploadQuery,
          body: { content: { [CAR]: { schema: BINARY } } },
          response: { 202: JobAnswer, ...problems(409, 422, 507) },
        },
      },
      async (request, reply) => {
        const { params, query } = request
        const { as, replace, dry_run: dryRun } = query
        checkTarget(service, request, params.dataset, as)
        const car = await receiveCar(service.values(), request)
        const job = await restoreReceived(service, params.dataset, car, { as, replace, dryRun })
        return accepted(reply, job).send({ job })
      },
    )
  }
}
