/** What a replica elsewhere is given: the commit as it is, blocks as they are, and no more than its token allows. */
import { CarReader } from '@ipld/car'
import { expect, test } from 'vitest'
import { printCid } from '../../src/model/cid.ts'
import { decodeCommit } from '../../src/model/commit.ts'
import { createToken } from '../../src/service/access/token-file.ts'
import { tempDir } from '../helpers/engine.ts'
import { expectProblem } from '../helpers/problem.ts'
import { startService } from '../helpers/service.ts'

const MAIN = '/v1/datasets/main'
const NEWEST = `${MAIN}/commits/newest`
const BLOCKS = `${MAIN}/blocks`
const ABSENT = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

test('the newest commit comes as the store holds it, and once', async () => {
  const { url, request, service } = await startService()
  await (await service.dataset('main')).append({ pi: 'a', tip: ABSENT })
  const answer = await fetch(url + NEWEST)
  const { commit, cid } = decodeCommit(new Uint8Array(await answer.arrayBuffer()))
  expect(commit.next).toBe(1)
  expect(answer.headers.get('etag')).toBe(`"${printCid(cid)}"`)
  const known = { 'if-none-match': `"${printCid(cid)}"` }
  expect((await request('GET', NEWEST, undefined, known)).status).toBe(304)
  expectProblem(await request('GET', '/v1/datasets/none/commits/newest'), 404, 'dataset_not_found')
})

test('blocks come as a CAR, without those that are not there', async () => {
  const { url, request, service } = await startService({ init: { content: 'linked' } })
  const dataset = await service.dataset('main')
  const { tip, block } = await dataset.put('a', { large: 'x'.repeat(5000) })
  const { commit } = await dataset.pointer()
  const wanted = [tip, commit.snapshot, ...(block === null ? [] : [block])].map(printCid)
  const answer = await fetch(url + BLOCKS, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ cids: [...wanted, ABSENT] }),
  })
  expect(answer.headers.get('content-type')).toBe('application/vnd.ipld.car')
  const car = await CarReader.fromBytes(new Uint8Array(await answer.arrayBuffer()))
  const got: string[] = []
  for await (const { cid } of car.blocks()) got.push(cid.toString())
  expect(got).toEqual(wanted)
  for (const cids of [[], ['nonsense'], Array.from({ length: 513 }, () => ABSENT)])
    expect((await request('POST', BLOCKS, { cids })).status).toBe(400)
})

test('a damaged block is an error, and never sent', async () => {
  const { url, service } = await startService({ init: { content: 'linked' } })
  const { tip } = await (await service.dataset('main')).put('a', { n: 1 })
  await service.backend.heal([{ cid: tip, bytes: Buffer.from('rotten') }])
  const sent = fetch(url + BLOCKS, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ cids: [printCid(tip)] }),
  }).then(async (answer) => [answer.status, (await answer.text()).includes('rotten')])
  expect(await sent.catch(() => 'reset')).not.toEqual([200, true])
})

test('a token of one dataset gets no blocks of a store that has others', async () => {
  const file = `${await tempDir()}/tokens.json`
  const make = async (name: string, datasets?: string[]): Promise<Record<string, string>> => {
    const options = {
      name,
      right: 'read' as const,
      ...(datasets === undefined ? {} : { datasets }),
    }
    return { authorization: `Bearer ${(await createToken(file, options)).token}` }
  }
  const [all, mine] = [await make('all'), await make('mine', ['main'])]
  const { request, service } = await startService({ values: { tokens_file: file } })
  await service.cairn.init('other')
  const ask = { cids: [ABSENT] }
  expectProblem(await request('POST', BLOCKS, ask), 401, 'unauthenticated')
  expectProblem(await request('POST', BLOCKS, ask, mine), 403, 'access_denied')
  expect((await request('GET', NEWEST, undefined, mine)).status).toBe(200)
  expect((await request('POST', BLOCKS, ask, all)).status).toBe(200)
})
