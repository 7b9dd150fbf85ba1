/** The gateway over HTTP: blocks and CARs that another library takes apart, and what is refused. */
import { decode } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { printCid } from '../../src/model/cid.ts'
import { encodePb } from '../helpers/dag-pb.ts'
import { storeBlocks, unixFs } from '../helpers/gateway.ts'
import {
  GATEWAY_ENTITIES,
  getCar,
  linkTo,
  nameOf,
  openGatewayWorld,
  textBlock,
  valueBlock,
} from '../helpers/gateway-world.ts'
import { expectProblem } from '../helpers/problem.ts'
import { startService, type TestService } from '../helpers/service.ts'

const RAW = 'application/vnd.ipld.raw'
const CAR = 'application/vnd.ipld.car'
/** The CIDs under a block, depth-first, as the reference finds them: each once. */
async function naive({ url }: TestService, root: string): Promise<string[]> {
  const found: string[] = []
  const links = (value: unknown): string[] => {
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return []
    const cid = CID.asCID(value)
    return cid === null ? Object.values(value).flatMap(links) : [cid.toString()]
  }
  const visit = async (cid: string): Promise<void> => {
    if (found.includes(cid)) return
    found.push(cid)
    if (cid.startsWith('bafkrei')) return
    const bytes = await (await fetch(`${url}/ipfs/${cid}?format=raw`)).arrayBuffer()
    for (const link of links(decode(new Uint8Array(bytes)))) await visit(link)
  }
  await visit(root)
  return found
}

test('a snapshot as a CAR has every block under it, in the order of its links', async () => {
  const world = await openGatewayWorld()
  const car = await getCar(world, `${world.root}?format=car`)
  expect(car.roots).toEqual([world.root])
  expect(car.cids).toEqual(await naive(world, world.root))
  expect(car.cids.length).toBeGreaterThan(GATEWAY_ENTITIES)
  const { headers } = await fetch(`${world.url}/ipfs/${world.root}?format=car`)
  expect(Object.fromEntries(headers)).toMatchObject({
    'content-type': `${CAR}; version=1; order=dfs; dups=n`,
    'content-disposition': `attachment; filename="${world.root}.car"`,
    'cache-control': 'public, max-age=31536000, immutable',
    'x-content-type-options': 'nosniff',
    'x-ipfs-path': `/ipfs/${world.root}`,
    'x-ipfs-roots': world.root,
    'accept-ranges': 'none',
    vary: 'Accept',
  })
  expect((await getCar(world, `${world.root}?format=car&dag-scope=block`)).cids).toEqual([
    world.root,
  ])
  expect((await getCar(world, `${world.root}?format=car&dag-scope=entity`)).cids).toEqual([
    world.root,
  ])
})

test('a block is the bytes that its CID names, whole or a part', async () => {
  const world = await openGatewayWorld()
  const { request, backend } = world
  const block = textBlock('the bytes of a block')
  const path = `/ipfs/${nameOf(block)}`
  await storeBlocks(backend, [block])
  for (const [query, accept] of [
    ['?format=raw', '*/*'],
    ['', RAW],
    ['?format=raw', CAR],
  ] as const) {
    const got = await request('GET', `${path}${query}`, undefined, { accept })
    expect([got.status, got.text]).toEqual([200, 'the bytes of a block'])
    expect(Object.fromEntries(got.headers)).toMatchObject({
      'content-type': RAW,
      'content-length': '20',
      'accept-ranges': 'bytes',
      etag: `"${nameOf(block)}.raw"`,
      'content-disposition': `attachment; filename="${nameOf(block)}.bin"`,
    })
    const location = got.headers.get('content-location')
    expect(location).toBe(accept === '*/*' ? null : `${path}?format=raw`)
  }
  const head = await request('HEAD', `${path}?format=raw`)
  expect([head.status, head.headers.get('content-length'), head.text]).toEqual([200, '20', ''])
  const part = await request('GET', `${path}?format=raw`, undefined, { range: 'bytes=4-8' })
  expect([part.status, part.text]).toEqual([206, 'bytes'])
  expect(part.headers.get('content-range')).toBe('bytes 4-8/20')
  const beyond = await request('GET', `${path}?format=raw`, undefined, { range: 'bytes=20-' })
  expectProblem(beyond, 416, 'range_impossible')
  const named = await request('GET', `${path}?format=raw&filename=${encodeURIComponent('"é".bin')}`)
  expect(named.headers.get('content-disposition')).toBe(
    `attachment; filename="___.bin"; filename*=UTF-8''%22%C3%A9%22.bin`,
  )
  expectProblem(await request('GET', `${path}/x?format=raw`), 400, 'usage')
})

