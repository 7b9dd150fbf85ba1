/** What a replica elsewhere asks for: commits, as they are made, and blocks by their CIDs. It proves both itself. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { CarWriter } from '../../car/writer.ts'
import { checkedCommit } from '../../engine/checked-commit.ts'
import type { Dataset } from '../../engine/dataset.ts'
import { logBefore } from '../../engine/replica/log-ahead.ts'
import { CairnError } from '../../errors.ts'
import { parseCid, printCid, type CidBytes } from '../../model/cid.ts'
import { getProvedBlocks } from '../../store/proved.ts'
import { isStillAllowed } from '../access/access.ts'
import { whenClosed } from '../http/connection-end.ts'
import { isKnown, notModified } from '../http/etag.ts'
import { EVENT_STREAM, eventStream, type ServerEvent } from '../http/event-stream.ts'
import { endOf } from '../http/stream-end.ts'
import { carStream } from '../requests/car-stream.ts'
import { requireWholeStore } from '../requests/whole-store.ts'
import { BINARY, NOT_MODIFIED, problems, streamOf } from '../schemas/answers.ts'
import { DatasetParams, NoQuery } from '../schemas/common.ts'
import { BlocksBody, CommitEvent } from '../schemas/replication.ts'
import type { Service } from '../service.ts'

const tags = ['replication']
const CAR = 'application/vnd.ipld.car'
const STREAM_TEXT =
  'Server-Sent Events. `commit`: data has its number and its CID. Of many that are made at once the last is told.'
/** So many are read at once. */
const READ_BLOCKS = 16

export function replicationRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/v1/datasets/:dataset/commits/newest',
      {
        config: { right: 'read' },
        schema: {
          operationId: 'getNewestCommit',
          tags,
          summary: 'The newest commit, as the store holds it.',
          params: DatasetParams,
          querystring: NoQuery,
          response: {
            200: streamOf('application/json', 'Its very bytes, which its CID names.'),
            304: NOT_MODIFIED,
            ...problems(404),
          },
        },
      },
      async (request, reply) => {
        const { params, signal } = request
        // Says what is the matter where there is none.
        await service.dataset(params.dataset)
        const stored = await service.backend.newest(params.dataset, -1, { signal })
        if (stored === undefined) throw new CairnError('internal', 'a dataset without a commit')
        const { cid, bytes } = checkedCommit(params.dataset, stored.number, stored.bytes)
        if (isKnown(request, reply, `"${printCid(cid)}"`)) return notModified(reply)
        return reply.type('application/json').send(Buffer.from(bytes))
      },
    )
    app.get(
      '/v1/datasets/:dataset/commits',
      {
        config: { right: 'read', stream: true },
        exposeHeadRoute: false,
        schema: {
          operationId: 'followCommits',
          tags,
          summary:
            'The newest commit, and each one that comes after it: also of builds and prunes.',
          params: DatasetParams,
          querystring: NoQuery,
          response: { 200: streamOf(EVENT_STREAM, STREAM_TEXT, CommitEvent), ...problems(404) },
        },
      },
      async (request, reply) => {
        const dataset = await service.dataset(request.params.dataset)
        const signal = endOf(reply, service.draining, () => isStillAllowed(service, request))
        whenClosed(reply, service.metrics.following())
        return reply
          .type(EVENT_STREAM)
          .header('cache-control', 'no-store')
          .header('x-accel-buffering', 'no')
          .send(eventStream(eventsOf(dataset, signal), { signal }))
      },
    )
    app.post(
      '/v1/datasets/:dataset/blocks',
      {
        config: { right: 'read', stream: true },
        schema: {
          operationId: 'getBlocks',
          tags,
          summary: 'Blocks of the store by their CIDs, as a CAR; those it lacks are left out.',
          params: DatasetParams,
          querystring: NoQuery,
          body: BlocksBody,
          response: { 200: streamOf(CAR, 'A CAR without roots.', BINARY), ...problems(404) },
        },
      },
      async (request, reply) => {
        const { params, body, signal } = request
        await service.dataset(params.dataset)
        await requireWholeStore(service, request)
        const cids = body.cids.map(parseCid)
        const stream = await carStream(async (sink, ending) => {
          const writer = await CarWriter.begin(sink, [])
          const last = await writeBlocks(service, writer, cids, ending)
          if (last !== undefined && body.log_from !== undefined && cids.length === 1) {
            const { backend } = service
            for await (const one of logBefore(backend, last, body.log_from, { signal: ending }))
              await writer.put(one.cid, one.bytes)
          }
          await writer.finish()
        }, signal)
        return reply.type(CAR).send(stream)
      },
    )
  }
}

async function* eventsOf(dataset: Dataset, signal: AbortSignal): AsyncGenerator<ServerEvent> {
  for await (const { commit, cid } of dataset.commits({ signal })) {
    const { number } = commit
    yield { id: String(number), event: 'commit', data: { number, commit: printCid(cid) } }
  }
}

/** Answers the last of them. */
async function writeBlocks(
  { backend }: Service,
  writer: CarWriter,
  cids: readonly CidBytes[],
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  let last: Uint8Array | undefined
  for (let from = 0; from < cids.length; from += READ_BLOCKS) {
    const some = cids.slice(from, from + READ_BLOCKS)
    const blocks = await getProvedBlocks(backend, some, { signal })
    for (const [i, cid] of some.entries()) {
      last = blocks[i]
      if (last !== undefined) await writer.put(cid, last)
    }
  }
  return last
}
