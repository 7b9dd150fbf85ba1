/** What is asked for again and what is not, and what is read over bad lines is whole. */
import { expect, test } from 'vitest'
import { connect, type CairnClientError } from '../../src/client/index.ts'
import { startFaultProxy, type Fate } from '../helpers/fault-proxy.ts'
import { bytesOf, collect, setup } from './setup.ts'

const POST = 'POST /v1/datasets/main/entries'

test('an answer of 4xx is not asked for again', async () => {
  const { main, proxy } = await setup()
  const calls = [
    main.list({ limit: 0 }),
    main.append({ pi: 'a', tip: 'nonsense', ver: 1 }),
    main.contentOf('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'),
    main.job('abc'),
  ]
  const codes = await Promise.all(
    calls.map((call) => call.catch(({ code, status }: CairnClientError) => [code, status])),
  )
  expect(codes).toEqual([
    ['usage', 400],
    ['usage', 400],
    ['not_found', 404],
    ['not_found', 404],
  ])
  expect(proxy.seen).toHaveLength(4)
})

test('what starts something is sent again only when it was not begun', async () => {
  const { main, next, proxy } = await setup()
  const JOBS = 'POST /v1/datasets/main/jobs'
  next(JOBS, 'refuse', 'refuse')
  await main.run({ kind: 'build', force: true })
  expect(proxy.seen.filter((call) => call === JOBS)).toHaveLength(3)
  next(JOBS, 'mute')
  await expect(main.startJob({ kind: 'build' })).rejects.toMatchObject({
    code: 'unreachable',
    uncertain: true,
  })
  expect(proxy.seen.filter((call) => call === JOBS)).toHaveLength(4)
  const gone = await startFaultProxy(
    () => '',
    () => 'pass',
  )
  await gone.close()
  const nobody = connect({ url: gone.url, retries: 2 }).dataset('main')
  const began = performance.now()
  await expect(nobody.startJob({ kind: 'build' })).rejects.toMatchObject({
    code: 'unreachable',
    uncertain: false,
  })
  expect(performance.now() - began).toBeGreaterThan(100)
})

test('reads go on over bad lines; what is cut off is never taken for the whole', async () => {
  const { main, next, client } = await setup()
  const ids = Array.from({ length: 3000 }, (_, i) => `k${i}`)
  await main.appendBatch(ids.map((pi) => ({ pi, value: pi, ver: 1 })))
  await main.run({ kind: 'build' })
  next('GET', 'half', 'lose', 'gateway', 'mute')
  expect(await collect(main.entities({ limit: 1000 }))).toHaveLength(3000)
  next('/diff', 'half')
  await expect(collect(main.diff({ from: 'seq:0' }))).rejects.toMatchObject({ code: 'answer_cut' })
  expect(await collect(main.diff({ from: 'seq:0' }))).toHaveLength(3000)
  next('/car', 'half')
  await expect(bytesOf((await main.car()).stream)).rejects.toMatchObject({ code: 'answer_cut' })
  next('/diff', 'hang')
  const impatient = client({ timeoutMs: 200, retries: 0 })
  await expect(collect(impatient.diff({ from: 'seq:0' }))).rejects.toMatchObject({
    code: 'timeout',
  })
})

test('content that was changed on its way is refused', async () => {
  const { main, next } = await setup()
  const { tip } = await main.put('a', 'x'.repeat(1000))
  const large = Buffer.alloc(3_000_000, 'large')
  await main.put('b', large)
  next('/content', 'damage')
  await expect(main.content('a')).rejects.toMatchObject({ code: 'block_mismatch' })
  next('/content', 'damage')
  await expect(main.contentOf(tip ?? '')).rejects.toMatchObject({
    code: 'block_mismatch',
    details: { cid: tip },
  })
  next('/content', 'pass', 'pass', 'damage')
  const content = await main.content('b')
  if (content?.kind !== 'bytes') throw new Error('no bytes')
  await expect(bytesOf(content.bytes)).rejects.toMatchObject({ code: 'block_mismatch' })
})

test('a call ends with its signal, and with its deadline', async () => {
  const { main, next, client } = await setup()
  const stop = new AbortController()
  next(POST, 'hang')
  const call = main.put('a', 1, { signal: stop.signal })
  setTimeout(() => stop.abort(), 100)
  await expect(call).rejects.toMatchObject({ code: 'aborted' })
  next('/checkpoint', ...Array.from({ length: 50 }, (): Fate => 'lose'))
  const began = performance.now()
  const late = client({ deadlineMs: 500, retries: 1000 }).checkpoint()
  await expect(late).rejects.toMatchObject({ code: 'unreachable' })
  expect(performance.now() - began).toBeLessThan(1500)
})

test('a fetch that forgets its signal is not waited for', async () => {
  const { client, next } = await setup()
  const forgetful: typeof fetch = (url, init) => fetch(url, { ...init, signal: null })
  const main = client({ fetch: forgetful, timeoutMs: 200, retries: 0 })
  next('/checkpoint', 'hang')
  await expect(main.checkpoint()).rejects.toMatchObject({ code: 'timeout' })
  const stop = new AbortController()
  setTimeout(() => stop.abort(), 100)
  const following = main.changes({ signal: stop.signal }).next()
  await expect(following).rejects.toMatchObject({ code: 'aborted' })
})
