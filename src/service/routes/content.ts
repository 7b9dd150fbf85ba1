/**
 * Content: what the tip of an entity points at, or any CID. JSON values are sent as DAG-JSON, bytes as a
 * download that no browser shows as a page; writing takes a body of any type.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { printContent } from '../../content/encode.ts'
import type { Content } from '../../content/read.ts'
import { CairnError, isCairnError } from '../../errors.ts'
import { CODEC_DAG_PB, cidParts, parseCid, printCid, type CidBytes } from '../../model/cid.ts'
import { isBound } from '../access/access.ts'
import { contentOf } from '../requests/content-body.ts'
import { takeAnyBody } from '../http/any-body.ts'
import { isKnown, notModified } from '../http/etag.ts'
import { momentOf, timeOf } from '../requests/moment.ts'
import { noEntity } from '../requests/refusals.ts'
import { BINARY, NOT_MODIFIED, problems } from '../schemas/answers.ts'
import {
  Cid,
  DatasetName,
  EntityParams,
  JsonValue,
  oneOf,
  optional,
  strict,
} from '../schemas/common.ts'
import { ContentQuery, Written } from '../schemas/entry.ts'
import { MomentQuery } from '../schemas/page.ts'
import { readProvedBlock } from '../../store/proved.ts'
import type { Service } from '../service.ts'
import { nothing, started } from '../http/stream.ts'
import { write } from './entities.ts'

const tags = ['content']
const CONTENT = '/v1/datasets/:dataset/entities/:pi/content'
const YEAR_S = 31_536_000
const BLOCK = 'application/vnd.ipld.raw'
const ANY_CONTENT = {
  description: 'A value as DAG-JSON, or bytes; or the block as it is stored.',
  content: {
    'application/json': { schema: JsonValue },
    'application/octet-stream': { schema: BINARY },
    [BLOCK]: { schema: BINARY },
  },
}

/** The very bytes that the CID names, so that whoever reads them can hash them. */
const FORMAT = {
  format: optional(oneOf<'raw'>(['raw'], { description: 'the block, as it is stored' })),
}

export function contentRoutes(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    await app.register(putContent(service))
    app.get(
      CONTENT,
      {
        config: { right: 'read', stream: true },
        schema: {
          operationId: 'getEntityContent',
          tags,
          summary: 'What an entity holds now, or held earlier.',
          params: EntityParams,
          querystring: strict({ ...MomentQuery.properties, ...FORMAT }),
          response: { 200: ANY_CONTENT, 304: NOT_MODIFIED, ...problems(404, 422) },
        },
      },
      async (request, reply) => {
        const { dataset: name, pi } = request.params
        const dataset = await service.dataset(name)
        const at = momentOf(request.query)
        const tip = (await dataset.get(pi, { at, signal: request.signal }))?.tip
        if (tip === undefined || tip === null) throw noEntity(pi, name)
        const { format } = request.query
        return sendContent(service, request, reply, { name, cid: tip, format })
      },
    )
    app.get(
      '/v1/datasets/:dataset/content/:cid',
      {
        config: { right: 'read', stream: true },
        schema: {
          operationId: 'getContent',
          tags,
          summary: 'Content by its CID, which never changes.',
          params: strict({ dataset: DatasetName, cid: Cid }),
          querystring: strict(FORMAT),
          response: { 200: ANY_CONTENT, 304: NOT_MODIFIED, ...problems(404, 422) },
        },
      },
      async (request, reply) => {
        const { dataset: name, cid } = request.params
        if (await isBound(service, request, () => service.cairn.datasets())) throw mayBeAnothers()
        const scope = service.tokens.any() ? 'private' : 'public'
        const forever = `${scope}, max-age=${YEAR_S}, immutable`
        const wanted = { name, cid: parseCid(cid), forever, format: request.query.format }
        return sendContent(service, request, reply, wanted)
      },
    )
  }
}

