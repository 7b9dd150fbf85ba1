/** One key of a map: what it holds, setting and deleting it. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import type { Dataset } from '../../engine/dataset.ts'
import type { AppendEntry } from '../../engine/draft.ts'
import type { ImportEntry } from '../../engine/import-entry.ts'
import { CairnError } from '../../errors.ts'
import { itemId, parseMapName, type MapRecord } from '../../live/layout.ts'
import { requireLinked } from '../../live/require-linked.ts'
import { takeAnyBody } from '../http/any-body.ts'
import { entityTag, expectationOf } from '../http/etag.ts'
import { contentOf } from '../requests/content-body.ts'
import { endOfSame, ensureMapRecord, expiryOf, writeKeys } from '../requests/map-writes.ts'
import { timeOf } from '../requests/moment.ts'
import { refuseBoth } from '../requests/refusals.ts'
import { BINARY, NOT_MODIFIED, problems } from '../schemas/answers.ts'
import { JsonValue, oneOf, optional, strict } from '../schemas/common.ts'
import { DeleteQuery } from '../schemas/entry.ts'
import { KeyPutQuery, MapKeyParams, WrittenKey } from '../schemas/map.ts'
import type { Service } from '../service.ts'
import { sendContent } from './content.ts'
import { writtenKey } from './map-keys.ts'
import { MAP } from './maps.ts'

const tags = ['maps']
const KEY = `${MAP}/keys/:key`
const VALUE = {
  'application/json': { schema: JsonValue },
  'application/octet-stream': { schema: BINARY },
}
const FORMAT = strict({
  format: optional(oneOf<'raw'>(['raw'], { description: 'the block, as it is stored' })),
})

export function mapKeyRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    await app.register(putRoute(service))
    app.get(
      KEY,
      {
        config: { right: 'read', stream: true },
        schema: {
          operationId: 'getMapKey',
          tags,
          summary:
            'What a key holds: a value as DAG-JSON, or bytes. What has expired is not there.',
          params: MapKeyParams,
          querystring: FORMAT,
          response: {
            200: {
              description: 'A value as DAG-JSON, or bytes.',
              content: { ...VALUE, 'application/vnd.ipld.raw': { schema: BINARY } },
            },
            304: NOT_MODIFIED,
            ...problems(404, 422),
          },
        },
      },
      async (request, reply) => {
        const { dataset, name, key, id } = await placeOf(service, request.params)
        const entry = await dataset.get(id, { signal: request.signal })
        if (entry === undefined || entry.tip === null) throw noKey(name, key)
        const { ver, tip } = entry
        const { format } = request.query
        const wanted = { name: dataset.name, cid: tip, tag: entityTag({ ver, tip }), format }
        return sendContent(service, request, reply, wanted)
      },
    )
    app.delete(
      KEY,
      {
        config: { right: 'append' },
        schema: {
          operationId: 'deleteMapKey',
          tags,
          summary: 'Deletes a key. One that is not there is no error where a version is named.',
          params: MapKeyParams,
          querystring: DeleteQuery,
          response: { 200: WrittenKey, ...problems(404, 409, 422, 507) },
        },
      },
      async (request) => {
        const { dataset, name, key, id } = await placeOf(service, request.params)
        const { ver, expect_ver: expectVer, expect_tip: expectTip } = request.query
        const conditions = { ver, expectVer, expectTip }
        const expected = await expectedOf(request, dataset, id, conditions)
        const isFree = ver === undefined && Object.keys(expected).length === 0
        const { signal } = request
        if (isFree && (await dataset.get(id, { signal })) === undefined) throw noKey(name, key)
        const make = (): ImportEntry[] => [{ pi: id, tip: null, ver, ...expected }]
        return write(service, dataset, name, make, signal)
      },
    )
  }
}

/** A body of any type: JSON is a value, all else are bytes. */
function putRoute(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    takeAnyBody(app)
    app.put(
      KEY,
      {
        config: { right: 'append' },
        schema: {
          operationId: 'putMapKey',
          tags,
          summary: 'Sets a key; it answers when that is durable. If-Match makes it depend.',
          params: MapKeyParams,
          querystring: KeyPutQuery,
          body: { content: VALUE },
          response: { 200: WrittenKey, 201: WrittenKey, ...problems(404, 409, 422, 507) },
        },
      },
      async (request, reply) => {
        const { dataset, name, id } = await placeOf(service, request.params)
        const { signal, query } = request
        // Found out first, so that a body for nothing is not read.
        await requireLinked(dataset, { signal })
        const { ver, expect_ver: expectVer } = query
        const expected = await expectedOf(request, dataset, id, { expectVer })
        const value = await contentOf(request, service.values().body_limit)
        if (isStream(value)) await ensureMapRecord(dataset, name, { signal })
        const same = await endOfSame(dataset, { pi: id, ver, ...expected }, { signal })
        const time = { ttlMs: query.ttl_ms, exp: endOf(query.expires), same }
        const now = service.now()
        const make = (record: MapRecord): ImportEntry[] => [
          { pi: id, value, ver, exp: expiryOf(record, time, now), ...expected },
        ]
        const written = await write(service, dataset, name, make, signal)
        return reply.code(written.status === 'appended' ? 201 : 200).send(written)
      },
    )
  }
}

interface Place {
  readonly dataset: Dataset
  readonly name: string
  readonly key: string
  readonly id: string
}

async function placeOf(
  service: Service,
  { dataset, name: given, key }: Static<typeof MapKeyParams>,
): Promise<Place> {
  const name = parseMapName(given)
  const id = itemId(name, key)
  return { dataset: await service.dataset(dataset), name, key, id }
}

type Expected = Pick<AppendEntry, 'expectVer' | 'expectTip'>

/** Of headers or of the query; an empty record where nothing is expected. */
async function expectedOf(
  request: FastifyRequest,
  dataset: Dataset,
  id: string,
  asked: Expected,
): Promise<Expected> {
  const { signal } = request
  const expected = await expectationOf(request, () => dataset.get(id, { signal }))
  if (expected !== undefined) refuseBoth(asked)
  const given = Object.entries({ ...asked, ...expected }).filter(([, one]) => one !== undefined)
  return Object.fromEntries(given)
}

async function write(
  service: Service,
  dataset: Dataset,
  name: string,
  make: (record: MapRecord) => readonly ImportEntry[],
  signal: AbortSignal,
): Promise<WrittenKey> {
  const [written] = await writeKeys(dataset, name, make, { signal })
  if (written === undefined) throw new Error('a write without an answer')
  service.automation.noteChange(dataset.name)
  return writtenKey(written)
}

const isStream = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value

function endOf(expires: string | undefined): number | null | undefined {
  if (expires === undefined) return undefined
  return expires === 'never' ? null : timeOf(expires, 'expires')
}

function noKey(name: string, key: string): CairnError {
  return new CairnError('not_found', `The map "${name}" has no key "${key.slice(0, 100)}".`, {
    hint: 'It was never set, was deleted, or has expired.',
    key,
  })
}
