/** What the client offers, against a real service. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connect } from '../../src/client/index.ts'
import { createToken } from '../../src/service/access/token-file.ts'
import { tempDir } from '../helpers/engine.ts'
import { valueOf } from './dag-json.ts'
import { bytesOf, collect, setup } from './setup.ts'

test('entities are put, read, listed and deleted', async () => {
  const { main } = await setup()
  expect(await main.get('a')).toBeUndefined()
  expect(await main.history('a')).toEqual([])
  const first = await main.put('a', { n: 1 })
  expect(first).toMatchObject({ pi: 'a', ver: 1, position: 0, status: 'appended' })
  expect(await main.put('a', { n: 2 })).toMatchObject({ ver: 2 })
  // The same content once more is another version, as without a client.
  expect(await main.put('a', { n: 2 })).toMatchObject({ ver: 3, status: 'appended' })
  expect(await main.get('a')).toMatchObject({ ver: 3, exp: null })
  expect(await main.content('a')).toMatchObject({ kind: 'value', value: { n: 2 } })
  expect(await main.has('a')).toBe(true)
  expect(await main.delete('a')).toMatchObject({ ver: 4, tip: null })
  expect(await main.has('a')).toBe(false)
  expect(await main.content('a')).toBeUndefined()
  expect(await main.put('a', { n: 5 })).toMatchObject({ ver: 5 })
  expect((await main.history('a')).map(({ ver }) => ver)).toEqual([5, 4, 3, 2, 1])
  expect((await main.history('a', { limit: 2 })).map(({ ver }) => ver)).toEqual([5, 4])
})

test('ids of all kinds find their entity', async () => {
  const { main } = await setup()
  const ids = ['a/b', 'a?b#c', 'ü€𝄞', ' ', '%2F', '..a', 'a\n', '__proto__', 'x'.repeat(512)]
  await main.appendBatch(ids.map((pi, i) => ({ pi, value: { i } })))
  for (const [i, pi] of ids.entries()) {
    expect(await main.get(pi), pi).toMatchObject({ pi, ver: 1 })
    expect(await main.content(pi), pi).toMatchObject({ value: { i } })
  }
  await expect(main.get('..')).rejects.toMatchObject({ code: 'usage' })
  await main.appendBatch([{ pi: '..', value: 1, ver: 1 }])
  expect((await main.list({ from: '..', limit: 1, order: 'asc' })).items[0]).toMatchObject({
    pi: '..',
  })
})

test('pages, and all entities over their cursors', async () => {
  const { main } = await setup()
  const ids = Array.from({ length: 25 }, (_, i) => `k${String(i).padStart(3, '0')}`)
  await main.appendBatch(ids.map((pi) => ({ pi, value: pi })))
  const page = await main.list({ limit: 10, order: 'asc' })
  expect(page).toMatchObject({ total_count: 25, has_more: true })
  const idsOf = async (query: Parameters<typeof main.entities>[0]): Promise<string[]> =>
    (await collect(main.entities(query))).map(({ pi }) => pi)
  expect(await idsOf({ limit: 4, order: 'asc' })).toEqual(ids)
  expect(await idsOf({ limit: 4, offset: 20 })).toEqual(ids.slice(0, 5).toReversed())
  expect(await idsOf({ prefix: 'k01', order: 'asc' })).toEqual(ids.slice(10, 20))
  expect(await idsOf({ from: 'k003', to: 'k005', order: 'asc' })).toEqual(ids.slice(3, 5))
})

test('conditions are those of the service', async () => {
  const { main } = await setup()
  const { tip } = await main.put('a', 1, { expect_ver: 0 })
  await expect(main.put('a', 2, { expect_ver: 0 })).rejects.toMatchObject({
    code: 'conflict',
    status: 409,
    details: { pi: 'a', current_ver: 1, current_tip: tip },
    uncertain: false,
  })
  expect(await main.put('a', 2, { expect_tip: tip })).toMatchObject({ ver: 2 })
  await expect(main.put('a', 3, { expect_tip: tip })).rejects.toMatchObject({ code: 'conflict' })
  expect(await main.put('a', 3, { ver: 7 })).toMatchObject({ ver: 7 })
  await expect(main.put('a', 4, { ver: 7 })).rejects.toMatchObject({ code: 'conflict' })
  await expect(main.delete('a', { expect_ver: 6 })).rejects.toMatchObject({ code: 'conflict' })
  expect(await main.delete('a', { expect_ver: 7 })).toMatchObject({ ver: 8 })
})

test('a batch is all or nothing, and several versions of one entity follow one another', async () => {
  const { main } = await setup()
  await main.put('b', 'old')
  const written = await main.appendBatch([
    { pi: 'b', value: 'one' },
    { pi: 'a', value: 1 },
    { pi: 'b', value: 'two' },
    { pi: 'b', tip: null },
  ])
  expect(written.map(({ pi, ver }) => [pi, ver])).toEqual([
    ['b', 2],
    ['a', 1],
    ['b', 3],
    ['b', 4],
  ])
  const refused = main.appendBatch([
    { pi: 'c', value: 1 },
    { pi: 'a', value: 2, expect_ver: 9 },
  ])
  await expect(refused).rejects.toMatchObject({ code: 'conflict' })
  expect(await main.has('c')).toBe(false)
  expect(await main.appendBatch([])).toEqual([])
})

test('content comes proved, whatever it is made of', async () => {
  const { main } = await setup()
  const { tip } = await main.put('target', { x: 1 })
  const values: unknown[] = [
    null,
    true,
    '€ and \u0000',
    [1, -1, 0, 24, 255, 256, 65_536, 2 ** 32, 2 ** 53 - 1, -(2 ** 53 - 1), 1.5, -1e300, 1e-9],
    { b: 1, aa: [{}, [], ''], link: { '/': tip } },
    { bytes: { '/': { bytes: 'AAEC' } } },
  ]
  for (const value of values) {
    const { tip: cid } = await main.put('a', value)
    const content = await main.content('a')
    expect(content).toEqual({ kind: 'value', cid, value })
    expect(await main.contentOf(cid ?? '')).toEqual(content)
    // Another reader of the same bytes.
    expect(content).toMatchObject(await valueOf(await main.block(cid ?? '')))
  }
  for (const size of [0, 1, 1 << 20, (1 << 20) + 1, 3_333_333]) {
    const bytes = randomBytes(size)
    const { tip: cid } = await main.put('a', size % 2 === 0 ? bytes : new Blob([bytes]))
    const content = await main.content('a')
    if (content?.kind !== 'bytes') throw new Error('no bytes')
    expect(content.cid).toBe(cid)
    expect(bytes.equals(await bytesOf(content.bytes)), String(size)).toBe(true)
  }
  await expect(
    main.contentOf('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'),
  ).rejects.toMatchObject({
    code: 'not_found',
  })
  await expect(main.contentOf('nonsense')).rejects.toMatchObject({ code: 'invalid_entry' })
})

test('large bytes under conditions', async () => {
  const { main } = await setup()
  const large = randomBytes((1 << 20) + 7)
  const { tip } = await main.put('a', large, { expect_tip: null })
  await expect(main.put('a', large, { expect_tip: null })).rejects.toMatchObject({
    code: 'conflict',
  })
  expect(await main.put('a', large, { expect_tip: tip })).toMatchObject({ ver: 2, tip })
  await expect(main.put('a', large, { expect_ver: 2 })).rejects.toMatchObject({ code: 'usage' })
})

test('moments, snapshots, what lies between them, and going back', async () => {
  const { main } = await setup()
  await main.put('a', 1)
  await main.run({ kind: 'build', tags: ['first'] })
  await main.put('a', 2)
  await main.put('b', 1)
  await main.run({ kind: 'build' })
  const { items, has_more } = await main.snapshots()
  expect([items.map(({ seq, current }) => [seq, current]), has_more]).toEqual([
    [
      [2, true],
      [1, false],
      [0, false],
    ].slice(0, items.length),
    false,
  ])
  expect(await main.snapshot('first')).toMatchObject({ seq: 1, live: 1 })
  expect(await main.get('a', { at_snapshot: 'first' })).toMatchObject({ ver: 1 })
  expect(await main.content('a', { at_snapshot: 'first' })).toMatchObject({ value: 1 })
  const changes = await collect(main.diff({ from: 'first' }))
  expect(changes.map(({ change, pi }) => `${change} ${pi}`)).toEqual(['changed a', 'added b'])
  expect((await collect(main.chunks('latest'))).map((one) => one.live)).toEqual([2])
  expect(await main.log({ since: 1, limit: 1 })).toMatchObject({ next: 2, floor: 0, generation: 1 })
  expect(await main.checkpoint()).toMatchObject({ next: 3, seq: 2, total_count: 2 })
  expect(await main.status()).toMatchObject({ dataset: 'main', chunk_count: 1 })
  expect(await main.health()).toMatchObject({
    dataset: 'main',
    checks: expect.any(Array) as unknown,
  })
  expect(await main.rollback({ to: 'first' })).toMatchObject({ seq: 1, total_count: 1 })
  expect(await main.has('b')).toBe(false)
})

test('jobs are started, watched, waited for, and their failure is an error', async () => {
  const { main } = await setup()
  await main.appendBatch(Array.from({ length: 50 }, (_, i) => ({ pi: `k${i}`, value: i, ver: 1 })))
  const steps: string[] = []
  const built = await main.run({ kind: 'build' }, { onProgress: ({ step }) => steps.push(step) })
  expect(built).toMatchObject({ kind: 'build', state: 'succeeded', result: { live: 50 } })
  const { job } = await main.startJob({ kind: 'verify', mode: 'quick' })
  expect(await main.waitForJob(job.id)).toMatchObject({ id: job.id, state: 'succeeded' })
  expect((await main.jobs({ kind: 'verify' })).map(({ id }) => id)).toEqual([job.id])
  expect(await main.job(job.id)).toMatchObject({ state: 'succeeded' })
  expect(await main.cancelJob(job.id)).toMatchObject({ state: 'succeeded' })
  const failing = main.run({ kind: 'export', since: 'latest~7' })
  await expect(failing).rejects.toMatchObject({
    name: 'CairnClientError',
    code: 'not_found',
    details: { job: { state: 'failed' } },
  })
  expect(await main.disconnect('Ada')).toMatchObject({ reason: 'user_disconnect:Ada' })
})

test('CARs are taken and brought, and backups listed', async () => {
  const { main, service } = await setup()
  await main.put('a', { n: 1 })
  await main.put('b', randomBytes(3_000_000))
  await main.run({ kind: 'export' })
  const [backup] = await main.backups()
  const file = await main.backup(backup?.filename ?? '')
  expect(file).toMatchObject({ size: backup?.size_bytes, filename: backup?.filename })
  expect(await bytesOf(file.stream)).toHaveLength(backup?.size_bytes ?? -1)
  const car = await main.car()
  expect(car).toMatchObject({ size: undefined, filename: 'main.car' })
  const copy = connect({ url: service.url }).dataset('copy')
  for (const body of [await bytesOf(car.stream), (await main.car()).stream]) {
    const job = await copy.upload(body, { as: 'copy', replace: true })
    expect(await copy.waitForJob(job.id)).toMatchObject({ state: 'succeeded' })
    expect(await copy.content('a')).toMatchObject({ value: { n: 1 } })
  }
  expect(await connect({ url: service.url }).datasets()).toEqual(['copy', 'main'])
})

test('datasets are made, and a missing one is an error', async () => {
  const { service } = await setup()
  const client = connect({ url: `${service.url}/` })
  const other = client.dataset('other')
  await expect(other.get('a')).rejects.toMatchObject({ code: 'dataset_not_found', status: 404 })
  expect([await other.make({ content: 'external' }), await other.make()]).toEqual([true, false])
  const error: unknown = await other.make({ content: 'linked' }).catch((one: unknown) => one)
  expect(error).toMatchObject({ code: 'conflict', hint: expect.any(String) as unknown })
  expect((error as { requestId?: string }).requestId).toMatch(/^[0-9a-f-]{36}$/)
})

test('the token goes with every request, and one for a dataset reads what its entities hold', async () => {
  const file = join(await tempDir(), 'tokens.json')
  const { token: all } = await createToken(file, { name: 'all', right: 'admin' })
  const bound = { name: 'bound', right: 'append', datasets: ['main'] } as const
  const { token } = await createToken(file, bound)
  const { client, proxy } = await setup({ values: { tokens_file: file } })
  await expect(client().checkpoint()).rejects.toMatchObject({
    code: 'unauthenticated',
    status: 401,
  })
  await connect({ url: proxy.url, token: all }).dataset('other').make({ content: 'linked' })
  const main = client({ token })
  const { tip } = await main.put('a', { n: 1 })
  expect(await main.content('a')).toMatchObject({ cid: tip, value: { n: 1 } })
  const denied = { code: 'access_denied', status: 403 }
  await expect(main.contentOf(tip ?? '')).rejects.toMatchObject(denied)
  expect(await client({ token: all }).contentOf(tip ?? '')).toMatchObject({ value: { n: 1 } })
  const follower = main.changes({ since: 0 })
  expect(await follower.next()).toMatchObject({ value: { pi: 'a' } })
  await follower.return(undefined)
})
