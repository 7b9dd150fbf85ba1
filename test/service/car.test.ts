/** CARs over HTTP: downloads that stream, and uploads that change nothing unless they are good. */
import { randomBytes } from 'node:crypto'
import { readdir, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { CarFile } from '../../src/car/file.ts'
import { createToken } from '../../src/service/access/token-file.ts'
import { carPath } from '../helpers/cars.ts'
import { blocksOf, damagedBackend } from '../helpers/damage.ts'
import { tempDir } from '../helpers/engine.ts'
import { expectProblem } from '../helpers/problem.ts'
import { startService, type Answer, type TestService } from '../helpers/service.ts'

const MAIN = '/v1/datasets/main'
const CAR = `${MAIN}/car`
const CAR_TYPE = { 'content-type': 'application/vnd.ipld.car' }

interface JobAnswer {
  readonly job: {
    readonly id: string
    readonly state: string
    readonly kind: string
    readonly result: Record<string, unknown> | null
    readonly error: { code: string; message: string } | null
  }
}

async function fill({ request, service }: TestService, bytes = 100): Promise<void> {
  for (const pi of ['a', 'b']) {
    const put = await request('PUT', `${MAIN}/entities/${pi}/content`, randomBytes(bytes))
    expect(put.status).toBe(201)
  }
  await (await service.dataset('main')).build({})
  await request('PUT', `${MAIN}/entities/c`, { value: { c: 1 } })
}

async function download({ url }: TestService, query = ''): Promise<Uint8Array> {
  const response = await fetch(`${url}${CAR}${query}`)
  expect(response.status).toBe(200)
  return new Uint8Array(await response.arrayBuffer())
}

async function rootsAndBlocks(bytes: Uint8Array): Promise<{ roots: number; blocks: number }> {
  const path = carPath()
  await writeFile(path, bytes)
  const car = await CarFile.open(path)
  const found = { roots: car.roots.length, blocks: car.blockCount ?? -1 }
  await car.close()
  return found
}

async function ended({ request }: TestService, started: Answer): Promise<JobAnswer['job']> {
  expect(started.status, started.text).toBe(202)
  const { job } = started.json as JobAnswer
  expect(started.headers.get('location')).toBe(`${MAIN}/jobs/${job.id}`)
  const done = await request('GET', `${MAIN}/jobs/${job.id}?wait_ms=20000`)
  return (done.json as JobAnswer).job
}

const LINKED = { init: { content: 'linked' } } as const

test('what is downloaded is restored elsewhere, as it was', async () => {
  const service = await startService(LINKED)
  await fill(service)
  const whole = await download(service)
  const other = await startService({ init: null })
  const job = await ended(other, await other.request('POST', CAR, whole, CAR_TYPE))
  expect(job).toMatchObject({ state: 'succeeded', kind: 'restore', error: null })
  expect(job.result).toMatchObject({ status: 'restored', dataset: 'main', total_count: 3 })
  for (const pi of ['a', 'b', 'c']) {
    const path = `${MAIN}/entities/${pi}/content`
    const [one, two] = [await service.request('GET', path), await other.request('GET', path)]
    expect([two.status, two.text]).toEqual([200, one.text])
  }
  expect(await readdir(join(other.service.values().data_dir, 'uploads'))).toEqual([])
  // Into what is not empty only when asked to.
  await other.request('PUT', `${MAIN}/entities/d`, { value: 1 })
  const refused = await ended(other, await other.request('POST', CAR, whole, CAR_TYPE))
  expect(refused).toMatchObject({ state: 'failed', error: { code: 'conflict' } })
  const planned = await other.request('POST', `${CAR}?replace=true&dry_run=true`, whole, CAR_TYPE)
  expect(await ended(other, planned)).toMatchObject({ result: { status: 'planned' }, error: null })
  expect((await other.request('GET', MAIN)).json).toMatchObject({ total_count: 4 })
  const replaced = await other.request('POST', `${CAR}?replace=true`, whole, CAR_TYPE)
  expect((await ended(other, replaced)).result).toMatchObject({ status: 'restored' })
  expect((await other.request('GET', MAIN)).json).toMatchObject({ total_count: 3 })
  const beside = await other.request('POST', `${CAR}?as=trial`, whole, CAR_TYPE)
  expect((await ended(other, beside)).result).toMatchObject({ dataset: 'trial' })
  const wrong = '/v1/datasets/trial/car'
  const named = (await other.request('POST', wrong, whole, CAR_TYPE)).json as JobAnswer
  const end = await other.request('GET', `/v1/datasets/trial/jobs/${named.job.id}?wait_ms=20000`)
  expect((end.json as JobAnswer).job).toMatchObject({ state: 'failed', error: { code: 'usage' } })
})

test('forms of a download', async () => {
  const service = await startService(LINKED)
  const { request } = service
  await fill(service)
  const [full, index] = [await download(service), await download(service, '?content=index')]
  expect(index.length).toBeLessThan(full.length)
  expect(Buffer.compare(full, await download(service))).toBe(0)
  expect(await rootsAndBlocks(full)).toMatchObject({ roots: 1 })
  const second = await download(service, '?version=2')
  expect(second.subarray(0, 11).join()).not.toBe(full.subarray(0, 11).join())
  expect((await rootsAndBlocks(second)).blocks).toBe((await rootsAndBlocks(full)).blocks)
  const delta = await download(service, '?since=seq:1')
  expect(delta.length).toBeLessThan(full.length)
  expect((await download(service, '?snapshot=seq:0')).length).toBeLessThan(full.length)
  const { headers } = await request('GET', CAR)
  expect(headers.get('content-type')).toBe('application/vnd.ipld.car')
  expect(headers.get('content-disposition')).toBe('attachment; filename="main.car"')
  const head = await request('HEAD', CAR)
  expect([head.status, head.text, head.headers.get('content-type')]).toEqual([
    200,
    '',
    'application/vnd.ipld.car',
  ])
  expectProblem(await request('GET', `${CAR}?since=seq:9`), 404, 'not_found')
  expect((await request('HEAD', `${CAR}?since=seq:9`)).status).toBe(404)
  for (const query of ['version=3', 'content=all', 'since=', 'x=1']) {
    expectProblem(await request('GET', `${CAR}?${query}`), 400, 'usage')
  }
  expectProblem(await request('GET', '/v1/datasets/none/car'), 404, 'dataset_not_found')
})

test('a download that fails midway resets the connection; one that fails at once says why', async () => {
  const backend = damagedBackend(openMemory())
  const service = await startService({ ...LINKED, backend })
  await fill(service, 3 << 20)
  const { leaves, chain } = await blocksOf(backend)
  const { url } = service
  backend.lose(chain[0])
  const late = await fetch(`${url}${CAR}`)
  expect(late.status).toBe(200)
  await expect(late.arrayBuffer()).rejects.toThrow()
  backend.mend()
  expect((await rootsAndBlocks(await download(service))).roots).toBe(1)
  backend.lose(leaves[0])
  const early = await startService({ backend, init: null })
  expectProblem(await early.request('GET', CAR), 500, 'block_missing')
})

test('a reader that goes away, or does not read, holds nothing up', async () => {
  const backend = openMemory()
  const service = await startService({ ...LINKED, backend })
  for (let i = 0; i < 4; i++) await fill(service, 4 << 20)
  const leases = async (): Promise<number> => (await backend.leases()).length
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1')
  socket.pause()
  socket.write(`GET ${CAR} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`)
  while ((await leases()) === 0) await delay(10)
  // It is under way as long as nobody reads on; others are answered meanwhile.
  expect((await service.request('GET', MAIN)).status).toBe(200)
  expect(await leases()).toBe(1)
  socket.destroy()
  while ((await leases()) > 0) await delay(10)
})

test('uploads that are no good change nothing and leave nothing', async () => {
  const service = await startService({ ...LINKED, values: { upload_limit: 1 << 20 } })
  const { request, url } = service
  await fill(service)
  const good = await download(service)
  // What the CAR holds is not what is there: otherwise there is nothing to restore.
  await request('PUT', `${MAIN}/entities/d`, { value: 1 })
  const state = (await request('GET', MAIN)).json
  const flipped = Uint8Array.from(good, (byte, i) => (i === good.length - 3 ? byte ^ 1 : byte))
  const bad: Uint8Array[] = [randomBytes(1000), good.subarray(0, good.length - 10), flipped]
  for (const bytes of bad) {
    const job = await ended(service, await request('POST', `${CAR}?replace=true`, bytes, CAR_TYPE))
    expect(job.state).toBe('failed')
    expect(job.error?.message).not.toContain('/dev/')
    expect(['invalid_car', 'block_mismatch', 'block_missing', 'invalid_block']).toContain(
      job.error?.code,
    )
  }
  expectProblem(await request('POST', CAR, new Uint8Array(0), CAR_TYPE), 422, 'invalid_car')
  expectProblem(await request('POST', CAR, randomBytes((1 << 20) + 1), CAR_TYPE), 413, 'too_large')
  expectProblem(await request('POST', `${CAR}?as=No`, good, CAR_TYPE), 400, 'usage')
  await cutOff(`${url}${CAR}`)
  expect((await request('GET', MAIN)).json).toMatchObject({
    number: (state as { number: number }).number,
    total_count: 4,
  })
  expect(await readdir(join(service.service.values().data_dir, 'uploads'))).toEqual([])
})

test('an upload that takes too long is refused', async () => {
  const service = await startService({ ...LINKED, values: { upload_deadline: 300 } })
  const status = await new Promise<number>((resolve, reject) => {
    const call = httpRequest(
      `${service.url}${CAR}`,
      { method: 'POST', headers: CAR_TYPE },
      (answer) => {
        answer.resume()
        resolve(answer.statusCode ?? 0)
      },
    )
    call.on('error', reject)
    call.write('x')
  })
  expect(status).toBe(408)
})

function cutOff(url: string): Promise<void> {
  return new Promise((resolve) => {
    const headers = { ...CAR_TYPE, 'content-length': 500_000 }
    const call = httpRequest(url, { method: 'POST', headers })
    call.on('error', () => resolve())
    call.write(Buffer.alloc(100_000), () => setTimeout(() => call.destroy(), 50))
    call.on('close', resolve)
  })
}

test('a token for one dataset restores into no other', async () => {
  const data_dir = await tempDir()
  const tokens_file = join(data_dir, 'tokens.json')
  const { token } = await createToken(tokens_file, {
    name: 'one',
    right: 'admin',
    datasets: ['main'],
  })
  const service = await startService({ ...LINKED, values: { data_dir, tokens_file } })
  const auth = { authorization: `Bearer ${token}` }
  const upload = (query: string): Promise<Answer> =>
    service.request('POST', `${CAR}${query}`, randomBytes(100), { ...CAR_TYPE, ...auth })
  expectProblem(await upload('?as=other'), 403, 'access_denied')
  expect((await upload('?as=main')).status).toBe(202)
})
