/** The document at /openapi.json: made of the very schemas that requests are held to. */
import swagger from '@fastify/swagger'
import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify'
import { VERSION } from '../../version.ts'
import { JsonValueSchema } from '../schemas/common.ts'
import { ProblemSchema, problemResponse } from '../schemas/problem.ts'

const TAGS = [
  ['probes', 'whether the service lives, is ready, and is well'],
  ['datasets', 'named sets of entities'],
  ['entities', 'the current version of each entity, and earlier ones'],
  ['entries', 'the log of versions: batches, reading it, following it'],
  ['snapshots', 'states that are kept'],
  ['backups', 'CARs: the whole state as one file'],
  ['content', 'what tips point at'],
  ['gateway', 'blocks and CARs for any IPFS client'],
  ['replication', 'what a replica in another store asks for, and what one in this store is sent'],
  ['maps', 'named key-value maps of a program, their keys with expiry'],
  ['session', 'who is connected, and saving when they leave'],
  ['jobs', 'what takes long'],
  ['health', 'findings, coverage, automation'],
  ['arke', 'calls of clients of the older system'],
] as const

export async function useOpenApi(app: FastifyInstance): Promise<void> {
  app.addSchema({ ...ProblemSchema, $id: 'Problem' })
  app.addSchema(JsonValueSchema)
  await app.register(swagger, {
    // Only in the document: problems are never written by a serializer.
    transform: ({ schema, url, route }) => ({ schema: withProblems(schema, route), url }),
    refResolver: {
      buildLocalReference: ({ $id }, _, __, i) => (typeof $id === 'string' ? $id : `def-${i}`),
    },
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Cairn',
        version: VERSION,
        description: 'Content-addressed snapshots of keyed entities, over HTTP.',
        license: { name: 'MIT OR Apache-2.0' },
      },
      tags: TAGS.map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          token: {
            type: 'http',
            scheme: 'bearer',
            description:
              'Needed as soon as the service has a token; `cairn token create` makes one.',
          },
        },
      },
    },
  })
}

/** The route itself, registered after all others so that it has them. */
export function openApiRoute(app: FastifyInstance): void {
  app.get(
    '/openapi.json',
    {
      config: { right: 'none' },
      schema: { hide: true },
    },
    async (_, reply) => reply.type('application/json').send(JSON.stringify(app.swagger())),
  )
}

/** What any route may answer beside its own: each gets it, so that none forgets. */
const EVERYWHERE: Readonly<Record<number, string>> = {
  400: 'The request is not as the schema says.',
  429: 'Too many requests in that time.',
  500: 'The service failed; its log says why.',
  503: 'The service ends, or has too much to do.',
  504: 'It was not answered in its time.',
}
const WITH_RIGHT: Readonly<Record<number, string>> = {
  401: 'A token is needed, or this one is not known.',
  403: 'The token does not have that right.',
}
const WITH_BODY: Readonly<Record<number, string>> = {
  413: 'The body is too large.',
  415: 'The body is of another type.',
}

function withProblems(schema: FastifySchema | undefined, route: RouteOptions): FastifySchema {
  const open = route.config?.right === 'none'
  const methods = [route.method].flat()
  const common = {
    ...EVERYWHERE,
    ...(open ? {} : WITH_RIGHT),
    ...(methods.some((method) => ['POST', 'PUT', 'PATCH'].includes(method)) ? WITH_BODY : {}),
  }
  const problems = Object.entries(common).map(([status, text]) => [status, problemResponse(text)])
  const response = (schema?.response ?? {}) as Record<string, unknown>
  return {
    ...schema,
    ...withOptionals(schema),
    ...(open ? {} : { security: [{ token: [] }] }),
    response: { ...Object.fromEntries(problems), ...response },
  }
}

interface QuerySchema {
  readonly properties?: Readonly<Record<string, { readonly default?: unknown }>>
  readonly required?: readonly string[]
}

/** What has a default is always there for a handler, and need not be sent. */
function withOptionals(schema: FastifySchema | undefined): FastifySchema {
  if (schema?.querystring === undefined) return {}
  const query = schema.querystring as QuerySchema
  const { properties = {}, required = [] } = query
  const needed = required.filter((name) => properties[name]?.default === undefined)
  return { querystring: { ...query, required: needed } }
}
