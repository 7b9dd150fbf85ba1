/** The page's files: for everybody, under a strict policy, compressed, never found by a trick with the path. */
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { pageRoutesOf } from '../../src/service/routes/page.ts'
import { tempDir } from '../helpers/engine.ts'
import { head, rawRequest } from '../helpers/raw-http.ts'
import { startService, type TestService } from '../helpers/service.ts'

const HTML = '<!doctype html><title>Cairn</title>'
const SCRIPT = `const text = '${'x'.repeat(2000)}'`

async function startPage(values: { page?: 'on' | 'off' } = {}): Promise<TestService> {
  const folder = await tempDir()
  const assets = join(folder, 'assets')
  await mkdir(join(assets, 'inner'), { recursive: true })
  await writeFile(join(folder, 'index.html'), HTML)
  await writeFile(join(folder, 'secret.html'), 'not an asset')
  await writeFile(join(assets, 'page-1.js'), SCRIPT)
  await writeFile(join(assets, 'page-1.js.br'), brotliCompressSync(SCRIPT))
  await writeFile(join(assets, 'page-1.js.gz'), gzipSync(SCRIPT))
  await writeFile(join(assets, 'notes.txt'), 'of no type that a page has')
  await writeFile(join(assets, 'inner', 'deep.js'), 'deep')
  await symlink(folder, join(assets, 'up'))
  return startService({
    automation: false,
    values: { page: values.page ?? 'on' },
    routes: [(service) => pageRoutesOf(service, folder)],
  })
}

test('the page is asked for anew each time, and needs no token', async () => {
  const service = await startPage()
  const { status, headers, text } = await service.request('GET', '/')
  expect({ status, text }).toEqual({ status: 200, text: HTML })
  expect(headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(headers.get('cache-control')).toBe('no-cache')
  const etag = headers.get('etag') ?? ''
  const again = await service.request('GET', '/', undefined, { 'if-none-match': etag })
  expect({ status: again.status, text: again.text }).toEqual({ status: 304, text: '' })
  const bare = await service.request('HEAD', '/')
  expect({ status: bare.status, text: bare.text, etag: bare.headers.get('etag') }).toEqual({
    status: 200,
    text: '',
    etag,
  })
})

test('its policy lets nothing in from elsewhere', async () => {
  const service = await startPage()
  for (const path of ['/', '/assets/page-1.js']) {
    const { headers } = await service.request('GET', path)
    const policy = headers.get('content-security-policy') ?? ''
    const rules = new Map(
      policy.split('; ').map((rule): [string, string] => {
        const [name = '', ...values] = rule.split(' ')
        return [name, values.join(' ')]
      }),
    )
    expect(rules.get('default-src')).toBe("'none'")
    expect(rules.get('script-src')).toBe("'self'")
    expect(rules.get('style-src')).toBe("'self'")
    expect(rules.get('connect-src')).toBe("'self'")
    expect(rules.get('frame-ancestors')).toBe("'none'")
    expect(rules.get('require-trusted-types-for')).toBe("'script'")
    expect(policy).not.toMatch(/unsafe|\*|https?:/)
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('cross-origin-opener-policy')).toBe('same-origin')
    expect(headers.get('permissions-policy')).toContain('camera=()')
  }
})

test('its files are kept for good, and come as small as the client takes them', async () => {
  const service = await startPage()
  const port = Number(new URL(service.url).port)
  const forms = [
    ['gzip, deflate, br', 'br', brotliDecompressSync],
    ['gzip', 'gzip', gunzipSync],
    ['br;q=0, gzip;q=0.5', 'gzip', gunzipSync],
    ['identity', undefined, (bytes: Buffer) => bytes],
  ] as const
  for (const [accepts, encoding, decode] of forms) {
    const response = await fetchRaw(port, '/assets/page-1.js', accepts)
    expect(response.status, accepts).toBe(200)
    expect(response.headers['content-encoding'], accepts).toBe(encoding)
    expect(response.headers['vary'], accepts).toMatch(/accept-encoding/i)
    expect(response.headers['cache-control']).toBe('public, max-age=31536000, immutable')
    expect(response.headers['content-type']).toBe('text/javascript; charset=utf-8')
    expect(decode(response.body).toString()).toBe(SCRIPT)
  }
})

test('nothing but the files of the page is found', async () => {
  const service = await startPage()
  const names = [
    'page-2.js',
    'page-1.js.br',
    'notes.txt',
    '..%2findex.html',
    '%2e%2e%2fsecret.html',
    '..%5csecret.html',
    'inner%2fdeep.js',
    'up%2fsecret.html',
    'up',
    '__proto__',
    '%00',
    'page-1.js%00.txt',
  ]
  for (const name of names) {
    const { status, headers } = await service.request('GET', `/assets/${name}`)
    expect(status, name).toBe(404)
    expect(headers.get('content-type'), name).toMatch(/^application\/problem\+json/)
  }
  const paths = ['/assets/../secret.html', '/assets/inner/deep.js', '/secret.html', '/index.html']
  for (const path of paths) {
    const { status } = await rawRequest(service.url, head('GET', path, 'Host: 127.0.0.1'))
    expect(status, path).toBe(404)
  }
  expect((await service.request('POST', '/')).status).toBe(405)
})

test('a page that was not built says so', async () => {
  const folder = await tempDir()
  const service = await startService({
    automation: false,
    routes: [(own) => pageRoutesOf(own, join(folder, 'missing'))],
  })
  const { status, text, headers } = await service.request('GET', '/')
  expect(status).toBe(503)
  expect(text).toContain('npm run build')
  expect(headers.get('content-type')).toBe('text/html; charset=utf-8')
})

test('a page that was built badly keeps the service from nothing', async () => {
  const folder = await tempDir()
  const assets = join(folder, 'assets')
  await mkdir(join(folder, 'index.html'), { recursive: true })
  await mkdir(join(assets, 'folder.js'), { recursive: true })
  await symlink(join(folder, 'gone'), join(assets, 'gone.js'))
  await writeFile(join(assets, 'good.js'), SCRIPT)
  await mkdir(join(assets, 'good.js.br'))
  const service = await startService({
    automation: false,
    routes: [(own) => pageRoutesOf(own, folder)],
  })
  expect((await service.request('GET', '/')).status).toBe(503)
  for (const name of ['folder.js', 'gone.js'])
    expect((await service.request('GET', `/assets/${name}`)).status).toBe(404)
  const good = await service.request('GET', '/assets/good.js')
  expect({ status: good.status, text: good.text }).toEqual({ status: 200, text: SCRIPT })
})

test('it can be switched off, and is no part of the API', async () => {
  const off = await startPage({ page: 'off' })
  expect((await off.request('GET', '/')).status).toBe(404)
  const on = await startPage()
  const document = (await on.request('GET', '/openapi.json')).json as { paths: object }
  expect(Object.keys(document.paths)).toEqual([])
})

async function fetchRaw(port: number, path: string, accepts: string) {
  return new Promise<{
    status: number | undefined
    headers: NodeJS.Dict<string | string[]>
    body: Buffer
  }>((resolve, reject) => {
    const asked = request({
      host: '127.0.0.1',
      port,
      path,
      headers: { 'accept-encoding': accepts },
    })
    asked.on('error', reject)
    asked.on('response', (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () => {
        const { statusCode: status, headers } = response
        resolve({ status, headers, body: Buffer.concat(parts) })
      })
    })
    asked.end()
  })
}
