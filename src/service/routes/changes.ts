/** The log of a dataset: by pages, as it grows, and where it stands. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { ChangesOptions, LogChange } from '../../engine/changes.ts'
import type { Dataset } from '../../engine/dataset.ts'
import type { DatasetHead } from '../../engine/head.ts'
import { printCid } from '../../model/cid.ts'
import type { Generation } from '../../model/generation.ts'
import { entryRecord } from '../../model/entry-record.ts'
import { formatTime } from '../../model/time.ts'
import { isStillAllowed } from '../access/access.ts'
import { whenClosed } from '../http/connection-end.ts'
import { EVENT_STREAM, eventStream, type ServerEvent } from '../http/event-stream.ts'
import { endOf } from '../http/stream-end.ts'
import { problems, streamOf } from '../schemas/answers.ts'
import {
  CidText,
  Count,
  DatasetParams,
  Limit,
  Position,
  strict,
  TimeOut,
} from '../schemas/common.ts'
import { Entry } from '../schemas/entry.ts'
import { problemResponse } from '../schemas/problem.ts'
import type { Service } from '../service.ts'

const tags = ['entries']
const PLACE = '/v1/datasets/:dataset'
const GONE = { 410: problemResponse('The log is not kept so far back.') }

const Since = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'the first position that is wanted',
})

/** With its tag it is told from one of the same number that another store has made. */
const GenerationText = Type.String({
  pattern: '^\\d{1,16}(?:-[0-9a-f]{1,64})?$',
  description:
    'the generation that `since` is of; if it is not the current one, that is told first',
})

const EVENT_ID = /^(\d{1,16})(?:-([0-9a-f]{1,64}))?\.(-1|\d{1,16})$/

const LastEventId = Type.String({
  pattern: `^$|${EVENT_ID.source}`,
  description: 'the `id` of the last event that was read; it counts before `since`',
})

const LogPage = strict({
  items: Type.Array(strict({ position: Position, ...Entry.properties })),
  next: Type.Integer({ minimum: 0, description: 'where the next page begins' }),
  generation: Count,
  floor: Type.Integer({ minimum: 0, description: 'the oldest position that is kept' }),
})

const Checkpoint = strict({
  commit: CidText,
  number: Count,
  generation: Count,
  next: Type.Integer({ minimum: 0, description: 'the position that the next entry gets' }),
  floor: Type.Integer({ minimum: 0, description: 'the oldest position that is kept' }),
  snapshot: CidText,
  seq: Count,
  recent_count: Count,
  total_count: Count,
  ts: TimeOut,
})

/** One of the stream; `data` is JSON. */
const ServerEventSchema = strict({
  id: Type.String({ pattern: EVENT_ID.source }),
  event: Type.Optional(Type.Enum(['entry', 'generation'])),
  data: Type.Optional(Type.String({ contentMediaType: 'application/json' })),
})

const STREAM_TEXT = `Server-Sent Events. \`entry\`: an entry with its position. \`generation\`: a restore or a \
rollback has begun another generation (data: generation, next, reason); read the entities anew, what follows goes on \
from \`next\`. \`id\` is GENERATION.POSITION; sent back as Last-Event-ID it goes on behind that position.`

export interface ChangeRouteOptions {
  readonly heartbeatMs?: number
}

