/** Whether a dataset is well, which of its moments could be brought back, what is done by itself, and how it grows. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { readCoverage } from '../../health/coverage-report.ts'
import { isCairnError } from '../../errors.ts'
import { hideFolders } from '../http/folders.ts'
import { timeOf } from '../requests/moment.ts'
import { problems } from '../schemas/answers.ts'
import { DatasetParams, NoQuery } from '../schemas/common.ts'
import { AutomationStatus, Coverage, CoverageQuery } from '../schemas/coverage.ts'
import { HealthReportSchema } from '../schemas/health.ts'
import { SamplesAnswer, SamplesQuery, type SampleRecord } from '../schemas/sample.ts'
import { KEEPING, type Sample } from '../samples.ts'
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
    app.get(
      '/v1/datasets/:dataset/samples',
      {
        config: { right: 'read' },
        schema: {
          operationId: 'getSamples',
          tags: ['health'],
          summary: 'A few figures over the last day, oldest first, since the service was started.',
          params: DatasetParams,
          querystring: SamplesQuery,
          response: { 200: SamplesAnswer, ...problems(404) },
        },
      },
      async ({ params, query }) => {
        await requireDataset(service, params.dataset)
        return {
          dataset: params.dataset,
          checked_at: new Date(service.now()).toISOString(),
          every_ms: KEEPING[query.window].everyMs,
          items: service.samples.of(params.dataset, query.window).map(sampleRecord),
        }
      },
    )
  }
}

function sampleRecord(sample: Sample): SampleRecord {
  return {
    ts: new Date(sample.ts).toISOString(),
    total_count: sample.totalCount,
    recent_count: sample.recentCount,
    store_bytes: sample.storeBytes ?? null,
    memory_bytes: sample.memoryBytes,
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
