/** Whether a dataset is well, which of its moments could be brought back, and what is done by itself. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { readCoverage } from '../../health/coverage-report.ts'
import { isCairnError } from '../../errors.ts'
import { hideFolders } from '../http/folders.ts'
import { timeOf } from '../requests/moment.ts'
import { problems } from '../schemas/answers.ts'
import { DatasetParams, NoQuery } from '../schemas/common.ts'
import { AutomationStatus, Coverage, CoverageQuery } from '../schemas/coverage.ts'
import { HealthReportSchema } from '../schemas/health.ts'
import type { Service } from '../service.ts'

export function healthRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    hideFolders(app, service.values)
    app.get(
      '/v1/datasets/:dataset/health',
      {
        config: { right: 'read' },
        schema: {
          operationId: 'getHealth',
          tags: ['health'],
          summary:
            'A finding for each check, looked at now. What is wrong is no error of the answer.',
          params: DatasetParams,
          querystring: NoQuery,
          response: { 200: HealthReportSchema, ...problems(404) },
        },
      },
      async ({ params }) => {
        await requireDataset(service, params.dataset)
        return service.health.check(params.dataset)
      },
    )
    app.get(
      '/v1/datasets/:dataset/coverage',
      {
        config: { right: 'read' },
        schema: {
          operationId: 'getCoverage',
          tags: ['health'],
          summary: 'Which moments could be brought back, from what, and when that was last proved.',
          params: DatasetParams,
          querystring: CoverageQuery,
          response: { 200: Coverage, ...problems(404) },
        },
      },
      async ({ params, query, signal }) => {
        const { cairn, backend, values, now } = service
        const { since } = query
        return readCoverage({
          cairn,
          backend,
          dataset: params.dataset,
          values: values(),
          now: now(),
          since: since === undefined ? undefined : timeOf(since, 'since'),
          signal,
        })
      },
    )
    app.get(
      '/v1/datasets/:dataset/automation',
      {
        config: { right: 'read' },
        schema: {
          operationId: 'getAutomation',
          tags: ['health'],
          summary: 'What ran last by itself and how it ended, and what runs next.',
          params: DatasetParams,
          querystring: NoQuery,
          response: { 200: AutomationStatus, ...problems(404) },
        },
      },
      async ({ params }) => {
        await requireDataset(service, params.dataset)
        return service.automation.state(params.dataset)
      },
    )
  }
}

/** One that does not exist has no health; of one that cannot be opened the look itself will tell. */
async function requireDataset({ dataset }: Service, name: string): Promise<void> {
  try {
    await dataset(name)
  } catch (error) {
    if (isCairnError(error, 'dataset_not_found')) throw error
  }
}
