/** Live maps: which there are, how long their keys live, and deleting one with all its keys. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Dataset } from '../../engine/dataset.ts'
import { CairnError, isCairnError } from '../../errors.ts'
import {
  itemPrefix,
  mapRecord,
  parseMapName,
  parseMapRecord,
  parseRecordId,
  recordId,
  RECORDS_PREFIX,
} from '../../live/layout.ts'
import { readRecord, readValue } from '../../live/load.ts'
import { requireLinked } from '../../live/require-linked.ts'
import type { Entry } from '../../model/entry.ts'
import { deleteMap } from '../requests/map-delete.ts'
import { problems } from '../schemas/answers.ts'
import { DatasetParams, NoQuery } from '../schemas/common.ts'
import { MapAnswer, MapDeleted, MapParams, MapPut, MapsPage, MapsQuery } from '../schemas/map.ts'
import type { Service } from '../service.ts'

const tags = ['maps']
const MAPS = '/v1/datasets/:dataset/maps'
export const MAP: string = `${MAPS}/:name`

export function mapRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    await app.register(readRoutes(service))
    app.put(
      MAP,
      {
        config: { right: 'append' },
        schema: {
          operationId: 'putMap',
          tags,
          summary: 'Makes a map, or changes how long its keys live that are set from now on.',
          params: MapParams,
          querystring: NoQuery,
          body: MapPut,
          response: { 200: MapAnswer, 201: MapAnswer, ...problems(404, 409, 422, 507) },
        },
      },
      async ({ params, body, signal }, reply) => {
        const name = parseMapName(params.name)
        const dataset = await service.dataset(params.dataset)
        await requireLinked(dataset, { signal })
        const before = await readRecord(dataset, name)
        const record = mapRecord(name, body.ttl_ms)
        if (before?.ttl_ms !== record.ttl_ms || before.kind !== record.kind) {
          await dataset.put(recordId(name), record, { signal })
          service.automation.noteChange(params.dataset)
        }
        reply.code(before === undefined ? 201 : 200)
        return answerOf(dataset, name, record, signal)
      },
    )
    app.delete(
      MAP,
      {
        // Of a large map it takes its time.
        config: { right: 'append', stream: true },
        schema: {
          operationId: 'deleteMap',
          tags,
          summary: 'Deletes a map and all its keys, all or none of it.',
          params: MapParams,
          querystring: NoQuery,
          response: { 200: MapDeleted, ...problems(404, 409, 422, 507) },
        },
      },
      async ({ params, signal }) => {
        const name = parseMapName(params.name)
        const dataset = await service.dataset(params.dataset)
        const deleted = await deleteMap(dataset, name, { signal })
        if (deleted === undefined) throw noMap(name, dataset.name)
        service.automation.noteChange(params.dataset)
        return { name, deleted }
      },
    )
  }
}

function readRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      MAPS,
      {
        config: { right: 'read' },
        schema: {
          operationId: 'listMaps',
          tags,
          summary: 'The live maps of a dataset, by name.',
          params: DatasetParams,
          querystring: MapsQuery,
          response: { 200: MapsPage, ...problems(404, 422) },
        },
      },
      async ({ params, query, signal }) => {
        const dataset = await service.dataset(params.dataset)
        const prefix = RECORDS_PREFIX
        const page = await dataset.list({ ...query, prefix, order: 'asc', signal })
        const items: MapAnswer[] = []
        for (const entry of page.items) {
          const item = await listed(dataset, entry, signal)
          if (item !== undefined) items.push(item)
        }
        return { items, has_more: page.hasMore, next_cursor: page.nextCursor }
      },
    )
    app.get(
      MAP,
      {
        config: { right: 'read' },
        schema: {
          operationId: 'getMap',
          tags,
          summary: 'One map: its kind, how long its keys live, how many there are.',
          params: MapParams,
          querystring: NoQuery,
          response: { 200: MapAnswer, ...problems(404, 422) },
        },
      },
      async ({ params, signal }) => {
        const name = parseMapName(params.name)
        const dataset = await service.dataset(params.dataset)
        const record = await readRecord(dataset, name)
        if (record === undefined) throw noMap(name, dataset.name)
        return answerOf(dataset, name, record, signal)
      },
    )
  }
}

/** Undefined of an entity of somebody else, which happens to have such an id. */
async function listed(
  dataset: Dataset,
  { pi, tip }: Entry,
  signal: AbortSignal,
): Promise<MapAnswer | undefined> {
  const name = parseRecordId(pi)
  if (name === undefined || tip === null) return undefined
  try {
    const record = parseMapRecord(await readValue(dataset, tip, signal), parseMapName(name))
    return await answerOf(dataset, name, record, signal)
  } catch (error) {
    if (isCairnError(error, 'invalid_content') || isCairnError(error, 'usage')) return undefined
    throw error
  }
}

async function answerOf(
  dataset: Dataset,
  name: string,
  { kind, ttl_ms }: Pick<MapAnswer, 'kind' | 'ttl_ms'>,
  signal: AbortSignal,
): Promise<MapAnswer> {
  return { name, kind, ttl_ms, count: await countKeys(dataset, name, signal) }
}

/** Up to so many keys are counted one by one. */
const MAX_COUNTED = 100_000
/** So many of them before others get their turn. */
const TURN = 10_000

/** Of a larger map those that have expired count until the next build, which takes them out. */
async function countKeys(dataset: Dataset, name: string, signal: AbortSignal): Promise<number> {
  const range = { prefix: itemPrefix(name), signal }
  const most = await dataset.count(range)
  if (most > MAX_COUNTED) return most
  let count = 0
  for await (const { tip } of dataset.entries(range)) {
    if (tip !== null) count++
    if (count % TURN === TURN - 1) await nextTurn()
  }
  return count
}

export function noMap(name: string, dataset: string): CairnError {
  return new CairnError('not_found', `The dataset "${dataset}" has no map "${name}".`, {
    hint: 'It is made with its first key; the list of maps has the names.',
  })
}
