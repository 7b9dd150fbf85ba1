/** What could cost a gateway more than it gives: endless DAGs, damage, readers that do not read, odd addresses. */
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { writeAskedCar } from '../../src/gateway/car-blocks.ts'
import { printCid, rawCidOf, type Block } from '../../src/model/cid.ts'
import { countingBackend } from '../helpers/counting-backend.ts'
import { blocksOf, damagedBackend } from '../helpers/damage.ts'
import { storeBlocks, unixFs } from '../helpers/gateway.ts'
import {
  getCar,
  linkTo,
  nameOf,
  openGatewayWorld,
  textBlock,
  valueBlock,
} from '../helpers/gateway-world.ts'
import { expectProblem } from '../helpers/problem.ts'
import { rawRequest } from '../helpers/raw-http.ts'

/** Blocks with two links to the next: 2^60 ways lead to the last. */
function ladder(): Block[] {
  const blocks = [textBlock('the end')]
  for (let i = 0; i < 60; i++) {
    const link = linkTo(blocks[0] as Block)
    blocks.unshift(valueBlock([link, link]))
  }
  return blocks
}

test('a DAG with endless ways is sent once; with dups until nobody reads, or it is too much', async () => {
  const world = await openGatewayWorld()
  const { url, backend } = world
  const blocks = ladder()
  await storeBlocks(backend, blocks)
  const root = nameOf(blocks[0] as Block)
  expect((await getCar(world, `${root}?format=car`)).cids).toEqual(blocks.map(nameOf))
  const endless = await fetch(`${url}/ipfs/${root}?format=car&car-dups=y`)
  const reader = endless.body?.getReader()
  let read = 0
  while (read < 8 << 20) read += (await reader?.read())?.value?.length ?? 0
  await reader?.cancel()
  while (world.app.underWay().streams > 0) await delay(5)
  const [end] = blocks
  if (end === undefined) throw new Error('no block')
  const found = { way: [], end: end.cid, bytes: end.bytes, roots: [] }
  const what = { form: 'car', scope: 'all', bytes: undefined, dups: true } as const
  let sent = 0
  const sink = { write: (part: Uint8Array) => void (sent += part.length) }
  await expect(
    writeAskedCar(backend, found, what, sink, { mostWithDups: 50_000 }),
  ).rejects.toMatchObject({ code: 'too_large' })
  expect(sent).toBeGreaterThan(1 << 20)
})

test('to be told of a CAR costs a block, however large it is', async () => {
  const backend = countingBackend(openMemory())
  const { request, root } = await openGatewayWorld({ backend })
  backend.reads = 0
  const head = await request('HEAD', `/ipfs/${root}?format=car`)
  expect([head.status, head.text, head.headers.get('content-length')]).toEqual([200, '', null])
  expect(backend.reads).toBe(1)
  expect(await backend.leases()).toEqual([])
})

test('a block that is damaged or missing is never sent; what fails midway resets the connection', async () => {
  const backend = damagedBackend(openMemory())
  const world = await openGatewayWorld({ backend, bytes: 100_000 })
  const { url, request, root } = world
  const whole = await getCar(world, `${root}?format=car`)
  const last = whole.blocks.at(-1)?.cid
  for (const spoil of [() => backend.flip(last), () => backend.lose(last)]) {
    spoil()
    const late = await fetch(`${url}/ipfs/${root}?format=car`)
    expect(late.status).toBe(200)
    await expect(late.arrayBuffer()).rejects.toThrow()
    expect(await backend.leases()).toEqual([])
    backend.mend()
  }
  const { leaves } = await blocksOf(backend)
  backend.flip(leaves[0])
  expectProblem(await request('GET', `/ipfs/${root}?format=car`), 500, 'block_mismatch')
  const path = `/ipfs/${printCid(leaves[0] as Uint8Array)}?format=raw`
  expectProblem(await request('GET', path), 500, 'block_mismatch')
  backend.lose(leaves[0])
  expectProblem(await request('GET', `/ipfs/${root}?format=car`), 404, 'not_found')
})

test('a part of a file with a block that is damaged is not sent', async () => {
  const backend = damagedBackend(openMemory())
  const { request } = await openGatewayWorld({ backend })
  const content = Uint8Array.from({ length: 1000 }, (_, i) => i % 251)
  const file = await unixFs([{ content }], { chunkSize: 100 })
  await storeBlocks(backend, file.blocks)
  backend.flip(rawCidOf(content.subarray(300, 400)))
  const part = (bytes: string): ReturnType<typeof request> =>
    request('GET', `/ipfs/${printCid(file.root)}?format=car&entity-bytes=${bytes}`)
  for (const bytes of ['350:360', '250:450', '300:399', '0:*'])
    expectProblem(await part(bytes), 500, 'block_mismatch')
  expect((await part('0:299')).status).toBe(200)
})

test('a snapshot is held while it is sent, and no longer', async () => {
  const backend = openMemory()
  const { url, root, request } = await openGatewayWorld({ backend, bytes: 100_000 })
  const leases = async (): Promise<number> => (await backend.leases()).length
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.pause()
  socket.write(`GET /ipfs/${root}?format=car HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`)
  while ((await leases()) === 0) await delay(5)
  // It is under way as long as nobody reads on; others are answered meanwhile.
  expect((await request('GET', `/ipfs/${root}?format=raw`)).status).toBe(200)
  expect(JSON.parse((await backend.leases())[0] ?? '')).toMatchObject({ snapshots: [root] })
  socket.destroy()
  while ((await leases()) > 0) await delay(5)
})

test('only so many CARs are made at once', async () => {
  const { url, root, request, app } = await openGatewayWorld({ bytes: 100_000 })
  const sockets = Array.from({ length: 16 }, () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.pause()
    socket.write(`GET /ipfs/${root}?format=car HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`)
    return socket
  })
  while (app.underWay().streams < 16) await delay(5)
  const path = `/ipfs/${root}?format=car`
  let one = await request('GET', path)
  // The last ones may still be looking for their first block.
  while (one.status === 200) one = await request('GET', path)
  expectProblem(one, 503, 'overloaded')
  expect(one.headers.get('retry-after')).toBe('1')
  expect((await request('GET', `/ipfs/${root}?format=raw`)).status).toBe(200)
  for (const socket of sockets) socket.destroy()
  while (app.underWay().streams > 0) await delay(5)
  expect((await request('GET', path)).status).toBe(200)
})

test('addresses that no client makes of a URL', async () => {
  const { url, root } = await openGatewayWorld()
  const statusOf = async (address: string): Promise<number> => {
    const lines = [`GET ${address} HTTP/1.1`, 'Host: 127.0.0.1', 'Connection: close', '', '']
    return (await rawRequest(url, lines.join('\r\n'))).status
  }
  expect(await statusOf(`/ipfs/${root}/?format=car`)).toBe(200)
  for (const [path, status] of [
    ['/..', 400],
    ['/%2e%2e/%2e%2e/etc', 400],
    ['/a/./b', 400],
    ['/%', 400],
    [`/${'%41'.repeat(1300)}`, 404],
    [`/${'a'.repeat(4000)}`, 404],
    [`/${'a'.repeat(14_000)}`, 404],
    [`${'/a'.repeat(2000)}`, 400],
  ] as const)
    expect([path.slice(0, 20), await statusOf(`/ipfs/${root}${path}?format=car`)]).toEqual([
      path.slice(0, 20),
      status,
    ])
})
