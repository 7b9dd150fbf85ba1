/** Calls of the older system that read: whether it is well, its index pointer, its entities. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { isCairnError } from '../../errors.ts'
import { arkePointer, arkeTime } from '../../model/arke-pointer.ts'
import { printOrNull } from '../../model/entry-record.ts'
import { CidText, Count, Limit, nullable, strict, Text } from '../schemas/common.ts'
import { problems } from '../schemas/answers.ts'
import type { Service } from '../service.ts'

const tags = ['arke']

const snapshotFields = {
  latest_snapshot_cid: nullable(CidText),
  snapshot_seq: Count,
  snapshot_count: Count,
  snapshot_ts: nullable(Text),
}

const PointerV1 = strict({
  schema: Type.Literal('arke/index-pointer@v1'),
  ...snapshotFields,
  recent_chain_head: nullable(CidText),
  recent_count: Count,
  total_count: Count,
  last_updated: Text,
})

const PointerV2 = strict({
  schema: Type.Literal('arke/index-pointer@v2'),
  event_head: nullable(CidText),
  event_count: Count,
  latest_snapshot_cid: nullable(CidText),
  snapshot_event_cid: nullable(CidText),
  snapshot_seq: Count,
  snapshot_count: Count,
  snapshot_ts: nullable(Text),
  total_count: Count,
  last_snapshot_trigger: Type.Null(),
  last_updated: Text,
})

const EntityPage = strict({
  items: Type.Array(
    strict({ pi: Text, ver: Type.Integer({ minimum: 1 }), tip: nullable(CidText), ts: Text }),
  ),
  total_count: Count,
  has_more: Type.Boolean(),
  next_cursor: nullable(Text),
})

const EntityQuery = strict({
  limit: Limit(10_000, 10),
  offset: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, default: 0 }),
  cursor: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9_-]{0,800}$',
      description: '`next_cursor` of the page before; the offset does not count then',
    }),
  ),
})

export function arkeReadRoutes(service: Service): FastifyPluginAsyncTypebox {
  const configured = (): string => service.values().dataset
  return async (app) => {
    app.get(
      '/health',
      {
        config: { right: 'none', older: true },
        schema: {
          operationId: 'arkeHealth',
          tags,
          summary: 'The service is up, and its store answers.',
          querystring: strict({}),
          response: { 200: strict({ status: Type.Literal('healthy') }) },
        },
      },
      async ({ signal }) => {
        await askStore(service, configured(), signal)
        return { status: 'healthy' as const }
      },
    )
    app.get(
      '/index-pointer',
      {
        config: { right: 'read', older: true },
        schema: {
          operationId: 'arkeIndexPointer',
          tags,
          summary: 'The index pointer, in the shape that the setting api_pointer names.',
          querystring: strict({}),
          response: { 200: Type.Union([PointerV1, PointerV2]), ...problems(404) },
        },
      },
      async ({ signal }) => {
        const dataset = await service.dataset(configured())
        const { commit } = await dataset.pointer({ signal })
        return arkePointer(service.values().api_pointer, commit)
      },
    )
    app.get(
      '/entities',
      {
        config: { right: 'read', older: true },
        schema: {
          operationId: 'arkeEntities',
          tags,
          summary: 'A page of entities, the highest id first.',
          querystring: EntityQuery,
          response: { 200: EntityPage, ...problems(404) },
        },
      },
      async ({ query, signal }) => {
        const { limit, offset, cursor = '' } = query
        const dataset = await service.dataset(configured())
        const page = await dataset.list({
          limit,
          ...(cursor === '' ? { offset } : { cursor }),
          signal,
        })
        return {
          items: page.items.map(({ pi, ver, tip, ts }) => ({
            pi,
            ver,
            tip: printOrNull(tip),
            ts: arkeTime(ts),
          })),
          total_count: page.totalCount,
          has_more: page.hasMore,
          next_cursor: page.nextCursor,
        }
      },
    )
  }
}

/** A dataset that is yet to be made is no fault of the store. */
async function askStore(service: Service, name: string, signal: AbortSignal): Promise<void> {
  try {
    await (await service.dataset(name)).head({ signal })
  } catch (error) {
    if (!isCairnError(error, 'dataset_not_found')) throw error
  }
}
