/** What `cairn top` sees of a real service and a real store. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect } from '../../src/client/index.ts'
import { serviceSource } from '../../src/cli/top/service-source.ts'
import { NO_HISTORY, ratesOf, remember } from '../../src/cli/top/history.ts'
import type { Source } from '../../src/cli/top/look.ts'
import { createToken } from '../../src/service/access/token-file.ts'
import { tempDir } from '../helpers/engine.ts'
import { startService, type ServiceTestOptions, type TestService } from '../helpers/service.ts'
import { Sandbox } from './sandbox.ts'

const TIP = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const signal = new AbortController().signal

function sourceOf({ url }: { url: string }, token?: string, slowMs = 0): Source {
  return serviceSource({ url, token, slowMs, now: Date.now })
}

const started = (options: ServiceTestOptions = {}): Promise<TestService> =>
  startService({ automation: false, ...options })

describe('of a service', () => {
  test('counts, changes, health and a build', async () => {
    const service = await started()
    const main = connect({ url: service.url }).dataset('main')
    const source = sourceOf(service)
    for (let i = 0; i < 20; i++) await main.append({ pi: `e${i}`, tip: TIP })
    await main.append({ pi: 'e3', tip: null })
    await main.run({ kind: 'build' })
    await main.append({ pi: 'x\u001B', tip: TIP })
    const look = await source.look('main', signal)
    expect(look).toMatchObject({
      entities: 20,
      next: 22,
      recent: 1,
      chainLimit: 10_000,
      snapshotSeq: 1,
    })
    expect(look.changes.slice(0, 2)).toMatchObject([
      { pi: 'x\u001B', ver: 1, position: 21, deleted: false },
      { pi: 'e3', ver: 2, position: 20, deleted: true },
    ])
    expect(look.changes.length).toBe(12)
    expect(look.slow.checks).toBeGreaterThan(3)
    expect(look.slow.car).toBeUndefined()
    expect(await source.datasets(signal)).toEqual(['main'])
    await expect(source.look('nothing', signal)).rejects.toMatchObject({
      code: 'dataset_not_found',
    })
  })

  test('requests of others are counted, our own are not', async () => {
    const service = await started()
    const source = sourceOf(service)
    const main = connect({ url: service.url }).dataset('main')
    await main.append({ pi: 'a', tip: TIP })
    let history = remember(NO_HISTORY, await source.look('main', signal))
    for (let i = 0; i < 5; i++) history = remember(history, await source.look('main', signal))
    const counted = history.looks.map(({ counters }) => counters?.requests)
    expect(new Set(counted).size).toBe(1)
    for (let i = 0; i < 7; i++) await main.get('a')
    const after = await source.look('main', signal)
    const before = history.looks.at(-1)
    expect((after.counters?.requests ?? 0) - (before?.counters?.requests ?? 0)).toBe(7)
    expect((after.counters?.reads ?? 0) - (before?.counters?.reads ?? 0)).toBe(7)
    await main.append({ pi: 'b', tip: TIP })
    const rates = ratesOf(remember(history, await source.look('main', signal)))
    expect(rates.appends).toBeGreaterThan(0)
    expect(rates.requestP99).toBeGreaterThan(0)
    expect(rates.appendP99).toBeGreaterThan(0)
  })

  test('what costs more is asked for less often', async () => {
    const service = await started()
    const source = sourceOf(service, undefined, 60_000)
    const first = await source.look('main', signal)
    const second = await source.look('main', signal)
    expect(second.slow).toBe(first.slow)
    expect(second).not.toBe(first)
  })

  test('tokens: without one it is refused, one for a dataset sees no metrics', async () => {
    const path = join(await tempDir(), 'tokens.json')
    const { token } = await createToken(path, { name: 'one', right: 'read', datasets: ['main'] })
    const all = await createToken(path, { name: 'all', right: 'read' })
    const service = await started({ values: { tokens_file: path } })
    await expect(sourceOf(service).look('main', signal)).rejects.toMatchObject({
      code: 'unauthenticated',
    })
    const wrong = sourceOf(service, 'cairn_wrong').look('main', signal)
    await expect(wrong).rejects.toMatchObject({ code: 'unauthenticated' })
    expect(await sourceOf(service, token).look('main', signal)).toMatchObject({
      entities: 0,
      counters: null,
    })
    expect((await sourceOf(service, all.token).look('main', signal)).counters).not.toBeNull()
  })

  test('a service that has ended is unavailable, with the reason of the system', async () => {
    const service = await started()
    const source = sourceOf(service)
    await source.look('main', signal)
    await service.close()
    await expect(source.look('main', signal)).rejects.toMatchObject({
      code: 'backend_unavailable',
      message: expect.not.stringContaining('fetch failed') as string,
    })
  })
})

describe('of a store', () => {
  let box: Sandbox

  beforeAll(async () => {
    box = await Sandbox.make()
    await box.ok(['import', '-'], { input: '{"pi":"a","value":1}\n{"pi":"b","value":1}\n' })
    await box.ok(['build-snapshot'])
    await box.ok(['export-car'])
    await box.ok(['put', 'c', '--value', '1'])
  }, 60_000)

  afterAll(() => box.remove())

  test('--json is one document, beside a process that has the store open', async () => {
    expect(await box.json(['top'])).toMatchObject({
      dataset: 'main',
      source: expect.stringMatching(/^lmdb:/) as string,
      level: 'warning',
      entities: 3,
      next: 3,
      recent_count: 1,
      snapshot: { seq: 1 },
      car: { next: 2, count: 1 },
      drill: null,
      jobs: null,
      per_second: { appends: 0, requests: null },
      changes: [{ pi: 'c' }, { pi: 'b' }, { pi: 'a' }],
    })
  })

  test('not on a terminal it is printed once', async () => {
    const text = await box.ok(['top'], { env: { LC_ALL: 'C.UTF-8' } })
    expect(text).toMatch(/^cairn top {2}main {2}lmdb:/)
    expect(text).toContain('WARNING')
    expect(text).toMatch(/entities {2}3 /)
    expect(text).toMatch(/CAR {7}\d+ s ago, lacks 1 entry, /)
    expect(text).not.toContain('\u001B')
  })

  test.each([
    [['--every', '1ms'], 2],
    [['--every', 'often'], 2],
    [['--url', 'ftp://127.0.0.1'], 2],
    [['--url', 'http://user:secret@127.0.0.1:1'], 2],
    [['--url', 'http://127.0.0.1:1?token=secret'], 2],
    [['--url', 'http://127.0.0.1:1'], 17],
    [['--url', 'http://127.0.0.1:1', '--token-file', 'none'], 2],
    [['-d', 'nothing'], 10],
  ])('%j ends with %d', async (args, exit) => {
    const failure = await box.fails(['top', '--once', ...args])
    expect(failure.exit).toBe(exit)
    expect(JSON.stringify(failure)).not.toContain('secret')
  })
})
