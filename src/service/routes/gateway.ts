/**
 * The trustless gateway of IPFS: blocks, and CARs of what is under one, by their CIDs, so that any client of IPFS
 * can fetch a snapshot and verify it by itself. Nothing is decoded for anybody, and nothing fetched from elsewhere.
 */
import { createHash } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { CairnError, isCairnError } from '../../errors.ts'
import {
  asked,
  CAR_TYPE,
  carType,
  queryOf,
  RAW_TYPE,
  textIn,
  type Asked,
  type AskedCar,
  type GivenQuery,
} from '../../gateway/ask.ts'
import { writeAskedCar } from '../../gateway/car-blocks.ts'
import { contentPathOf, type ContentPath } from '../../gateway/content-path.ts'
import { noBlock, resolvePath, type Resolved } from '../../gateway/resolve.ts'
import { parseCid, printCid } from '../../model/cid.ts'
import { whenClosed } from '../http/connection-end.ts'
import { isKnown, notModified } from '../http/etag.ts'
import { rangeOf } from '../http/range.ts'
import { nothing } from '../http/stream.ts'
import { carStream } from '../requests/car-stream.ts'
import { publishedBy, requirePublished, whileKept } from '../requests/gateway-access.ts'
import { BINARY, NOT_MODIFIED, problems, streamOf } from '../schemas/answers.ts'
import { GatewayParams, GatewayQuery } from '../schemas/gateway.ts'
import type { Service } from '../service.ts'

/** Each holds two tables of what it has sent, which may go to files. */
const MOST_CARS = 16
const YEAR_S = 31_536_000

const answers = {
  200: {
    description: 'The block as it is, or a CAR as it is made.',
    content: { [RAW_TYPE]: { schema: BINARY }, [CAR_TYPE]: { schema: BINARY } },
  },
  206: streamOf(RAW_TYPE, 'The range of the block that was asked for.'),
  304: NOT_MODIFIED,
  ...problems(404, 406, 412, 413, 416, 422, 501),
}

export function gatewayRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { gateway } = service.values()
    if (gateway === 'off') return
    const open = gateway === 'public'
    const list = open ? publishedBy(service) : undefined
    app.addHook('onClose', async () => list?.close())
    const config = { right: open ? 'none' : 'read', stream: true, limited: true } as const
    const cars = { underWay: 0 }

    // What gateways are asked for is judged with the statuses of the protocol; the schemas tell of it.
    app.setValidatorCompiler(() => (value) => ({ value }))

    const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
      const query = request.query as GivenQuery
      const path = contentPathOf(request.raw.url ?? '')
      const what = asked(query, request.headers.accept)
      if (what.form === 'raw' && path.segments.length > 0) throw noPathOfBlocks()
      if (list !== undefined) await requirePublished(list, path.root, request, reply)
      const found = await resolvePath(service.backend, path, { signal: request.signal }).catch(
        (error: unknown) => Promise.reject(notCached(error, path, request)),
      )
      const tag = tagOf(what, path)
      const known = isKnown(request, reply, tag)
      describe(reply, { path, found, scope: open || !service.tokens.any() ? 'public' : 'private' })
      if (request.headers.accept?.includes('vnd.ipld.') === true)
        reply.header('content-location', `${path.text}?${queryOf(what)}`)
      if (known) return notModified(reply)
      const name = textIn(query, 'filename') ?? `${printCid(path.root)}.${EXTENSIONS[what.form]}`
      reply.header('content-disposition', dispositionOf(name))
      if (what.form === 'raw') return sendBlock(request, reply, found, tag)
      return sendCar(service, cars, request, reply, { path, found, what })
    }

    app.get(
      '/ipfs/:cid',
      {
        config,
        schema: {
          operationId: 'getIpfs',
          tags: ['gateway'],
          summary: 'A block, or a CAR of what is under it, for IPFS clients; a path may follow.',
          params: GatewayParams,
          querystring: GatewayQuery,
          response: answers,
        },
      },
      answer,
    )
    // A path of many parts has no place in the document.
    app.get('/ipfs/:cid/*', { config, schema: { hide: true } }, answer)
  }
}

const EXTENSIONS = { raw: 'bin', car: 'car' } as const

