/** What a replica elsewhere asks for: the newest commit, and blocks by their CIDs. It proves both itself. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { CarWriter } from '../../car/writer.ts'
import { checkedCommit } from '../../engine/pointer.ts'
import { CairnError } from '../../errors.ts'
import { parseCid, printCid, type CidBytes } from '../../model/cid.ts'
import { getProvedBlocks } from '../../store/proved.ts'
import { isBound } from '../access/access.ts'
import { isKnown } from '../http/etag.ts'
import { carStream } from '../requests/car-stream.ts'
import { BINARY, NOT_MODIFIED, problems, streamOf } from '../schemas/answers.ts'
import { Cid, DatasetParams, NoQuery, list, strict } from '../schemas/common.ts'
import type { Service } from '../service.ts'

const tags = ['replication']
const CAR = 'application/vnd.ipld.car'
/** So many blocks may be asked for at once, and are read at once. */
const MOST_BLOCKS = 512
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
        if (isKnown(request, reply, `"${printCid(cid)}"`)) return reply.code(304).send(null)
        return reply.type('application/json').send(Buffer.from(bytes))
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
          body: strict({ cids: list(Cid, { minItems: 1, maxItems: MOST_BLOCKS }) }),
          response: { 200: streamOf(CAR, 'A CAR without roots.', BINARY), ...problems(404) },
        },
      },
      async (request, reply) => {
        const { params, body, signal } = request
        await service.dataset(params.dataset)
        if (await isBound(service, request, () => service.cairn.datasets())) throw mayBeAnothers()
        const cids = body.cids.map(parseCid)
        const stream = await carStream(async (sink, ending) => {
          const writer = await CarWriter.begin(sink, [])
          await writeBlocks(service, writer, cids, ending)
          await writer.finish()
        }, signal)
        return reply.type(CAR).send(stream)
      },
    )
  }
}

async function writeBlocks(
  { backend }: Service,
  writer: CarWriter,
  cids: readonly CidBytes[],
  signal: AbortSignal,
): Promise<void> {
  for (let from = 0; from < cids.length; from += READ_BLOCKS) {
    const some = cids.slice(from, from + READ_BLOCKS)
    const blocks = await getProvedBlocks(backend, some, { signal })
    for (const [i, cid] of some.entries()) {
      const bytes = blocks[i]
      if (bytes !== undefined) await writer.put(cid, bytes)
    }
  }
}

function mayBeAnothers(): CairnError {
  return new CairnError('access_denied', 'Blocks by their CIDs are for tokens of all datasets.', {
    hint: 'Give a token without --dataset, or keep the dataset in a store of its own.',
  })
}
