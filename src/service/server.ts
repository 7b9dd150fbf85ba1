/**
 * The HTTP server: Fastify with everything that holds for all routes, and the routes. It listens to nothing
 * yet. Whatever a request does wrong is refused in this order: the server ends, too much is under way, a
 * page of another site, no right, too often, no such address, a body that is too large or no JSON, a schema.
 */
import { readFileSync } from 'node:fs'
import type { ServerOptions } from 'node:https'
import compress from '@fastify/compress'
import cors from '@fastify/cors'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify'
import { CairnError } from '../errors.ts'
import type { Values } from '../config/schema.ts'
import { accessControl } from './access/access.ts'
import type { RouteRight } from './access/rights.ts'
import { answerProblem, refuseUnknown, useErrors } from './http/answers.ts'
import { BODY_WITHOUT_VALUES, useBodies } from './http/bodies.ts'
import { answerClientError } from './http/client-error.ts'
import { closeWithConnection, endCrowded } from './http/connection-end.ts'
import { knownUrls, type KnownUrls } from './http/known-urls.ts'
import { openApiRoute, useOpenApi } from './http/openapi.ts'
import { LIMITS, pressure, type Pressure, type PressureLimits } from './http/pressure.ts'
import { measureRequests } from './metrics/request-metrics.ts'
import { requestId } from './http/request-id.ts'
import { setSignal } from './http/request-signal.ts'
import { endStalled } from './http/stalled.ts'
import { ROUTES, type Routes } from './routes/index.ts'
import type { Service } from './service.ts'
import { buildValidator } from './http/validators.ts'
import { watchRequest } from './http/watch-request.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What is under way now. */
    underWay: Pressure['counts']
  }
  interface FastifyContextConfig {
    /** What a token needs for this route. A route without one is not served. */
    right?: RouteRight
    /** An answer or a body that goes on: no deadline of `request_deadline`, counted for itself. */
    stream?: boolean
    /** A call of the older system: it is about the configured dataset. */
    older?: boolean
    /** Held to the rate limit also where it is for everybody. */
    limited?: boolean
    /** Answered also while the service ends. */
    whileDraining?: boolean
  }
}

export interface ServerSettings {
  readonly routes?: readonly Routes[]
  readonly limits?: PressureLimits
  /** How long a reader may take nothing of what waits for it. */
  readonly stallMs?: number
}

export type Server = FastifyInstance

/** Ids have up to 512 bytes, and each may be three characters of an address. */
const MAX_PARAM = 4096
const HEADERS_TIMEOUT = 15_000
const KEEP_ALIVE = 65_000
const MAX_CONNECTIONS = 20_000
const STALL_MS = 120_000
/** Below it, a compressed answer costs more than it saves. */
const COMPRESS_FROM = 2048
const COMPRESSED = /^(?:application\/(?:[\w.+-]*\+)?json|application\/x-ndjson|text\/plain)\b/

export async function createServer(
  service: Service,
  settings: ServerSettings = {},
): Promise<Server> {
  const { routes = ROUTES } = settings
  const values = service.values()
  const app = fastify(options(service, values)).withTypeProvider<TypeBoxTypeProvider>()
  app.server.maxConnections = MAX_CONNECTIONS
  useBodies(app)
  const known = knownUrls()
  useErrors(app, service, known)
  watchRoutes(app, known)
  await useOpenApi(app)
  await useCompression(app)
  measureRequests(app, service.metrics)
  addGuards(app, service, known, settings)
  // After the guards: what is refused there needs no header for pages.
  if (values.cors_origins.length > 0) await useCors(app, values.cors_origins)
  for (const plugin of routes) await app.register(plugin(service))
  openApiRoute(app)
  await app.ready()
  return app
}

