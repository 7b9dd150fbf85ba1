/** What changed from one snapshot to another. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { changeRecords } from '../../engine/records.ts'
import { printCid } from '../../model/cid.ts'
import { isKnown, notModified } from '../http/etag.ts'
import { NOT_MODIFIED, problems, streamOf } from '../schemas/answers.ts'
import { DatasetParams } from '../schemas/common.ts'
import { Change, DiffQuery } from '../schemas/snapshot.ts'
import type { Service } from '../service.ts'
import { ndjson, nothing, started } from '../http/stream.ts'

export function diffRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/v1/datasets/:dataset/diff',
      {
        config: { right: 'read', stream: true },
        schema: {
          operationId: 'getDiff',
          tags: ['snapshots'],
          summary: 'What changed between two snapshots, in the order of ids, a line each.',
          params: DatasetParams,
          querystring: DiffQuery,
          response: {
            200: streamOf('application/x-ndjson', 'A line for each change.', Change),
            304: NOT_MODIFIED,
            ...problems(404),
          },
        },
      },
      async (request, reply) => {
        const { params, query, signal } = request
        const dataset = await service.dataset(params.dataset)
        const cidOf = async (selector: string): Promise<string> =>
          printCid((await dataset.snapshot(selector, { signal })).cid)
        const from = await cidOf(query.from)
        const to = await cidOf(query.to ?? 'latest')
        if (isKnown(request, reply, `"${from}-${to}"`)) return notModified(reply)
        void reply.type('application/x-ndjson')
        if (request.method === 'HEAD') return reply.send(nothing())
        const changes = changeRecords(dataset.diff(from, to, { signal }))
        return reply.send(await started(ndjson(changes, (one) => JSON.stringify(one))))
      },
    )
  }
}
