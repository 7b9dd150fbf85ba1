/** Who is given blocks: who may read all of the store; in public, anybody what kept snapshots reach. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { cborCidOf, printCid, rawCidOf } from '../../src/model/cid.ts'
import { createToken } from '../../src/service/access/token-file.ts'
import { blocksOf, damagedBackend } from '../helpers/damage.ts'
import { tempDir } from '../helpers/engine.ts'
import { storeBlocks } from '../helpers/gateway.ts'
import {
  getCar,
  linkTo,
  nameOf,
  openGatewayWorld,
  textBlock,
  valueBlock,
  type GatewayWorld,
} from '../helpers/gateway-world.ts'
import { expectProblem } from '../helpers/problem.ts'

const PUBLIC = { values: { gateway: 'public' } } as const

async function statusOf({ request }: GatewayWorld, cid: string, query = 'raw'): Promise<number> {
  return (await request('GET', `/ipfs/${cid}?format=${query}`)).status
}

test('switched off, the addresses are not there', async () => {
  const { request, root } = await openGatewayWorld({ values: { gateway: 'off' } })
  expectProblem(await request('GET', `/ipfs/${root}?format=raw`), 404, 'not_found')
  expectProblem(await request('GET', `/ipfs/${root}/a?format=car`), 404, 'not_found')
})

test('once there is a token, blocks are for who may read everything', async () => {
  const data_dir = await tempDir()
  const tokens_file = join(data_dir, 'tokens.json')
  const made = async (name: string, datasets?: string[]): Promise<Record<string, string>> => {
    const { token } = await createToken(tokens_file, { name, right: 'read', datasets })
    return { authorization: `Bearer ${token}` }
  }
  const [all, one] = [await made('all'), await made('one', ['main'])]
  const { request, root } = await openGatewayWorld({ values: { data_dir, tokens_file } })
  for (const path of [`/ipfs/${root}?format=raw`, `/ipfs/${root}/root?format=car`]) {
    expectProblem(await request('GET', path), 401, 'unauthenticated')
    expectProblem(await request('GET', path, undefined, one), 403, 'access_denied')
    const given = await request('GET', path, undefined, all)
    expect(given.status).toBe(200)
    expect(given.headers.get('cache-control')).toMatch(/^private,/)
  }
})

test('in public, what kept snapshots reach is given, with and without a token in the file', async () => {
  const data_dir = await tempDir()
  const tokens_file = join(data_dir, 'tokens.json')
  await createToken(tokens_file, { name: 'owner', right: 'admin', datasets: undefined })
  const world = await openGatewayWorld({ values: { gateway: 'public', data_dir, tokens_file } })
  expectProblem(await world.request('GET', '/v1/datasets'), 401, 'unauthenticated')
  const { cids } = await getCar(world, `${world.root}?format=car`)
  for (const cid of cids.slice(0, 40)) {
    const { status, headers } = await world.request('GET', `/ipfs/${cid}?format=raw`)
    expect([status, headers.get('cache-control')]).toEqual([
      200,
      'public, max-age=31536000, immutable',
    ])
  }
  expect(await statusOf(world, 'bafkqaaa')).toBe(200)
})

test('in public, nothing else of the store is given, nor told of', async () => {
  const world = await openGatewayWorld(PUBLIC)
  const { backend, service, request } = world
  const loose = textBlock('put and never named')
  // Bytes that a snapshot holds, and that under another codec would lead to others.
  const trap = valueBlock({ to: linkTo(loose) })
  await storeBlocks(backend, [loose, trap])
  const dataset = await service.dataset('main')
  await dataset.put('trap', trap.bytes)
  await dataset.build()
  await dataset.put('later', { secret: 'not in a snapshot' })
  const later = printCid((await dataset.get('later'))?.tip ?? new Uint8Array())
  const { chain } = await blocksOf(backend)
  expect(chain).not.toEqual([])
  const rawTrap = printCid(rawCidOf(trap.bytes))
  expect(await statusOf(world, rawTrap)).toBe(200)
  expect(printCid(cborCidOf(trap.bytes))).toBe(nameOf(trap))
  for (const cid of [nameOf(loose), nameOf(trap), later, ...chain.map(printCid)]) {
    expect([cid, await statusOf(world, cid)]).toEqual([cid, 404])
    expect([cid, await statusOf(world, cid, 'car')]).toEqual([cid, 404])
    expect([cid, await statusOf(world, `${cid}/to`, 'car')]).toEqual([cid, 404])
  }
  const absent = nameOf(textBlock('never stored'))
  const told = async (cid: string): Promise<string> => {
    const { json } = await request('GET', `/ipfs/${cid}?format=raw`)
    return (json as { detail: string }).detail.replace(cid, 'CID')
  }
  expect(await told(nameOf(loose))).toBe(await told(absent))
})

test('in public, a new snapshot is given at once, and one that was let go no more', async () => {
  const world = await openGatewayWorld(PUBLIC)
  const { service, root, backend } = world
  const dataset = await service.dataset('main')
  const { leaves } = await blocksOf(backend)
  const [leaf = new Uint8Array()] = leaves
  const [bytes = new Uint8Array()] = await backend.getBlocks([leaf])
  expect(await statusOf(world, printCid(leaf))).toBe(200)
  // Its first entity is of the first leaf.
  await dataset.put('item-0', { now: 'another' })
  await dataset.build()
  const tip = printCid((await dataset.get('item-0'))?.tip ?? new Uint8Array())
  expect(await statusOf(world, tip)).toBe(200)
  expect(await statusOf(world, printCid(leaf))).toBe(200)
  await dataset.prune({ policy: { last: 1 } })
  expect(await statusOf(world, root)).toBe(404)
  expect(await statusOf(world, tip)).toBe(200)
  // Also where the store has the block, for whatever reason.
  await storeBlocks(backend, [{ cid: leaf, bytes }])
  expect(await statusOf(world, printCid(leaf))).toBe(404)
})

test('in public, only so many requests of an address are answered', async () => {
  const world = await openGatewayWorld({ values: { gateway: 'public', rate_limit: 3 } })
  const statuses: number[] = []
  for (let i = 0; i < 8; i++) statuses.push(await statusOf(world, world.root))
  expect(statuses).toContain(200)
  expect(statuses).toContain(429)
})

test('in public, what cannot be read leads to nothing, and hides nothing else', async () => {
  const backend = damagedBackend(openMemory())
  const world = await openGatewayWorld({ ...PUBLIC, backend })
  const { leaves } = await blocksOf(backend)
  const { cids } = await getCar(world, `${world.root}?format=car`)
  const [first] = leaves.map(printCid)
  const under = cids[cids.indexOf(first ?? '') + 1] ?? ''
  backend.lose(leaves[0])
  expect(await statusOf(world, under)).toBe(404)
  expect(await statusOf(world, cids.at(-1) ?? '')).toBe(200)
  expect(await statusOf(world, world.root)).toBe(200)
})
