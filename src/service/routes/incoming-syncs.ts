/** Bringing a replica of this service up to date: its sync asks, in the answers, for what it lacks. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { blocksOfCar } from '../../car/blocks-of.ts'
import { commitSent, type Answer } from '../../engine/replica/asked-source.ts'
import { CairnError } from '../../errors.ts'
import { takeAnyBody } from '../http/any-body.ts'
import { hideFolders } from '../http/folders.ts'
import { bodyOf } from '../requests/content-body.ts'
import { INCOMING_LIMITS, IncomingSyncs, type IncomingLimits } from '../requests/incoming-syncs.ts'
import { requireWholeStore } from '../requests/whole-store.ts'
import { BINARY, problems } from '../schemas/answers.ts'
import { DatasetParams, NoQuery } from '../schemas/common.ts'
import {
  StepParams,
  StepQuery,
  SyncBody,
  SyncEnded,
  SyncParams,
  SyncState,
} from '../schemas/replication.ts'
import type { Service } from '../service.ts'

const tags = ['replication']
const SYNCS = '/v1/datasets/:dataset/syncs'
const SYNC = `${SYNCS}/:sync`
const CAR = 'application/vnd.ipld.car'
/** Senders stop at half of it; a block has at most 2 MiB. */
const MOST_BODY_BYTES = 8 << 20

export function incomingSyncRoutes(
  service: Service,
  limits: IncomingLimits = INCOMING_LIMITS,
): FastifyPluginAsyncTypebox {
  return async (app) => {
    hideFolders(app, service.values)
    const syncs = new IncomingSyncs(service, limits)
    app.addHook('onClose', () => syncs.close())
    app.post(
      SYNCS,
      {
        config: { right: 'admin', stream: true },
        schema: {
          operationId: 'beginSync',
          tags,
          summary: 'Begins to make the dataset a replica, or to bring it up to date.',
          params: DatasetParams,
          querystring: NoQuery,
          body: SyncBody,
          response: { 200: SyncState },
        },
      },
      async (request) => {
        const { dataset } = request.params
        await requireWholeStore(service, request)
        const { from, commit, key } = request.body
        const first = commitSent(dataset, Buffer.from(commit))
        const sync = syncs.begin(dataset, { from, first }, key)
        return sync.during(() => sync.state())
      },
    )
    app.get(
      SYNC,
      {
        config: { right: 'admin', stream: true },
        schema: {
          operationId: 'getSync',
          tags,
          summary: 'What a sync wants next, or how it ended; it waits a while for that.',
          params: SyncParams,
          querystring: NoQuery,
          response: { 200: SyncState, ...problems(404) },
        },
      },
      async (request) => {
        const { dataset, sync: id } = request.params
        await requireWholeStore(service, request)
        const sync = syncs.find(dataset, id)
        return sync.during(() => sync.state())
      },
    )
    await app.register(answerRoute(service, syncs))
  }
}

function answerRoute(service: Service, syncs: IncomingSyncs): FastifyPluginAsyncTypebox {
  return async (app) => {
    takeAnyBody(app)
    app.put(
      `${SYNC}/:step`,
      {
        config: { right: 'admin', stream: true },
        schema: {
          operationId: 'answerSync',
          tags,
          summary: 'Sends what a sync wants, and says what it wants next.',
          params: StepParams,
          querystring: StepQuery,
          body: {
            content: { [CAR]: { schema: BINARY }, 'application/json': { schema: BINARY } },
          },
          response: { 200: SyncState, ...problems(404, 422) },
        },
      },
      async (request) => {
        const { dataset, sync: id, step } = request.params
        await requireWholeStore(service, request)
        const sync = syncs.find(dataset, id)
        return sync.during(async () => {
          const { count } = request.query
          await sync.answer(step, async (signal) => {
            const body = await whole(request, signal)
            return count === undefined ? { kind: 'newest', commit: body } : car(body, count)
          })
          return sync.state()
        })
      },
    )
    app.delete(
      SYNC,
      {
        config: { right: 'admin' },
        schema: {
          operationId: 'endSync',
          tags,
          summary: 'Ends a sync that is not gone on with; what was sent stays for the next one.',
          params: SyncParams,
          querystring: NoQuery,
          response: { 200: SyncEnded, ...problems(404) },
        },
      },
      async (request) => {
        const { dataset, sync: id } = request.params
        await requireWholeStore(service, request)
        const sync = syncs.find(dataset, id)
        sync.end(givenUp())
        await sync.ended
        return { sync: id }
      },
    )
  }
}

const car = (body: Uint8Array, count: number): Answer => ({
  kind: 'blocks',
  blocks: blocksOfCar(body),
  count,
})

async function whole(request: FastifyRequest, signal: AbortSignal): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of bodyOf(request, MOST_BODY_BYTES, signal)) parts.push(part)
  return Buffer.concat(parts)
}

function givenUp(): CairnError {
  return new CairnError('aborted', 'The sync was ended by its sender.', {
    hint: 'Begin another: what was sent is found again.',
  })
}