test('who has it already is told so; each form has a tag of its own', async () => {
  const { request, root } = await openGatewayWorld()
  const forms = [
    '?format=raw',
    '?format=car',
    '?format=car&dag-scope=block',
    '?format=car&car-dups=y',
    '?format=car&entity-bytes=0:5',
    '/root?format=car',
  ]
  const tags: string[] = []
  for (const form of forms) {
    const tag = (await request('GET', `/ipfs/${root}${form}`)).headers.get('etag') ?? ''
    tags.push(tag)
    for (const method of ['GET', 'HEAD']) {
      const headers = { 'if-none-match': `"other", W/${tag}` }
      const again = await request(method, `/ipfs/${root}${form}`, undefined, headers)
      expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', tag])
    }
  }
  expect(new Set(tags).size).toBe(forms.length)
})

test('the probe is answered, though there is no such block', async () => {
  const world = await startService({ automation: false })
  const raw = await world.request('GET', '/ipfs/bafkqaaa?format=raw')
  expect([raw.status, raw.text, raw.headers.get('content-length')]).toEqual([200, '', '0'])
  expect((await world.request('HEAD', '/ipfs/bafkqaaa?format=raw')).status).toBe(200)
  expect(await getCar(world, 'bafkqaaa?format=car')).toMatchObject({
    roots: ['bafkqaaa'],
    cids: [],
  })
})

test('paths lead through values, lists and directories, and their blocks come first', async () => {
  const world = await openGatewayWorld()
  const { request, backend } = world
  const file = textBlock('a letter')
  const folder = encodePb([{ name: 'a b', cid: file.cid }], Buffer.from('0801', 'hex'))
  const inner = valueBlock({ folder: linkTo(folder), text: 'x' })
  const outer = valueBlock({ list: [0, { deep: linkTo(inner) }], own: linkTo(inner), text: 'y' })
  await storeBlocks(backend, [file, folder, inner, outer])
  const at = `${nameOf(outer)}/list/1/deep/folder/a%20b`
  const car = await getCar(world, `${at}?format=car`)
  expect(car.cids).toEqual([outer, inner, folder, file].map(nameOf))
  expect(car.roots).toEqual([nameOf(file)])
  const { headers } = await request('HEAD', `/ipfs/${at}?format=car`)
  expect(headers.get('x-ipfs-roots')).toBe([outer, inner, folder, file].map(nameOf).join())
  expect(headers.get('x-ipfs-path')).toBe(`/ipfs/${at}`)
  const children = await getCar(world, `${world.root}/root/children/1/5?format=car`)
  expect(children.cids.slice(0, 2)).toEqual((await naive(world, world.root)).slice(0, 2))

  const get = (path: string): ReturnType<typeof request> =>
    request('GET', `/ipfs/${nameOf(outer)}${path}?format=car`)
  for (const path of ['/none', '/list/2', '/list/01', '/own/text/x', '/list/length', '/__proto__'])
    expectProblem(await get(path), 404, 'not_found')
  for (const path of ['/text', '/list', '/own/text', '/list/1'])
    expectProblem(await get(path), 501, 'not_implemented')
  for (const path of ['/%ff', '/a%', '/a'.repeat(101)]) expectProblem(await get(path), 400, 'usage')
})