/** A body of any type: JSON is a value, all else are bytes. */
function putContent(service: Service): FastifyPluginAsyncTypebox {
  return async (app) => {
    takeAnyBody(app)
    app.put(
      CONTENT,
      {
        config: { right: 'append' },
        schema: {
          operationId: 'putEntityContent',
          tags,
          summary: 'Writes the next version from a body: JSON is a value, any other type bytes.',
          params: EntityParams,
          querystring: ContentQuery,
          body: {
            content: {
              'application/json': { schema: JsonValue },
              'application/octet-stream': { schema: BINARY },
            },
          },
          response: { 200: Written, 201: Written, ...problems(404, 409, 422, 507) },
        },
      },
      async (request, reply) => {
        const { dataset: name, pi } = request.params
        const { ver, ts, exp } = request.query
        // Found first, so that a body for nothing is not read.
        await service.dataset(name)
        const value = await contentOf(request, service.values().body_limit)
        const entry = {
          pi,
          value,
          ver,
          ts: ts === undefined ? undefined : timeOf(ts, 'ts'),
          exp: exp === undefined ? undefined : timeOf(exp, 'exp'),
        }
        const written = await write(service, request, name, entry)
        return reply.code(written.status === 'appended' ? 201 : 200).send(written)
      },
    )
  }
}

/** Blocks are shared by all datasets of a store; which of them one is of is not known. */
function mayBeAnothers(): CairnError {
  return new CairnError('access_denied', 'Content by its CID is for tokens of all datasets.', {
    hint: 'Read it as the content of an entity.',
  })
}

interface Wanted {
  readonly name: string
  readonly cid: CidBytes
  /** Set once it is known that there is such content. */
  readonly forever?: string
  /** The entity tag, where it is not the CID. */
  readonly tag?: string
  readonly format?: 'raw' | undefined
}

export async function sendContent(
  service: Service,
  request: FastifyRequest,
  reply: FastifyReply,
  { name, cid, forever, tag = `"${printCid(cid)}"`, format }: Wanted,
): Promise<FastifyReply> {
  const dataset = await service.dataset(name)
  const { signal } = request
  const found = await (
    format === 'raw' ? blockOf(service, cid, signal) : dataset.content(cid, { signal })
  ).catch((error: unknown) => Promise.reject(elsewhere(error, cid)))
  const known = isKnown(request, reply, tag)
  if (forever !== undefined) reply.header('cache-control', forever)
  if (known) return notModified(reply)
  if (found instanceof Uint8Array)
    return reply.type(BLOCK).header('content-disposition', 'attachment').send(Buffer.from(found))
  if (found.kind === 'value') {
    return reply.type('application/json').send(printContent(found.value))
  }
  void reply.type('application/octet-stream').header('content-disposition', 'attachment')
  return sendBytes(request, reply, found, cid)
}

async function blockOf(
  { backend }: Service,
  cid: CidBytes,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { hash, digest } = cidParts(cid)
  return hash === 'identity'
    ? digest
    : readProvedBlock(backend, cid, 'the content block', { signal })
}

/** The block of a CID that the store lacks is no damage: it was never there, or lives elsewhere. */
function elsewhere(error: unknown, cid: CidBytes): unknown {
  const name = printCid(cid)
  const lacks = isCairnError(error, 'block_missing') || isCairnError(error, 'content_missing')
  if (!lacks || error.details['cid'] !== name) return error
  return new CairnError('not_found', `The store has no content ${name}.`, {
    hint: 'Where the content of a dataset is external, it lives elsewhere under this CID.',
    cid: name,
    cause: error,
  })
}

async function sendBytes(
  request: FastifyRequest,
  reply: FastifyReply,
  { bytes }: Extract<Content, { kind: 'bytes' }>,
  cid: CidBytes,
): Promise<FastifyReply> {
  if (cidParts(cid).codec === CODEC_DAG_PB) {
    return request.method === 'HEAD' ? reply.send(nothing()) : reply.send(await started(bytes))
  }
  const parts: Uint8Array[] = []
  for await (const part of bytes) parts.push(part)
  return reply.send(Buffer.concat(parts))
}
