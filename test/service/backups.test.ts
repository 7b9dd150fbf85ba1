/** Backups over HTTP: the list, files and ranges of them, and names that lead nowhere. */
import { createHash } from 'node:crypto'
import { copyFile, readFile, truncate, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { exportToFolder } from '../../src/backup/write-car.ts'
import { rangeOf } from '../../src/service/http/range.ts'
import { expectProblem } from '../helpers/problem.ts'
import { startService, type TestService } from '../helpers/service.ts'

const BACKUPS = '/v1/datasets/main/backups'

async function backup({ service }: TestService): Promise<{ path: string; bytes: Buffer }> {
  const dataset = await service.dataset('main')
  const form = { version: 1, recipients: [], force: true, now: Date.now } as const
  const made = await exportToFolder(dataset, service.values().backups_dir, form)
  const path = made.backup.paths.car
  return { path, bytes: await readFile(path) }
}

/** The address as it is: `fetch` would put it in order. */
function rawStatus({ url }: TestService, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = httpRequest(`${url}/`, { path }, (answer) => {
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
    call.on('error', reject)
    call.end()
  })
}

test('the list, newest first, without paths of the machine', async () => {
  const service = await startService({ init: { content: 'linked' } })
  const { request } = service
  expect((await request('GET', BACKUPS)).json).toEqual({ items: [] })
  await request('PUT', '/v1/datasets/main/entities/a', { value: 1 })
  const first = await backup(service)
  await request('PUT', '/v1/datasets/main/entities/b', { value: 2 })
  const second = await backup(service)
  const list = await request('GET', BACKUPS)
  expect(list.json).toMatchObject({
    items: [
      { filename: basename(second.path), total_count: 2, dataset: 'main' },
      { filename: basename(first.path), total_count: 1, size_bytes: first.bytes.length },
    ],
  })
  expect(list.text).not.toContain(service.service.values().backups_dir)
  // Also of a dataset that is not there any more; and each has its own.
  expect((await request('GET', '/v1/datasets/other/backups')).json).toEqual({ items: [] })
})

test('a file, whole and in parts', async () => {
  const service = await startService({ init: { content: 'linked' } })
  const { request, url } = service
  await request('PUT', '/v1/datasets/main/entities/a', { value: 'x'.repeat(600_000) })
  const { path, bytes } = await backup(service)
  const file = `${BACKUPS}/${basename(path)}`
  const get = async (headers: Record<string, string> = {}, method = 'GET'): Promise<Response> =>
    fetch(`${url}${file}`, { method, headers })
  const bodyOf = async (response: Response): Promise<Buffer> =>
    Buffer.from(await response.arrayBuffer())
  const whole = await get()
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  expect(Object.fromEntries(whole.headers)).toMatchObject({
    'content-type': 'application/vnd.ipld.car',
    'content-length': String(bytes.length),
    'content-disposition': `attachment; filename="${basename(path)}"`,
    'accept-ranges': 'bytes',
    etag: `"${sha256}"`,
  })
  expect((await bodyOf(whole)).equals(bytes)).toBe(true)
  const head = await get({}, 'HEAD')
  expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes.length)])
  const known = await get({ 'if-none-match': `"${sha256}"` })
  expect([known.status, await known.text()]).toEqual([304, ''])

  const last = bytes.length - 1
  const parts: readonly (readonly [string, number, number])[] = [
    ['bytes=0-0', 0, 0],
    ['bytes=10-19', 10, 19],
    ['bytes=300000-', 300_000, last],
    ['bytes=-5', last - 4, last],
    [`bytes=5-${last + 9}`, 5, last],
  ]
  for (const [range, from, to] of parts) {
    const part = await get({ range })
    expect([part.status, part.headers.get('content-range')], range).toEqual([
      206,
      `bytes ${from}-${to}/${bytes.length}`,
    ])
    expect((await bodyOf(part)).equals(bytes.subarray(from, to + 1)), range).toBe(true)
  }
  for (const range of [`bytes=${last + 1}-`, 'bytes=-0', `bytes=${last + 5}-${last + 9}`]) {
    const answer = await request('GET', file, undefined, { range })
    expectProblem(answer, 416, 'range_impossible')
    expect(answer.headers.get('content-range')).toBe(`bytes */${bytes.length}`)
  }
  for (const range of ['bytes=0-1,3-4', 'lines=1-2', 'bytes=9-3', 'x']) {
    expect((await get({ range })).status, range).toBe(200)
  }
  expect((await get({ range: 'bytes=0-1', 'if-range': '"other"' })).status).toBe(200)
  expect((await get({ range: 'bytes=0-1', 'if-range': `"${sha256}"` })).status).toBe(206)
})

test('no name leads out of the folder, or to what is no whole backup', async () => {
  const service = await startService({ init: { content: 'linked' } })
  const { request } = service
  const { path } = await backup(service)
  const folder = service.service.values().backups_dir
  await writeFile(join(folder, '..', 'secret.car'), 'secret')
  await writeFile(join(folder, 'lonely.car'), 'no sidecar')
  const name = basename(path)
  const names = ['../secret.car', '..%2Fsecret.car', '%2e%2e%2fsecret.car', '..%5csecret.car']
  const more = ['lonely.car', 'none.car', `${name}%00`, `.${name}`, name.replace('.car', '.json')]
  for (const one of [...names, ...more, '%2Fetc%2Fpasswd', `x/../${name}`]) {
    expect([400, 404], one).toContain(await rawStatus(service, `${BACKUPS}/${one}`))
  }
  // Another dataset's.
  const other = await request('GET', `/v1/datasets/other/backups/${name}`)
  expectProblem(other, 404, 'not_found')
  await truncate(path, 10)
  expectProblem(await request('GET', `${BACKUPS}/${name}`), 404, 'not_found')
  await copyFile(join(folder, 'lonely.car'), path)
  expectProblem(await request('GET', `${BACKUPS}/${name}`), 404, 'not_found')
})

test('ranges of an empty file, and of one byte', () => {
  const range = (text: string, size: number): unknown =>
    rangeOf({ headers: { range: text } }, { size, tag: '"x"' })
  expect(range('bytes=0-', 0)).toBe('none')
  expect(range('bytes=-1', 0)).toBe('none')
  expect(range('bytes=0-', 1)).toEqual({ from: 0, to: 0 })
  expect(range('bytes=-9', 1)).toEqual({ from: 0, to: 0 })
})