export function changeRoutes(
  service: Service,
  { heartbeatMs }: ChangeRouteOptions = {},
): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      `${PLACE}/entries`,
      {
        config: { right: 'read' },
        schema: {
          operationId: 'listEntries',
          tags,
          summary: 'The log from a position on, in the order of positions.',
          params: DatasetParams,
          querystring: strict({ since: Type.Optional(Since), limit: Limit(10_000, 100) }),
          response: { 200: LogPage, ...problems(404), ...GONE },
        },
      },
      async ({ params, query, signal }) => {
        const dataset = await service.dataset(params.dataset)
        const page = await dataset.log({ ...query, signal })
        const items = page.items.map(({ position, entry }) => ({ position, ...entryRecord(entry) }))
        return { ...page, items, generation: page.generation.number }
      },
    )
    app.get(
      `${PLACE}/checkpoint`,
      {
        config: { right: 'read' },
        schema: {
          operationId: 'getCheckpoint',
          tags,
          summary: 'Where the dataset stands, for who looks often.',
          params: DatasetParams,
          querystring: strict({}),
          response: { 200: Checkpoint, ...problems(404) },
        },
      },
      async ({ params, signal }) => {
        const dataset = await service.dataset(params.dataset)
        return checkpointRecord(await dataset.head({ signal }))
      },
    )
    app.get(
      `${PLACE}/changes`,
      {
        config: { right: 'read', stream: true },
        exposeHeadRoute: false,
        schema: {
          operationId: 'followChanges',
          tags,
          summary: 'The log as it grows.',
          params: DatasetParams,
          querystring: strict({
            since: Type.Optional(Since),
            generation: Type.Optional(GenerationText),
          }),
          headers: Type.Object({ 'last-event-id': Type.Optional(LastEventId) }),
          response: {
            200: streamOf(EVENT_STREAM, STREAM_TEXT, ServerEventSchema),
            ...problems(404),
            ...GONE,
          },
        },
      },
      async (request, reply) => {
        const { params, query, headers } = request
        const dataset = await service.dataset(params.dataset)
        const signal = endOf(reply, service.draining, () => isStillAllowed(service, request))
        const start = startOf(query, headers['last-event-id'])
        const head = await checkStart(dataset, start, signal)
        const events = eventsOf(dataset, start, head, signal)
        whenClosed(reply, service.metrics.following())
        const options = { signal, ...(heartbeatMs === undefined ? {} : { heartbeatMs }) }
        return reply
          .type(EVENT_STREAM)
          .header('cache-control', 'no-store')
          .header('x-accel-buffering', 'no')
          .send(eventStream(events, options))
      },
    )
  }
}

interface ChangesQuery {
  readonly since?: number
  readonly generation?: string
}

type Start = Pick<ChangesOptions, 'since' | 'generation'>

/** A reader that comes back sends both; where it had come to counts. */
function startOf({ since, generation }: ChangesQuery, lastId = ''): Start {
  const [, number, tag, position] = EVENT_ID.exec(lastId) ?? []
  // Empty is what a browser sends that was given no id yet.
  if (position !== undefined)
    return { since: Number(position) + 1, generation: { number: Number(number), tag } }
  const [known, knownTag] = generation?.split('-') ?? []
  return {
    since,
    generation: known === undefined ? undefined : { number: Number(known), tag: knownTag },
  }
}

/** What cannot be begun is refused with a status; once the answer has begun, only a reset is left. */
async function checkStart(
  dataset: Dataset,
  { since, generation }: Start,
  signal: AbortSignal,
): Promise<DatasetHead> {
  const head = await dataset.head({ signal })
  const { number, tag } = head.generation
  const known = generation?.number ?? number
  const isCurrent = known === number && (generation?.tag === undefined || generation.tag === tag)
  if (since !== undefined && isCurrent) await dataset.log({ since, limit: 1, signal })
  return head
}

async function* eventsOf(
  dataset: Dataset,
  start: Start,
  head: DatasetHead,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent> {
  const since = start.since ?? head.next
  let generation = start.generation ?? head.generation
  // Who comes back before the first event goes on from here.
  yield { id: idOf(generation, since - 1) }
  for await (const change of dataset.changes({ since, generation, signal })) {
    if (change.kind === 'generation') generation = change.generation
    yield eventOf(change, generation)
  }
}

function eventOf(change: LogChange, generation: Pick<Generation, 'number'>): ServerEvent {
  if (change.kind === 'entry') {
    const { position, entry } = change
    return {
      id: idOf(generation, position),
      event: 'entry',
      data: { position, ...entryRecord(entry) },
    }
  }
  const { next, reason } = change
  const data = { generation: generation.number, next, reason }
  return { id: idOf(generation, next - 1), event: 'generation', data }
}

function idOf(
  { number, tag }: { number: number; tag?: string | undefined },
  position: number,
): string {
  return `${number}${tag === undefined ? '' : `-${tag}`}.${position}`
}

function checkpointRecord(head: DatasetHead): {
  commit: string
  number: number
  generation: number
  next: number
  floor: number
  snapshot: string
  seq: number
  recent_count: number
  total_count: number
  ts: string | number
} {
  const { number, generation, next, floor, seq, recentCount, totalCount } = head
  return {
    commit: printCid(head.commit),
    number,
    generation: generation.number,
    next,
    floor,
    snapshot: printCid(head.snapshot),
    seq,
    recent_count: recentCount,
    total_count: totalCount,
    ts: formatTime(head.ts),
  }
}
