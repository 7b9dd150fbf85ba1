/** Routes for tests of what holds for all routes. */
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { CairnError } from '../../src/errors.ts'
import type { Routes } from '../../src/service/routes/index.ts'
import { parseCidLike } from '../../src/engine/draft.ts'

const TIP = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

export interface Seen {
  /** Aborts of handlers that were waiting. */
  readonly aborts: string[]
  /** How many handlers wait. */
  waiting: number
}

/** Every handler that waits notes how it ended in `seen`. */
export function testRoutes(seen: Seen): Routes {
  const common = { operationId: 'test', tags: ['probes'] }
  return () => async (app) => {
    app.post(
      '/t/echo',
      {
        config: { right: 'append' },
        schema: {
          ...common,
          body: Type.Object(
            { n: Type.Integer(), text: Type.Optional(Type.String()) },
            { additionalProperties: false },
          ),
          querystring: Type.Object(
            { times: Type.Optional(Type.Integer({ minimum: 1 })) },
            { additionalProperties: false },
          ),
          response: { 200: Type.Object({ n: Type.Integer(), times: Type.Integer() }) },
        },
      },
      async ({ body, query }) => ({ n: body.n, times: query.times ?? 0 }),
    )
    app.get(
      '/v1/datasets/:dataset/thing/:pi',
      {
        config: { right: 'read' },
        schema: {
          ...common,
          params: Type.Object({ dataset: Type.String(), pi: Type.String({ maxLength: 512 }) }),
          response: { 200: Type.Object({ pi: Type.String() }) },
        },
      },
      async ({ params }) => ({ pi: (params as { pi: string }).pi }),
    )
    app.put(
      '/v1/datasets/:dataset/thing/:pi',
      { config: { right: 'admin' }, schema: { ...common } },
      async () => ({}),
    )
    app.get(
      '/t/older',
      { config: { right: 'read', older: true }, schema: common },
      async () => ({}),
    )
    app.get('/t/all', { config: { right: 'read' }, schema: common }, async () => ({}))
    app.get('/t/large', { config: { right: 'none' }, schema: common }, async () => ({
      text: 'x'.repeat(100_000),
    }))
    app.get('/t/conflict', { config: { right: 'none' }, schema: common }, async () => {
      throw new CairnError('conflict', 'It is another one.', {
        hint: 'Look.',
        current_ver: 7,
        current_tip: parseCidLike(TIP),
        path: '/etc/inside',
      })
    })
    app.get('/t/fault', { config: { right: 'none' }, schema: common }, async () => {
      throw new Error('secret words of the inside')
    })
    const wait = async ({ signal }: FastifyRequest): Promise<object> => {
      seen.waiting++
      try {
        await delay(60_000, undefined, { signal })
      } catch (error) {
        seen.aborts.push(String(signal.reason))
        throw error
      } finally {
        seen.waiting--
      }
      return {}
    }
    app.get('/t/wait', { config: { right: 'none' }, schema: common }, wait)
    app.post('/t/wait', { config: { right: 'none' }, schema: common }, wait)
    app.get('/t/soon', { config: { right: 'none' }, schema: common }, async () => {
      seen.waiting++
      await delay(700)
      seen.waiting--
      return { done: true }
    })
    app.get(
      '/t/stream',
      { config: { right: 'none', stream: true }, schema: common },
      async (_, reply) => {
        async function* parts(): AsyncGenerator<string> {
          for (let i = 0; i < 30; i++) {
            yield `part ${i}\n`
            await delay(20)
          }
        }
        const { Readable } = await import('node:stream')
        return reply.type('text/plain').send(Readable.from(parts()))
      },
    )
  }
}
