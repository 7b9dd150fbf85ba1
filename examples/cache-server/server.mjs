/**
 * The caches over HTTP.
 *
 *   node examples/cache-server/server.mjs
 *
 *   PUT, GET, DELETE /cache/KEY          in the cache "default"
 *   PUT, GET, DELETE /cache/NAME/KEY     ?ttl=SECONDS with PUT
 *   GET /stats    GET /health    GET /backups    POST /backups
 */
import { createServer } from 'node:http'
import { CairnError } from 'cairn-store'
import { get, isCache, put, remove, session, stats } from './caches.mjs'

const { HOST = '127.0.0.1', PORT = '8081' } = process.env
const MAX_BYTES = 1 << 20
const JSON_TYPE = 'application/json'
const BYTES_TYPE = 'application/octet-stream'

class Refused extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

/** What is asked of one key. */
const keyRoutes = {
  async PUT({ name, key, request, query }) {
    const body = await bodyOf(request)
    const value = request.headers['content-type'] === JSON_TYPE ? JSON.parse(String(body)) : body
    const ttl = query.get('ttl')
    await put(name, key, value, ttl === null ? undefined : Number(ttl) * 1000)
    return { status: 204 }
  },

  GET({ name, key }) {
    const found = get(name, key)
    if (found === undefined) throw new Refused(404, 'There is no such key.')
    const expires = found.expiresAt === null ? {} : { expires: dateOf(found.expiresAt) }
    if (!(found.value instanceof Uint8Array)) return { ...json(found.value), headers: expires }
    return { status: 200, type: BYTES_TYPE, body: found.value, headers: expires }
  },

  async DELETE({ name, key }) {
    if (!(await remove(name, key))) throw new Refused(404, 'There is no such key.')
    return { status: 204 }
  },
}

const routes = {
  'GET /stats': () => json(stats()),
  'GET /health': () => json(session.health(), session.health().healthy ? 200 : 503),
  'GET /backups': async () => json(await session.backups.list()),
  'POST /backups': async () => {
    await session.save('before a backup')
    return json(await session.backups.create(), 201)
  },
}

const json = (value, status = 200) => ({ status, type: JSON_TYPE, body: JSON.stringify(value) })
const dateOf = (ms) => new Date(ms).toUTCString()

async function answer(request) {
  const { pathname, searchParams: query } = new URL(request.url, 'http://cache')
  const route = routes[`${request.method} ${pathname}`]
  if (route !== undefined) return route()
  const [, name = 'default', key] = /^\/cache\/(?:([^/]+)\/)?([^/]+)$/.exec(pathname) ?? []
  const keyRoute = keyRoutes[request.method]
  if (key === undefined || keyRoute === undefined) throw new Refused(404, 'There is nothing here.')
  if (!isCache(name)) throw new Refused(404, `There is no cache "${name}".`)
  return keyRoute({ name, key: decodeURIComponent(key), request, query })
}

async function bodyOf(request) {
  const parts = []
  let size = 0
  for await (const part of request) {
    size += part.length
    if (size <= MAX_BYTES) parts.push(part)
  }
  if (size > MAX_BYTES) throw new Refused(413, `A value has at most ${MAX_BYTES} bytes.`)
  return Buffer.concat(parts)
}

function failure(error) {
  const isOfAsker = [CairnError, SyntaxError, URIError].some((kind) => error instanceof kind)
  return json({ error: error.message }, error.status ?? (isOfAsker ? 400 : 500))
}

async function handle(request, response) {
  const { status, type, body, headers } = await answer(request).catch(failure)
  response.writeHead(status, { ...(type && { 'content-type': type }), ...headers }).end(body)
}

const server = createServer((request, response) => void handle(request, response))

server.listen(Number(PORT), HOST, () => {
  console.log(`The caches are at http://${HOST}:${server.address().port}/cache/`)
})
