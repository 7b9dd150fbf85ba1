/** Calls of the older system about its log: appending to it, and reading it back, newest first. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Appended } from '../../engine/judge-group.ts'
import type { Dataset } from '../../engine/dataset.ts'
import type { PlacedEntry } from '../../engine/log-back.ts'
import { CairnError, isCairnError } from '../../errors.ts'
import { arkeTime } from '../../model/arke-pointer.ts'
import { printCid } from '../../model/cid.ts'
import { printOrNull } from '../../model/entry-record.ts'
import { problems } from '../schemas/answers.ts'
import {
  Cid,
  CidText,
  Count,
  EntityId,
  Limit,
  nullable,
  strict,
  Text,
  Version,
} from '../schemas/common.ts'
import { problemResponse } from '../schemas/problem.ts'
import type { Service } from '../service.ts'

const tags = ['arke']

const EntryBody = strict({ pi: EntityId, tip_cid: Cid, ver: Version })

const EventBody = strict({
  type: Type.Unsafe<'create' | 'update'>({ type: 'string', enum: ['create', 'update'] }),
  pi: EntityId,
  ver: Version,
  tip_cid: Cid,
})

/** Of an entry that was there before and is folded into the snapshot it is not known. */
const BlockCid = nullable(CidText)

const EventPage = strict({
  items: Type.Array(
    strict({
      event_cid: CidText,
      type: Type.Unsafe<EventType>({ type: 'string', enum: ['create', 'update', 'delete'] }),
      pi: Text,
      ver: Type.Integer({ minimum: 1 }),
      tip_cid: nullable(CidText),
      ts: Text,
    }),
  ),
  total_events: Count,
  total_pis: Count,
  has_more: Type.Boolean(),
  next_cursor: nullable(Text),
})

const EventQuery = strict({
  limit: Limit(10_000, 50),
  cursor: Type.Optional(
    Type.String({
      pattern: '^[a-z0-9.-]{0,200}$',
      description: '`next_cursor` of the page before, or an `event_cid`: the page begins with it',
    }),
  ),
})

const QueueStats = strict({
  queue_size: Type.Integer({
    minimum: 0,
    description: 'always 0: nothing is acknowledged before it is durable',
  }),
  batch_size: Type.Integer({ minimum: 1, description: 'entries that one commit may have' }),
  batch_timeout_ms: Type.Integer({
    minimum: 0,
    description: 'always 0: nobody waits for a batch to fill',
  }),
})

type EventType = 'create' | 'update' | 'delete'

export function arkeEventRoutes(service: Service): FastifyPluginAsyncTypebox {
  const configured = (): Promise<Dataset> => service.dataset(service.values().dataset)
  return async (app) => {
    app.post(
      '/chain/append',
      {
        config: { right: 'append', older: true },
        schema: {
          operationId: 'arkeAppend',
          tags,
          summary: 'Appends a version of an entity. It resolves when that is durable.',
          querystring: strict({}),
          body: EntryBody,
          response: {
            200: strict({ cid: BlockCid, success: Type.Literal(true) }),
            ...problems(404, 409, 422, 507),
          },
        },
      },
      async ({ body: { pi, tip_cid: tip, ver }, signal }) => {
        const dataset = await configured()
        const { block } = await dataset.append({ pi, tip, ver }, { signal })
        service.automation.noteChange(dataset.name)
        return { cid: printOrNull(block), success: true as const }
      },
    )
    app.post(
      '/events/append',
      {
        config: { right: 'append', older: true },
        schema: {
          operationId: 'arkeAppendEvent',
          tags,
          summary:
            'Appends an event: `create` of an entity that is new, `update` of one that is there.',
          querystring: strict({}),
          body: EventBody,
          response: {
            200: strict({
              event_cid: BlockCid,
              queued: Type.Literal(true),
              success: Type.Literal(true),
            }),
            ...problems(404, 409, 422, 507),
          },
        },
      },
      async ({ body: { type, pi, tip_cid: tip, ver }, signal }) => {
        const dataset = await configured()
        const append = type === 'create' ? create : update
        const { block } = await append(dataset, { pi, tip, ver }, signal)
        service.automation.noteChange(dataset.name)
        return { event_cid: printOrNull(block), queued: true as const, success: true as const }
      },
    )
    app.get(
      '/events',
      {
        config: { right: 'read', older: true },
        schema: {
          operationId: 'arkeEvents',
          tags,
          summary: 'The log, newest first. Entries that share a commit share an `event_cid`.',
          querystring: EventQuery,
          response: {
            200: EventPage,
            ...problems(404),
            410: problemResponse('The log is not kept so far back.'),
          },
        },
      },
      async ({ query: { limit, cursor = '' }, signal }) => {
        const dataset = await configured()
        const page = await dataset.logBack({ limit, signal, ...(cursor === '' ? {} : { cursor }) })
        return {
          items: page.items.map(eventRecord),
          total_events: page.commit.next,
          total_pis: page.commit.totalCount,
          has_more: page.nextCursor !== null,
          next_cursor: page.nextCursor,
        }
      },
    )
    app.get(
      '/events/queue-stats',
      {
        config: { right: 'read', older: true },
        schema: {
          operationId: 'arkeQueueStats',
          tags,
          summary: 'How many events wait to be written.',
          querystring: strict({}),
          response: { 200: QueueStats, ...problems(404) },
        },
      },
      async ({ signal }) => {
        const { commit } = await (await configured()).pointer({ signal })
        return { queue_size: 0, batch_size: commit.settings.chainLimit, batch_timeout_ms: 0 }
      },
    )
  }
}

interface ArkeEntry {
  readonly pi: string
  readonly tip: string
  readonly ver: number
}

type Append = (dataset: Dataset, entry: ArkeEntry, signal: AbortSignal) => Promise<Appended>

/** Of what never was, or is deleted. */
const create: Append = (dataset, entry, signal) =>
  dataset.append({ ...entry, expectTip: null }, { signal })

const UPDATE_TRIES = 10

/** On the version that was looked at, so that an entity which is deleted meanwhile does not come back. */
const update: Append = async (dataset, entry, signal) => {
  for (let attempt = 1; ; attempt++) {
    const current = await dataset.get(entry.pi, { signal })
    if (current === undefined) throw nothingThere(entry.pi)
    const expectVer = current.ver < entry.ver ? current.ver : undefined
    try {
      return await dataset.append({ ...entry, expectVer }, { signal })
    } catch (error) {
      const overtaken = isCairnError(error, 'conflict') && expectVer !== undefined
      if (!overtaken || attempt === UPDATE_TRIES) throw error
    }
  }
}

function nothingThere(pi: string): CairnError {
  return new CairnError('not_found', `There is no entity "${pi}" to update.`, {
    hint: 'Send its first version as an event of type create.',
    pi,
  })
}

function eventRecord({ entry, block }: PlacedEntry): {
  event_cid: string
  type: EventType
  pi: string
  ver: number
  tip_cid: string | null
  ts: string
} {
  const { pi, ver, tip, ts } = entry
  return {
    event_cid: printCid(block),
    type: tip === null ? 'delete' : ver === 1 ? 'create' : 'update',
    pi,
    ver,
    tip_cid: printOrNull(tip),
    ts: arkeTime(ts),
  }
}
