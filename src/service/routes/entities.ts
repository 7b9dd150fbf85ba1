/** Entities: pages of them, one of them with its versions, writing and deleting one. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { Dataset, WrittenEntry } from '../../engine/dataset.ts'
import type { ImportEntry } from '../../engine/import-entry.ts'
import { entryRecord, printOrNull } from '../../model/entry-record.ts'
import { VALUE_WEIGHT } from '../http/bodies.ts'
import { exactValue, useDagJsonBodies } from '../requests/dag-json-body.ts'
import { importEntryOf } from '../requests/entry-input.ts'
import { entityTag, expectationOf, isKnown, notModified } from '../http/etag.ts'
import { momentOf } from '../requests/moment.ts'
import { noEntity, refuseBoth } from '../requests/refusals.ts'
import { NOT_MODIFIED, problems } from '../schemas/answers.ts'
import { EntityParams, DatasetParams, Limit, strict, NoQuery } from '../schemas/common.ts'
import {
  DeleteQuery,
  Entry,
  EntityPut,
  History,
  Written,
  type LoggedRecord,
  type WrittenRecord,
} from '../schemas/entry.ts'
import { MomentQuery, Page, PageQuery } from '../schemas/page.ts'
import type { Service } from '../service.ts'

const tags = ['entities']
const ENTITY = '/v1/datasets/:dataset/entities/:pi'

export function entityRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    useDagJsonBodies(app, { ...service.values(), weight: VALUE_WEIGHT })
    await app.register(readRoutes(service))
    app.put(
      ENTITY,
      {
        config: { right: 'append' },
        schema: {
          operationId: 'putEntity',
          tags,
          summary: 'Writes the next version: a tip, a value or bytes. If-Match makes it depend.',
          params: EntityParams,
          querystring: NoQuery,
          body: EntityPut,
          response: { 200: Written, 201: Written, ...problems(404, 409, 422, 507) },
        },
      },
      async (request, reply) => {
        const { dataset: name, pi } = request.params
        const { body } = request
        const entry = importEntryOf(pi, body, () => exactValue(request, body.value, ['value']))
        const written = await write(service, request, name, entry)
        return reply.code(written.status === 'appended' ? 201 : 200).send(written)
      },
    )
    app.delete(
      ENTITY,
      {
        config: { right: 'append' },
        schema: {
          operationId: 'deleteEntity',
          tags,
          summary: 'Deletes an entity; that is remembered for a while, against late retries.',
          params: EntityParams,
          querystring: DeleteQuery,
          response: { 200: Written, ...problems(404, 409, 422, 507) },
        },
      },
      async (request) => {
        const { dataset: name, pi } = request.params
        const { ver, expect_ver: expectVer, expect_tip: expectTip } = request.query
        return write(service, request, name, { pi, tip: null, ver, expectVer, expectTip })
      },
    )
  }
}

function readRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/v1/datasets/:dataset/entities',
      {
        config: { right: 'read' },
        schema: {
          operationId: 'listEntities',
          tags,
          summary: 'A page of entities, in the order of ids.',
          params: DatasetParams,
          querystring: PageQuery,
          response: { 200: Page, ...problems(404, 422) },
        },
      },
      async ({ params, query, signal }) => {
        const { limit, offset, cursor, order, prefix, from, to } = query
        const dataset = await service.dataset(params.dataset)
        const at = momentOf(query)
        const page = await dataset.list({
          limit,
          offset,
          cursor,
          order,
          prefix,
          from,
          to,
          at,
          signal,
        })
        return {
          items: page.items.map(entryRecord),
          total_count: page.totalCount,
          has_more: page.hasMore,
          next_cursor: page.nextCursor,
        }
      },
    )
    app.get(
      ENTITY,
      {
        config: { right: 'read' },
        schema: {
          operationId: 'getEntity',
          tags,
          summary: 'The current version of an entity, or an earlier one.',
          params: EntityParams,
          querystring: MomentQuery,
          response: { 200: Entry, 304: NOT_MODIFIED, ...problems(404, 422) },
        },
      },
      async (request, reply) => {
        const { dataset: name, pi } = request.params
        const dataset = await service.dataset(name)
        const at = momentOf(request.query)
        const entry = await dataset.get(pi, { at, signal: request.signal })
        if (entry === undefined || entry.tip === null) throw noEntity(pi, name)
        const tag = entityTag({ ver: entry.ver, tip: entry.tip })
        if (isKnown(request, reply, tag)) return notModified(reply)
        return reply.send(entryRecord(entry))
      },
    )
    app.get(
      `${ENTITY}/history`,
      {
        config: { right: 'read' },
        schema: {
          operationId: 'getHistory',
          tags,
          summary: 'The kept versions of an entity, newest first.',
          params: EntityParams,
          querystring: strict({ limit: Limit(10_000, 100) }),
          response: { 200: History, ...problems(404, 422) },
        },
      },
      async ({ params: { dataset: name, pi }, query: { limit }, signal }) => ({
        items: await historyOf(await service.dataset(name), pi, limit, signal),
      }),
    )
  }
}

async function historyOf(
  dataset: Dataset,
  pi: string,
  limit: number,
  signal: AbortSignal,
): Promise<readonly LoggedRecord[]> {
  const items: LoggedRecord[] = []
  for await (const { entry, position } of dataset.history(pi, { signal })) {
    items.push({ ...entryRecord(entry), position })
    if (items.length >= limit) return items
  }
  if (items.length > 0) return items
  // A prune or a restore may have left nothing of it in the log.
  const current = await dataset.get(pi, { signal })
  if (current === undefined) throw noEntity(pi, dataset.name)
  return [{ ...entryRecord(current), position: null }]
}

/** One entry, with what the headers of the request expect of its entity. */
export async function write(
  service: Service,
  request: FastifyRequest,
  name: string,
  entry: ImportEntry,
): Promise<WrittenRecord> {
  const dataset = await service.dataset(name)
  const { signal } = request
  const expected = await expectationOf(request, () => dataset.get(entry.pi, { signal }))
  if (expected !== undefined) refuseBoth(entry)
  const [written] = await dataset.writeBatch([{ ...entry, ...expected }], { signal })
  if (written === undefined) throw new Error('a write without an answer')
  service.automation.noteChange(name)
  return writtenRecord(written)
}

export function writtenRecord(written: WrittenEntry): WrittenRecord {
  const { pi, ver, tip, position, status } = written
  return { pi, ver, tip: printOrNull(tip), position, status }
}
