/** The keys of a map: pages of them, several at once, and writing several in one commit. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { Dataset, WrittenEntry } from '../../engine/dataset.ts'
import type { ImportEntry } from '../../engine/import-entry.ts'
import { CairnError } from '../../errors.ts'
import {
  itemId,
  itemPrefix,
  parseItemId,
  parseMapName,
  recordId,
  type MapRecord,
} from '../../live/layout.ts'
import { printCursor } from '../../model/cursor.ts'
import { keyOf } from '../../model/entity-id.ts'
import type { Entry } from '../../model/entry.ts'
import { BATCH_WEIGHT } from '../http/bodies.ts'
import { exactValue, useDagJsonBodies } from '../requests/dag-json-body.ts'
import { printItems } from '../requests/map-items.ts'
import { endOfSame, expiryOf, writeKeys } from '../requests/map-writes.ts'
import { timeOf } from '../requests/moment.ts'
import { problems, streamOf } from '../schemas/answers.ts'
import { NoQuery } from '../schemas/common.ts'
import {
  KeysFound,
  KeysPage,
  KeysQuery,
  KeysRead,
  KeysWrite,
  MAX_WRITES,
  MapParams,
  WrittenKeys,
  type KeyEntry,
  type WrittenKey,
} from '../schemas/map.ts'
import type { Service } from '../service.ts'
import { writtenRecord } from './entities.ts'
import { MAP, noMap } from './maps.ts'

const tags = ['maps']
const KEYS = `${MAP}/keys`

export function mapKeysRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    await app.register(readRoutes(service))
    await app.register(writeRoutes(service))
  }
}

function writeRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    useDagJsonBodies(app, { ...service.values(), weight: BATCH_WEIGHT })
    app.post(
      KEYS,
      {
        config: { right: 'append' },
        schema: {
          operationId: 'writeMapKeys',
          tags,
          summary: 'Sets and deletes keys, all or none; a map that is not there is made.',
          params: MapParams,
          querystring: NoQuery,
          body: KeysWrite,
          response: { 200: WrittenKeys, ...problems(404, 409, 422, 507) },
        },
      },
      async (request) => {
        const { params, signal } = request
        const name = parseMapName(params.name)
        const dataset = await service.dataset(params.dataset)
        const writes = await writesOf(request, request.body, dataset, name)
        const now = service.now()
        const make = (record: MapRecord): ImportEntry[] => writes.map((one) => one(record, now))
        const written = await writeKeys(dataset, name, make, { signal })
        if (written.length > 0) service.automation.noteChange(params.dataset)
        return { entries: written.map(writtenKey) }
      },
    )
  }
}

function readRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      KEYS,
      {
        config: { right: 'read' },
        schema: {
          operationId: 'listMapKeys',
          tags,
          summary: 'A page of the keys of a map, with what they hold where that is asked for.',
          params: MapParams,
          querystring: KeysQuery,
          response: { 200: jsonOf(KeysPage), ...problems(404, 422) },
        },
      },
      async ({ params, query, signal }, reply) => {
        const name = parseMapName(params.name)
        const dataset = await service.dataset(params.dataset)
        const text = await printPage(dataset, name, query, signal)
        return reply.type('application/json').send(text)
      },
    )
    app.post(
      `${MAP}/read`,
      {
        config: { right: 'read' },
        schema: {
          operationId: 'readMapKeys',
          tags,
          summary: 'Several keys of a map at once.',
          params: MapParams,
          querystring: NoQuery,
          body: KeysRead,
          response: { 200: jsonOf(KeysFound), ...problems(404, 422) },
        },
      },
      async ({ params, body, signal }, reply) => {
        const name = parseMapName(params.name)
        const dataset = await service.dataset(params.dataset)
        const text = await printFound(dataset, name, body, signal)
        return reply.type('application/json').send(text)
      },
    )
  }
}

/** It is printed here, and by no serializer. */
const jsonOf = (schema: unknown): unknown =>
  streamOf('application/json', 'Values are DAG-JSON.', schema)