test('each block is sent once, or with dups each time it is met', async () => {
  const world = await openGatewayWorld()
  const leaf = textBlock('leaf')
  const middle = valueBlock([linkTo(leaf), linkTo(leaf)])
  const top = valueBlock([linkTo(middle), CID.parse('bafkqaaa'), linkTo(middle)])
  await storeBlocks(world.backend, [leaf, middle, top])
  const once = await getCar(world, `${nameOf(top)}?format=car`)
  expect(once.cids).toEqual([top, middle, leaf].map(nameOf))
  const each = await getCar(world, `${nameOf(top)}?format=car&car-dups=y`)
  expect(each.cids).toEqual([top, middle, leaf, leaf, middle, leaf, leaf].map(nameOf))
})

test('what nobody gives is refused with a sentence', async () => {
  const { request, root } = await openGatewayWorld()
  const get = (query: string, accept = '*/*'): ReturnType<typeof request> =>
    request('GET', `/ipfs/${root}${query}`, undefined, { accept })
  expectProblem(await get(''), 400, 'usage')
  expectProblem(await get('', 'text/html'), 406, 'not_acceptable')
  expectProblem(await get('?format=tar'), 406, 'not_acceptable')
  expectProblem(await get('?format=car', `${CAR};version=2`), 406, 'not_acceptable')
  for (const query of [
    'format=car&format=raw',
    'format=car&dag-scope=some',
    'format=car&entity-bytes=1',
    'format=car&entity-bytes=1:2:3',
    'format=car&car-version=2',
    'format=car&car-order=bfs',
    'format=car&car-dups=yes',
  ])
    expectProblem(await get(`?${query}`), 400, 'usage')
  // Clients of gateways send what they like beside it.
  const many = Array.from({ length: 500 }, (_, i) => `x${i}=${i}`).join('&')
  expect((await get(`?format=raw&download=true&${many}`)).status).toBe(200)
  expectProblem(await request('POST', `/ipfs/${root}`), 405, 'method_not_allowed')
  expectProblem(await request('PUT', `/ipfs/${root}/a/b`), 405, 'method_not_allowed')
  expectProblem(await request('GET', '/ipns/x?format=raw'), 404, 'not_found')
})

const LACKING = textBlock('never stored')

test('a CID that nothing here has is not found; what is none is refused', async () => {
  const { request, root } = await openGatewayWorld()
  for (const query of ['format=raw', 'format=car', 'format=car&dag-scope=block']) {
    for (const method of ['GET', 'HEAD'])
      expect((await request(method, `/ipfs/${nameOf(LACKING)}?${query}`)).status).toBe(404)
    expectProblem(await request('GET', `/ipfs/${nameOf(LACKING)}?${query}`), 404, 'not_found')
  }
  const cached = { 'cache-control': 'only-if-cached' }
  const absent = await request('GET', `/ipfs/${nameOf(LACKING)}?format=raw`, undefined, cached)
  expectProblem(absent, 412, 'precondition_failed')
  const there = await request('HEAD', `/ipfs/${root}?format=raw`, undefined, cached)
  expect(there.status).toBe(200)
  const blake = 'bafk2bzacea73ycjnxe2qov7cvnhx52lzfp6nf5jcblnfus6gqreh6ygganbws'
  expectProblem(await request('GET', `/ipfs/${blake}?format=raw`), 404, 'not_found')
  for (const cid of ['x', '%00', '%2e%2e%2f%2e%2e', `${root}x`, 'a'.repeat(900)])
    expectProblem(await request('GET', `/ipfs/${cid}?format=raw`), 400, 'usage')
})

test('a part of a file', async () => {
  const world = await openGatewayWorld()
  const content = Uint8Array.from({ length: 1000 }, (_, i) => i % 251)
  const file = await unixFs([{ content }], { chunkSize: 100 })
  await storeBlocks(world.backend, file.blocks)
  const at = `${printCid(file.root)}?format=car`
  const car = await getCar(world, `${at}&entity-bytes=150:-750`)
  const bytes = Buffer.concat(car.blocks.slice(1).map((block) => block.bytes))
  expect(bytes).toEqual(Buffer.from(content.subarray(100, 300)))
  expectProblem(await world.request('GET', `/ipfs/${at}&entity-bytes=1000:*`), 400, 'usage')
})
