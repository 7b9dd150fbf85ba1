/** Going back to a kept snapshot or commit. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { rollbackRecord } from '../../engine/records.ts'
import { problems } from '../schemas/answers.ts'
import { DatasetParams, NoQuery } from '../schemas/common.ts'
import { RollbackRequest, RolledBack } from '../schemas/snapshot.ts'
import type { Service } from '../service.ts'

export function rollbackRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post(
      '/v1/datasets/:dataset/rollback',
      {
        config: { right: 'admin' },
        schema: {
          operationId: 'rollBack',
          tags: ['snapshots'],
          summary: 'Makes an earlier state current again, as a new commit that can be undone.',
          params: DatasetParams,
          querystring: NoQuery,
          body: RollbackRequest,
          response: { 200: RolledBack, ...problems(404, 409, 507) },
        },
      },
      async ({ params, body, signal }) => {
        const { to, keep_chain: keepChain, reason } = body
        const dataset = await service.dataset(params.dataset)
        const target = typeof to === 'number' ? { commit: to } : { snapshot: to }
        const report = await dataset.rollback(target, { keepChain, reason, signal })
        service.automation.noteChange(params.dataset)
        return rollbackRecord(report)
      },
    )
  }
}