function noPathOfBlocks(): CairnError {
  return new CairnError('usage', 'A block is asked for by its CID, without a path.', {
    hint: 'Ask for ?format=car&dag-scope=block: the CAR has the block, and those that prove the path.',
  })
}

/** What is wanted only if it is at hand is not missing from the world. */
function notCached(error: unknown, { root }: ContentPath, { headers }: FastifyRequest): unknown {
  const wanted = headers['cache-control']?.includes('only-if-cached') === true
  if (!wanted || !isCairnError(error, 'not_found')) return error
  if (error.details['cid'] !== printCid(root)) return error
  return new CairnError('precondition_failed', error.message, { hint: error.hint ?? '' })
}

/** The same tag is the same bytes: the order of a CAR is fixed, and so is all that it holds. */
function tagOf(what: Asked, { root, segments }: ContentPath): string {
  const cid = printCid(root)
  if (what.form === 'raw') return `"${cid}.raw"`
  const about = JSON.stringify([segments, what.bytes, what.dups])
  const hash = createHash('sha256').update(about).digest('hex').slice(0, 16)
  return `"${what.scope}-${hash}-${cid}.car"`
}

interface Described {
  readonly path: ContentPath
  readonly found: Resolved
  readonly scope: 'public' | 'private'
}

function describe(reply: FastifyReply, { path, found, scope }: Described): void {
  reply.headers({
    'cache-control': `${scope}, max-age=${YEAR_S}, immutable`,
    vary: 'Accept',
    'x-ipfs-path': path.text,
    'x-ipfs-roots': found.roots.map(printCid).join(),
  })
}

/** Longer ones are no names of files. */
const MAX_NAME = 255

function dispositionOf(given: string): string {
  const name = given.slice(0, MAX_NAME).toWellFormed()
  const plain = name.replaceAll(/[^\u0020-\u007e]|["\\]/gu, '_')
  const exact = plain === name ? '' : `; filename*=UTF-8''${encodeURIComponent(name)}`
  return `attachment; filename="${plain}"${exact}`
}

function sendBlock(
  request: FastifyRequest,
  reply: FastifyReply,
  { bytes }: Resolved,
  tag: string,
): FastifyReply {
  const size = bytes.length
  void reply.type(RAW_TYPE).header('accept-ranges', 'bytes')
  const range = rangeOf(request, { size, tag })
  if (range === 'none') {
    reply.header('content-range', `bytes */${size}`)
    throw new CairnError('range_impossible', `The block has ${size} bytes, and not that range.`, {
      hint: 'Ask for a range within it; Content-Range has its size.',
      size,
    })
  }
  if (range === undefined) return reply.send(Buffer.from(bytes))
  const { from, to } = range
  reply.code(206).header('content-range', `bytes ${from}-${to}/${size}`)
  return reply.send(Buffer.from(bytes.subarray(from, to + 1)))
}

interface WantedCar {
  readonly path: ContentPath
  readonly found: Resolved
  readonly what: AskedCar
}

async function sendCar(
  service: Service,
  cars: { underWay: number },
  request: FastifyRequest,
  reply: FastifyReply,
  { path: { root }, found, what }: WantedCar,
): Promise<FastifyReply> {
  void reply.type(carType(what)).header('accept-ranges', 'none')
  if (request.method === 'HEAD') return reply.send(nothing())
  if (cars.underWay >= MOST_CARS) {
    reply.header('retry-after', '1')
    throw new CairnError('overloaded', 'Too many CARs are being sent.', {
      hint: 'Wait as long as Retry-After says, and ask for fewer at once.',
    })
  }
  cars.underWay += 1
  whenClosed(reply, () => (cars.underWay -= 1))
  const stream = await carStream(async (sink, signal) => {
    const work = (): Promise<void> => writeAskedCar(service.backend, found, what, sink, { signal })
    return what.scope === 'all' ? whileKept(service, root, signal, work) : work()
  }, request.signal).catch((error: unknown) => Promise.reject(elsewhere(error)))
  return reply.send(stream)
}

/** What lacks before anything was sent can still be said. */
function elsewhere(error: unknown): unknown {
  if (!isCairnError(error, 'content_missing')) return error
  const { cid } = error.details
  return typeof cid === 'string' ? noBlock(parseCid(cid)) : error
}
