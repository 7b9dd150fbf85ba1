/**
 * The page at `/`, for people. Its files hold no secret, so they are for everybody; what the page shows it
 * asks of the API, with the token that it was given.
 */
import { fileURLToPath } from 'node:url'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { CairnError } from '../../errors.ts'
import { isKnown, notModified } from '../http/etag.ts'
import { chooseEncoding, readPageFiles, type PageFile } from '../http/page-files.ts'
import { strict } from '../schemas/common.ts'
import type { Service } from '../service.ts'

/** Where the build puts it, beside the built sources. */
const FOLDER = fileURLToPath(new URL('../../web/', import.meta.url))

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types default',
].join('; ')

const HEADERS = {
  'content-security-policy': POLICY,
  'referrer-policy': 'no-referrer',
  'permissions-policy':
    'camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  vary: 'Accept-Encoding',
}

const IMMUTABLE = 'public, max-age=31536000, immutable'

export const pageRoutes = (service: Service): FastifyPluginAsyncTypebox =>
  pageRoutesOf(service, FOLDER)

/** Of a page that was built into `folder`. */
export function pageRoutesOf({ values }: Service, folder: string): FastifyPluginAsyncTypebox {
  return async (app) => {
    if (values().page === 'off') return
    const { index, assets } = readPageFiles(folder)
    const schema = { hide: true }
    app.get('/', { config: { right: 'none' }, schema }, async (request, reply) =>
      index === undefined ? sendMissing(reply) : sendFile(index, request, reply),
    )
    app.get(
      '/assets/:name',
      {
        config: { right: 'none' },
        schema: { ...schema, params: strict({ name: Type.String() }) },
      },
      async (request, reply) => {
        const file = assets.get(request.params.name)
        if (file === undefined) throw notThere()
        reply.header('cache-control', IMMUTABLE)
        return sendFile(file, request, reply)
      },
    )
  }
}

function sendFile(file: PageFile, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.headers(HEADERS)
  if (isKnown(request, reply, file.tag)) return notModified(reply)
  const encoding = chooseEncoding(file, request.headers['accept-encoding'])
  if (encoding !== 'identity') reply.header('content-encoding', encoding)
  return reply.type(file.type).send(file.bodies[encoding])
}

const MISSING = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Cairn</title>
<h1>The service runs; its page was not built</h1>
<p>Run <code>npm run build</code> in the folder of Cairn, and start the service again.</p>
<p>The <a href="openapi.json">API</a> is there all the same.</p>
</html>
`

function sendMissing(reply: FastifyReply): FastifyReply {
  return reply.headers(HEADERS).code(503).type('text/html; charset=utf-8').send(MISSING)
}

function notThere(): CairnError {
  return new CairnError('not_found', 'The page has no such file.', {
    hint: 'Load the page again: it may be of another version.',
  })
}
