/** Whether the process lives, is ready to answer, and whether what it keeps is well; and its metrics. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { CairnError } from '../../errors.ts'
import { mayAlso } from '../access/access.ts'
import { hideFolders } from '../http/folders.ts'
import { NoQuery, strict } from '../schemas/common.ts'
import { HealthReportSchema } from '../schemas/health.ts'
import type { Service } from '../service.ts'

/** A store that takes longer to say how it is will not answer requests in time either. */
const READY_WITHIN_MS = 2000
/** Probes that come often ask the store together. */
const READY_FRESH_MS = 500

export function probeRoutes(service: Service): FastifyPluginAsyncTypebox {
  const isReady = readiness(service)
  return async (app) => {
    hideFolders(app, service.values)
    app.get(
      '/livez',
      {
        config: { right: 'none', whileDraining: true },
        schema: {
          operationId: 'getLive',
          tags: ['probes'],
          summary: 'The process runs.',
          querystring: NoQuery,
          response: { 200: strict({ status: Type.Literal('live') }) },
        },
      },
      async () => ({ status: 'live' as const }),
    )
    const Ready = strict({ status: Type.Enum(['ready', 'draining', 'store_unavailable']) })
    app.get(
      '/readyz',
      {
        config: { right: 'none', whileDraining: true },
        schema: {
          operationId: 'getReady',
          tags: ['probes'],
          summary: 'The store is open and answers, and the service does not end.',
          querystring: NoQuery,
          response: { 200: Ready, 503: Ready },
        },
      },
      async (_, reply) => {
        const status = service.draining.aborted ? 'draining' : await isReady()
        return reply.code(status === 'ready' ? 200 : 503).send({ status })
      },
    )
    const Health = strict({
      status: Type.Enum(['ok', 'warning', 'critical']),
      datasets: Type.Optional(Type.Array(HealthReportSchema)),
    })
    app.get(
      '/healthz',
      {
        config: { right: 'none' },
        schema: {
          operationId: 'getHealthz',
          tags: ['probes'],
          summary: 'How what the service keeps is, in one word: 503 when that is critical.',
          querystring: strict({
            verbose: Type.Optional(
              Type.Union([Type.Boolean(), Type.Literal('')], {
                description: 'every finding; needs the right read',
              }),
            ),
          }),
          response: { 200: Health, 503: Health },
        },
      },
      async (request, reply) => {
        const { verbose } = request.query
        const tells = verbose === true || verbose === ''
        if (tells && !mayAlso(service, 'read', request)) throw noRight()
        const names = await service.cairn.datasets()
        const reports = await Promise.all(
          names.map(async (name) => service.health.latest(name) ?? service.health.check(name)),
        )
        const levels = new Set(reports.map(({ level }) => level))
        const status = levels.has('critical')
          ? 'critical'
          : levels.has('warning')
            ? 'warning'
            : 'ok'
        return (
          reply
            // A warning is for people: whoever routes requests by this would take away what still works.
            .code(status === 'critical' ? 503 : 200)
            .send({ status, ...(tells ? { datasets: reports } : {}) })
        )
      },
    )
    app.get(
      '/metrics',
      {
        config: { right: 'read' },
        schema: {
          operationId: 'getMetrics',
          tags: ['probes'],
          summary: 'What Prometheus reads.',
          querystring: NoQuery,
          produces: ['text/plain'],
          response: { 200: Type.String() },
        },
      },
      async (_, reply) =>
        reply.type(service.metrics.contentType).send(await service.metrics.scrape()),
    )
  }
}

/** Asks the store how it is; those who ask at the same time share an answer. */
function readiness({ cairn, log }: Service): () => Promise<'ready' | 'store_unavailable'> {
  let shared: Promise<'ready' | 'store_unavailable'> | undefined
  let asked = -Infinity
  const ask = async (): Promise<'ready' | 'store_unavailable'> => {
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), READY_WITHIN_MS)
    try {
      await Promise.race([cairn.status(), aborted(late.signal)])
      return 'ready'
    } catch (error) {
      log.error('ready.failed', { message: error instanceof Error ? error.message : String(error) })
      return 'store_unavailable'
    } finally {
      clearTimeout(timer)
    }
  }
  return () => {
    if (shared === undefined || performance.now() - asked > READY_FRESH_MS) {
      asked = performance.now()
      shared = ask()
    }
    return shared
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(
        new CairnError('backend_timeout', 'The store does not say how it is.', {
          hint: 'See what keeps it.',
        }),
      )
    })
  })
}

function noRight(): CairnError {
  return new CairnError('unauthenticated', 'The findings need a token with the right read.', {
    hint: 'Leave `verbose` out, or send `Authorization: Bearer TOKEN`.',
  })
}
