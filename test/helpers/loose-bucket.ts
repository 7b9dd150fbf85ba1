/** A small server that speaks enough S3 to be asked whether it is fit, and is as unfit as it is told to be. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export type Flaw =
  | 'none'
  /** It looks whether an object is there, and puts it a moment later. */
  | 'not atomic'
  | 'ignores If-None-Match'
  | 'refuses If-None-Match'
  | 'ignores checksums'
  | 'lists nothing new'
  | 'lists what was deleted'
  | 'keeps the last of those who lost'

export interface LooseBucket extends AsyncDisposable {
  readonly endpoint: string
  readonly objects: ReadonlyMap<string, Buffer>
}

export async function startLooseBucket(flaw: Flaw): Promise<LooseBucket> {
  const objects = new Map<string, Buffer>()
  const deleted = new Set<string>()

  const put = async (key: string, request: IncomingMessage, body: Buffer): Promise<number> => {
    const checksum = request.headers['x-amz-checksum-sha256']
    const right = createHash('sha256').update(body).digest('base64')
    if (checksum !== right && flaw !== 'ignores checksums') return 400
    if (request.headers['if-none-match'] === '*' && flaw !== 'ignores If-None-Match') {
      if (flaw === 'refuses If-None-Match') return 501
      const isThere = objects.has(key)
      if (flaw === 'not atomic') await sleep(5)
      if (isThere && flaw === 'keeps the last of those who lost') objects.set(key, body)
      if (isThere) return 412
    }
    objects.set(key, body)
    return 200
  }

  const list = (prefix: string): string => {
    const keys = [...objects.keys(), ...(flaw === 'lists what was deleted' ? deleted : [])]
    const found = keys.filter((key) => key.startsWith(prefix) && flaw !== 'lists nothing new')
    const contents = found
      .sort()
      .map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`)
    const head = `<KeyCount>${found.length}</KeyCount><IsTruncated>false</IsTruncated>`
    return `<ListBucketResult>${head}${contents.join('')}</ListBucketResult>`
  }

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://bucket')
    const key = decodeURIComponent(pathname.split('/').slice(2).join('/'))
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const body = Buffer.concat(parts)
    if (request.method === 'PUT') {
      response.writeHead(await put(key, request, body), { etag: '"1"' }).end()
    } else if (request.method === 'POST') {
      for (const [, one = ''] of body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)) {
        if (objects.delete(one)) deleted.add(one)
      }
      response.end('<DeleteResult/>')
    } else if (key === '') response.end(list(searchParams.get('prefix') ?? ''))
    else if (objects.has(key)) response.end(objects.get(key))
    else response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>')
  }

  const server = http.createServer((request, response) => {
    handle(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
