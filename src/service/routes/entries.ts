/** Writing many entries at once, all of them or none. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { BATCH_WEIGHT } from '../http/bodies.ts'
import { exactValue, useDagJsonBodies } from '../requests/dag-json-body.ts'
import { importEntryOf } from '../requests/entry-input.ts'
import { problems } from '../schemas/answers.ts'
import { DatasetParams, NoQuery } from '../schemas/common.ts'
import { Batch, WrittenBatch } from '../schemas/entry.ts'
import type { Service } from '../service.ts'
import { writtenRecord } from './entities.ts'

export function entryRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    useDagJsonBodies(app, { ...service.values(), weight: BATCH_WEIGHT })
    app.post(
      '/v1/datasets/:dataset/entries',
      {
        config: { right: 'append' },
        schema: {
          operationId: 'appendEntries',
          tags: ['entries'],
          summary: 'Appends entries, all or none. It resolves when they are durable.',
          params: DatasetParams,
          querystring: NoQuery,
          body: Batch,
          response: { 200: WrittenBatch, ...problems(404, 409, 422, 507) },
        },
      },
      async (request) => {
        const { params, body, signal } = request
        const dataset = await service.dataset(params.dataset)
        const entries = body.entries.map((one, i) =>
          importEntryOf(one.pi, one, () => exactValue(request, one.value, ['entries', i, 'value'])),
        )
        const written = await dataset.writeBatch(entries, { signal })
        service.automation.noteChange(params.dataset)
        return { entries: written.map(writtenRecord) }
      },
    )
  }
}
