/** The datasets of the store: which there are, making one, where one stands. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Dataset } from '../../engine/dataset.ts'
import { CairnError } from '../../errors.ts'
import { problems } from '../schemas/answers.ts'
import { DatasetParams, NoQuery } from '../schemas/common.ts'
import {
  DatasetMade,
  DatasetSettings,
  Datasets,
  Status,
  type StatusRecord,
} from '../schemas/dataset.ts'
import type { Service } from '../service.ts'

const tags = ['datasets']

export function datasetRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/v1/datasets',
      {
        config: { right: 'read' },
        schema: {
          operationId: 'listDatasets',
          tags,
          summary: 'The names of all datasets.',
          querystring: NoQuery,
          response: { 200: Datasets },
        },
      },
      async () => ({ datasets: await service.cairn.datasets() }),
    )
    app.put(
      '/v1/datasets/:dataset',
      {
        config: { right: 'admin' },
        schema: {
          operationId: 'makeDataset',
          tags,
          summary: 'Makes a dataset; one that is there with these settings is no error.',
          params: DatasetParams,
          querystring: NoQuery,
          body: DatasetSettings,
          response: { 200: DatasetMade, 201: DatasetMade, ...problems(409, 507) },
        },
      },
      async (request, reply) => {
        const { dataset: name } = request.params
        const created = await make(service, name, request.body)
        return reply.code(created ? 201 : 200).send({ dataset: name, created })
      },
    )
    app.get(
      '/v1/datasets/:dataset',
      {
        config: { right: 'read' },
        schema: {
          operationId: 'getDataset',
          tags,
          summary: 'Where a dataset stands: its index pointer, and sizes.',
          params: DatasetParams,
          querystring: NoQuery,
          response: { 200: Status, ...problems(404) },
        },
      },
      async (request) => {
        const dataset = await service.dataset(request.params.dataset)
        return statusOf(service, dataset, request.signal)
      },
    )
  }
}

async function make(service: Service, name: string, asked: DatasetSettings): Promise<boolean> {
  const values = service.values()
  const { dataset, created } = await service.cairn.init(name, {
    content: asked.content ?? values.content,
    chunkSize: asked.chunk_size ?? values.chunk_size,
    chainLimit: asked.chain_limit ?? values.chain_limit,
  })
  if (!created) await refuseOthers(dataset, asked)
  return created
}

/** What was asked for on purpose and is not so must not look like a success. */
async function refuseOthers(dataset: Dataset, asked: DatasetSettings): Promise<void> {
  const { pointer } = await dataset.status()
  const there: Readonly<Record<string, unknown>> = { ...pointer.settings }
  for (const [name, value] of Object.entries(asked)) {
    if (value === there[name]) continue
    throw new CairnError(
      'conflict',
      `The dataset "${dataset.name}" is there, and its ${name} is ${String(there[name])}.`,
      { hint: 'Settings are fixed when a dataset is made; leave them out, or take another name.' },
    )
  }
}

async function statusOf(
  { backend }: Service,
  dataset: Dataset,
  signal: AbortSignal,
): Promise<StatusRecord> {
  const { pointer, commit, root, chunkCount, treeBytes, meta, store } = await dataset.status({
    signal,
  })
  return {
    ...pointer,
    commit,
    root,
    chunk_count: chunkCount,
    tree_bytes: treeBytes,
    meta,
    store: {
      kind: backend.kind,
      size_bytes: store.sizeBytes ?? null,
      free_bytes: store.freeBytes ?? null,
      synced: store.synced ?? null,
      notes: store.notes,
    },
  }
}