async function printPage(
  dataset: Dataset,
  name: string,
  { limit, cursor, prefix = '', order, values }: KeysQuery,
  signal: AbortSignal,
): Promise<string> {
  const own = itemPrefix(name)
  const page = await dataset.list({ limit, cursor, order, prefix: `${own}${prefix}`, signal })
  const isUnknown = page.items.length === 0 && (await dataset.get(recordId(name))) === undefined
  if (isUnknown) throw noMap(name, dataset.name)
  const { items, count } = await printItems(dataset, page.items, { values, signal })
  const isWhole = count === page.items.length
  const last = page.items[count - 1]
  const next =
    isWhole || last === undefined ? page.nextCursor : await cursorAfter(dataset, last, order)
  const rest = JSON.stringify({ has_more: next !== null, next_cursor: next })
  return `{"items":[${items.join(',')}],${rest.slice(1)}`
}

async function cursorAfter(
  dataset: Dataset,
  { pi }: Entry,
  order: KeysQuery['order'],
): Promise<string> {
  const { identity } = await dataset.head()
  return printCursor({ dataset: identity, descending: order === 'desc', after: keyOf(pi) })
}

async function printFound(
  dataset: Dataset,
  name: string,
  { keys, values = true }: KeysRead,
  signal: AbortSignal,
): Promise<string> {
  const ids = [...new Set(keys)].map((key) => itemId(name, key))
  const found: Entry[] = []
  for (const id of ids) {
    const entry = await dataset.get(id, { signal })
    if (entry !== undefined) found.push(entry)
  }
  const { items, count } = await printItems(dataset, found, { values, signal })
  const left = found.slice(count).map(({ pi }) => parseItemId(pi)?.key)
  return `{"items":[${items.join(',')}],"left":${JSON.stringify(left)}}`
}

type Write = (record: MapRecord, now: number) => ImportEntry

/** What a body asks for, in its order. */
async function writesOf(
  request: FastifyRequest,
  { set = {}, delete: gone = [], entries = [], ttl_ms: ttlMs }: KeysWrite,
  dataset: Dataset,
  name: string,
): Promise<Write[]> {
  const keys = Object.keys(set)
  refuseTwice(keys, gone)
  refuseMany(keys.length + gone.length + entries.length)
  const sets = keys.map((key): Write => {
    const pi = itemId(name, key)
    const value = exactValue(request, set[key], ['set', key])
    return (record, now) => ({ pi, value, exp: expiryOf(record, { ttlMs }, now) })
  })
  const deletes: Write[] = []
  for (const key of gone) {
    const pi = itemId(name, key)
    if ((await dataset.get(pi)) !== undefined) deletes.push(() => ({ pi, tip: null }))
  }
  const others: Write[] = []
  for (const [i, one] of entries.entries()) {
    const exact = (): unknown => exactValue(request, one.value, ['entries', i, 'value'])
    others.push(await entryWrite(dataset, itemId(name, one.key), one, { exact, common: ttlMs }))
  }
  return [...sets, ...deletes, ...others]
}

interface Beside {
  readonly exact: () => unknown
  /** How long all live that have no time of their own. */
  readonly common: number | null | undefined
}

async function entryWrite(
  dataset: Dataset,
  pi: string,
  given: KeyEntry,
  { exact, common }: Beside,
): Promise<Write> {
  const fields = { pi, ver: given.ver, expectVer: given.expect_ver, expectTip: given.expect_tip }
  const { ttl_ms: own } = given
  const exp = given.exp === undefined || given.exp === null ? given.exp : timeOf(given.exp, 'exp')
  if (given.tip === null) return () => ({ ...fields, tip: null, exp })
  const time = {
    exp,
    ttlMs: own === undefined && exp === undefined ? common : own,
    same: await endOfSame(dataset, fields),
  }
  const value = given.bytes === undefined ? exact() : Buffer.from(given.bytes, 'base64')
  return (record, now) => ({ ...fields, value, exp: expiryOf(record, time, now) })
}

function refuseTwice(set: readonly string[], gone: readonly string[]): void {
  const keys = new Set(set)
  if (gone.every((key) => !keys.has(key)) && new Set(gone).size === gone.length) return
  throw new CairnError('usage', 'A key stands twice in what is to be written.', {
    hint: 'Name each key once, to be set or to be deleted.',
  })
}

function refuseMany(count: number): void {
  if (count <= MAX_WRITES) return
  throw new CairnError('too_large', `One request writes ${MAX_WRITES} keys at most.`, {
    hint: 'Send them in several requests.',
  })
}

export function writtenKey(written: WrittenEntry): WrittenKey {
  const { pi, ...rest } = writtenRecord(written)
  return { key: parseItemId(pi)?.key ?? pi, ...rest }
}
