/** The kept snapshots, and the chunks of one. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Dataset } from '../../engine/dataset.ts'
import { chunkRecord, snapshotRecord } from '../../engine/records.ts'
import { bytesEqual, printCid } from '../../model/cid.ts'
import type { KeptSnapshot } from '../../model/kept.ts'
import { isKnown, notModified } from '../http/etag.ts'
import { NOT_MODIFIED, problems, streamOf } from '../schemas/answers.ts'
import { DatasetName, DatasetParams, Limit, Selector, strict, NoQuery } from '../schemas/common.ts'
import { Chunk, Snapshot, Snapshots } from '../schemas/snapshot.ts'
import type { Service } from '../service.ts'
import { ndjson, nothing, started } from '../http/stream.ts'

const tags = ['snapshots']
const SNAPSHOTS = '/v1/datasets/:dataset/snapshots'
const SnapshotParams = strict({ dataset: DatasetName, selector: Selector })

export function snapshotRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      SNAPSHOTS,
      {
        config: { right: 'read' },
        schema: {
          operationId: 'listSnapshots',
          tags,
          summary: 'The kept snapshots, newest first.',
          params: DatasetParams,
          querystring: strict({ limit: Limit(10_000, 100) }),
          response: { 200: Snapshots, ...problems(404) },
        },
      },
      async ({ params, query: { limit }, signal }) => {
        const dataset = await service.dataset(params.dataset)
        const { kept, current } = await keptNow(dataset, limit, signal)
        const items = kept
          .slice(0, limit)
          .map((one) => ({ ...snapshotRecord(one), current: one === current }))
        return { items, has_more: kept.length > limit }
      },
    )
    app.get(
      `${SNAPSHOTS}/:selector`,
      {
        config: { right: 'read' },
        schema: {
          operationId: 'getSnapshot',
          tags,
          summary: 'One kept snapshot.',
          params: SnapshotParams,
          querystring: NoQuery,
          response: { 200: Snapshot, 304: NOT_MODIFIED, ...problems(404) },
        },
      },
      async (request, reply) => {
        const { params, signal } = request
        const dataset = await service.dataset(params.dataset)
        const { current, ...kept } = await dataset.snapshot(params.selector, { signal })
        const tag = `"${printCid(kept.cid)}${current ? '-current' : ''}"`
        if (isKnown(request, reply, tag)) return notModified(reply)
        return reply.send({ ...snapshotRecord(kept), current })
      },
    )
    app.get(
      `${SNAPSHOTS}/:selector/chunks`,
      {
        config: { right: 'read', stream: true },
        schema: {
          operationId: 'getChunks',
          tags,
          summary: 'The chunks of a snapshot in the order of ids, a line each.',
          params: SnapshotParams,
          querystring: NoQuery,
          response: {
            200: streamOf('application/x-ndjson', 'A line each.', Chunk),
            304: NOT_MODIFIED,
            ...problems(404),
          },
        },
      },
      async (request, reply) => {
        const { params, signal } = request
        const dataset = await service.dataset(params.dataset)
        const cid = printCid((await dataset.snapshot(params.selector, { signal })).cid)
        if (isKnown(request, reply, `"${cid}"`)) return notModified(reply)
        void reply.type('application/x-ndjson')
        if (request.method === 'HEAD') return reply.send(nothing())
        const chunks = dataset.chunks(cid, { signal })
        return reply.send(await started(ndjson(chunks, (one) => JSON.stringify(chunkRecord(one)))))
      },
    )
  }
}

interface Kept {
  /** One more than asked for where there are more. */
  readonly kept: readonly KeptSnapshot[]
  readonly current: KeptSnapshot | undefined
}

async function keptNow(dataset: Dataset, limit: number, signal: AbortSignal): Promise<Kept> {
  const kept: KeptSnapshot[] = []
  for await (const one of dataset.snapshots({ signal })) {
    kept.push(one)
    if (kept.length > limit) break
  }
  const { cid } = await dataset.snapshot('latest', { signal })
  return { kept, current: kept.find((one) => bytesEqual(one.cid, cid)) }
}