function options(service: Service, values: Values): FastifyServerOptions {
  const requestTimeout = Math.max(values.upload_deadline, values.request_deadline) + 5000
  const server = {
    requestTimeout,
    headersTimeout: HEADERS_TIMEOUT,
    connectionsCheckingInterval: 5000,
    ...tlsOf(values),
  }
  return {
    ...(values.tls_cert === null ? { http: server } : { https: server }),
    requestTimeout,
    keepAliveTimeout: KEEP_ALIVE,
    bodyLimit: Math.min(values.body_limit, BODY_WITHOUT_VALUES),
    // Refusing while it ends is the first guard's work, as a problem.
    return503OnClosing: false,
    genReqId: requestId,
    trustProxy: values.behind_proxy === 'yes' ? ['loopback', 'linklocal', 'uniquelocal'] : false,
    schemaController: { compilersFactory: { buildValidator } },
    routerOptions: { maxParamLength: MAX_PARAM, caseSensitive: true },
    // An address that cannot be decoded, or is too long, comes to no route and so to no hook.
    frameworkErrors: (error, request, reply) => {
      closeWithConnection(request, reply)
      commonHeaders(request, reply, values.tls_cert !== null)
      watchRequest(service.log, request, reply)
      void answerProblem(service, error, request, reply)
    },
    clientErrorHandler: (error, socket) => answerClientError(service.log, error, socket),
  }
}

function tlsOf({ tls_cert, tls_key }: Values): ServerOptions {
  if (tls_cert === null || tls_key === null) return {}
  return { cert: readPem(tls_cert), key: readPem(tls_key), minVersion: 'TLSv1.2' }
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new CairnError('config', `The file ${path} for TLS cannot be read.`, {
      hint: 'Check tls_cert and tls_key, and that this user may read them.',
      path,
      cause,
    })
  }
}

/** Every route has a right, and its address and method are known. */
function watchRoutes(app: FastifyInstance, known: ReturnType<typeof knownUrls>): void {
  app.addHook('onRoute', (route) => {
    const methods = [route.method].flat()
    // The one of CORS, for preflights of any address.
    if (route.url === '*') return
    if (route.config?.right === undefined) {
      throw new CairnError('internal', `the route ${methods.join()} ${route.url} names no right`)
    }
    for (const method of methods) known.add(method, route.url)
  })
}

async function useCompression(app: FastifyInstance): Promise<void> {
  await app.register(compress, {
    globalDecompression: false,
    encodings: ['gzip'],
    threshold: COMPRESS_FROM,
    customTypes: (type: string) => COMPRESSED.test(type),
  })
}

async function useCors(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  await app.register(cors, {
    origin: [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type', 'If-Match', 'If-None-Match', 'Last-Event-ID'],
    exposedHeaders: [
      'ETag',
      'Location',
      'Retry-After',
      'X-Request-Id',
      'Content-Disposition',
      'Content-Range',
      'X-Ipfs-Path',
      'X-Ipfs-Roots',
    ],
    maxAge: 600,
  })
}

function addGuards(
  app: FastifyInstance,
  service: Service,
  known: KnownUrls,
  { limits = LIMITS, stallMs = STALL_MS }: ServerSettings,
): void {
  const { enter, leave, counts } = pressure(limits)
  app.decorate('underWay', counts)
  const control = accessControl(service)
  const secure = service.values().tls_cert !== null
  app.addHook('onRequest', (request, reply, done) => {
    closeWithConnection(request, reply)
    if (endCrowded(service.log, request, reply)) return
    commonHeaders(request, reply, secure)
    watchRequest(service.log, request, reply)
    setSignal(request, reply, service.values().request_deadline)
    endStalled(service.log, request, reply, stallMs)
    refuseWhileDraining(service.draining, request, reply)
    enter(request, reply, request.routeOptions.bodyLimit ?? service.values().body_limit)
    control(request, reply)
    refuseUnknown(request, known)
    done()
  })
  app.addHook('onSend', (request, reply, payload, done) => {
    leave(request, reply, payload)
    done(null, payload)
  })
}

function commonHeaders(request: FastifyRequest, reply: FastifyReply, secure: boolean): void {
  reply.header('x-request-id', request.id)
  reply.header('x-content-type-options', 'nosniff')
  reply.header('content-security-policy', "default-src 'none'; frame-ancestors 'none'; sandbox")
  reply.header('cache-control', 'no-cache')
  if (secure) reply.header('strict-transport-security', 'max-age=31536000')
}

function refuseWhileDraining(
  draining: AbortSignal,
  { routeOptions }: FastifyRequest,
  reply: FastifyReply,
): void {
  if (!draining.aborted) return
  reply.header('connection', 'close')
  if (routeOptions.config.whileDraining === true) return
  reply.header('retry-after', '5')
  throw new CairnError('closed', 'The service is shutting down.', {
    hint: 'Try again when it has started anew.',
  })
}
