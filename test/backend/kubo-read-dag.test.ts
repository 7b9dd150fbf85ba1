/** All blocks under a root as one stream: whole, and what it says when it is not. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { encode } from '@ipld/dag-cbor'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { carBlocks } from '../../src/backend/kubo/car-stream.ts'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { carChunks } from '../../src/car/encode.ts'
import { isCairnError } from '../../src/errors.ts'
import { cborBlock, cidMatches, printCid, rawCidOf, type Block } from '../../src/model/cid.ts'
import type { Backend, HeldBlock } from '../../src/store/backend.ts'
import { expectCode, fakeNodes, refusal } from '../helpers/fake-node.ts'
import { leaf, linking } from '../helpers/kubo-blocks.ts'
import { loseAllHolds } from '../helpers/kubo-holds.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'

let node: KuboNode
let backend: Backend
const nodes = fakeNodes()

beforeAll(async () => {
  node = await startKuboNode({ offline: true })
  backend = await openKubo({ url: node.url })
}, 60_000)
afterAll(async () => {
  await backend.close()
  await node.dispose()
})
afterEach(nodes.closeAll)

async function readAll(from: Backend, root: Uint8Array, signal?: AbortSignal): Promise<Block[]> {
  const blocks: Block[] = []
  for await (const batch of from.readDag?.(root, { signal }) ?? []) blocks.push(...batch)
  return blocks
}

const raw = (size: number): HeldBlock => {
  const bytes = randomBytes(size)
  return { cid: rawCidOf(bytes), bytes, hold: 'under' }
}

/** A DAG of two levels, with a block of each size; answers its root and all, depth-first. */
async function makeDag(sizes: readonly number[]): Promise<[HeldBlock, Block[]]> {
  const parents: HeldBlock[] = []
  const order: Block[] = []
  for (let at = 0; at < sizes.length; at += 100) {
    const children = sizes.slice(at, at + 100).map(raw)
    const parent = linking('under', ...children)
    parents.push(parent)
    order.push(parent, ...children)
  }
  const root = linking('deep', ...parents)
  const staging = await backend.stage('main', 'a test')
  await staging.put([...order.map((block): HeldBlock => ({ ...block, hold: 'under' })), root])
  await staging.flush()
  await staging.end('committed')
  return [root, [root, ...order]]
}

test('all blocks come, depth-first, each once, of every size', async () => {
  const sizes = [1, 127, 128, 16_000, 70_000, 1_048_576, ...Array<number>(900).fill(200)]
  const [root, expected] = await makeDag(sizes)
  const blocks = await readAll(backend, root.cid)
  expect(blocks.map(({ cid }) => printCid(cid))).toEqual(expected.map(({ cid }) => printCid(cid)))
  expect(blocks.every(({ cid, bytes }) => cidMatches(cid, bytes))).toBe(true)
})

test('a root or a block that the node lacks is named', async () => {
  await expect(readAll(backend, leaf().cid)).rejects.toMatchObject({ code: 'block_missing' })
  const [root, all] = await makeDag(Array<number>(300).fill(5_000))
  const gone = printCid((all.at(-50) as Block).cid)
  await loseAllHolds(node.url)
  await askNode(node.url, 'block/rm', { arg: gone })
  const seen: Block[] = []
  const reading = (async (): Promise<void> => {
    for await (const batch of backend.readDag?.(root.cid) ?? []) seen.push(...batch)
  })()
  const error: unknown = await reading.catch((reason: unknown) => reason)
  expect(isCairnError(error, 'block_missing') && error.details['cid']).toBe(gone)
  expect(seen.length).toBeGreaterThan(100)
})

test('who stops reading ends the request, and the node can be used on', async () => {
  const [root] = await makeDag(Array<number>(3_000).fill(2_000))
  for await (const batch of backend.readDag?.(root.cid) ?? []) {
    expect(batch.length).toBeGreaterThan(0)
    break
  }
  const abort = new AbortController()
  await expectCode(
    (async () => {
      for await (const _ of backend.readDag?.(root.cid, { signal: abort.signal }) ?? [])
        abort.abort()
    })(),
    'aborted',
  )
  expect(await backend.hasBlocks([root.cid])).toEqual([true])
})

const someCar = Buffer.concat(carChunks([rawCidOf(Buffer.from('x'))], [raw(500), raw(500)]))

test.each<[string, (response: http.ServerResponse) => void, string]>([
  [
    'cut off',
    (r) => void r.write(someCar.subarray(0, 700), () => r.destroy()),
    'backend_unavailable',
  ],
  ['an error at the end', (r) => endWith(r, someCar, 'a disk broke'), 'backend_refused'],
  ['half a block', (r) => void r.end(someCar.subarray(0, 700)), 'backend_refused'],
  ['no CAR', (r) => void r.end('<html>'), 'backend_refused'],
  ['nothing', (r) => void r.end(), 'backend_refused'],
  ['silence', (r) => void r.write(someCar.subarray(0, 700)), 'backend_timeout'],
  ['a refusal', (r) => refusal('context canceled')(undefined as never, r), 'backend_unavailable'],
])('an answer that is %s is an error', async (_what, answer, code) => {
  const url = await nodes.start((_request, response) => answer(response))
  const reader = await nodes.open(url, { deadlineMs: 200 })
  await expectCode(readAll(reader, rawCidOf(Buffer.from('x'))), code as 'backend_refused')
})

function endWith(response: http.ServerResponse, body: Buffer, error: string): void {
  response.writeHead(200, { trailer: 'X-Stream-Error' })
  response.write(body)
  response.addTrailers({ 'X-Stream-Error': error })
  response.end()
}

test('a taker that is slow makes the node wait, and is not taken for its silence', async () => {
  let sent = 0
  const big = Buffer.concat(
    carChunks(
      [rawCidOf(Buffer.from('x'))],
      Array.from({ length: 64 }, () => raw(1 << 20)),
    ),
  )
  const url = await nodes.start((_request, response) => {
    void (async (): Promise<void> => {
      for (let at = 0; at < big.length; at += 1 << 16) {
        sent = at
        if (!response.write(big.subarray(at, at + (1 << 16)))) await once(response, 'drain')
      }
      response.end()
    })()
  })
  const reader = await nodes.open(url, { deadlineMs: 300 })
  let count = 0
  for await (const batch of reader.readDag?.(rawCidOf(Buffer.from('x'))) ?? []) {
    if (count === 0) {
      await sleep(600)
      expect(sent).toBeLessThan(40 << 20)
    }
    count += batch.length
  }
  expect(count).toBe(64)
})

test('a CAR that comes in pieces of any size is the same CAR', async () => {
  const sizes = fc.array(fc.oneof(fc.nat(3), fc.nat(300), fc.constant(20_000)), { maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(
      sizes,
      fc.infiniteStream(fc.integer({ min: 1, max: 5_000 })),
      async (s, cuts) => {
        const blocks = s.map((size) =>
          size % 2 === 0 ? raw(size) : cborBlock(encode(randomBytes(size))),
        )
        const car = Buffer.concat(carChunks([CID.decode(rawCidOf(car0)).bytes], blocks))
        async function* pieces(): AsyncGenerator<Buffer> {
          for (let at = 0; at < car.length;) {
            const size = cuts.next().value as number
            yield car.subarray(at, (at += size))
          }
        }
        const read: Block[] = []
        for await (const batch of carBlocks(pieces())) read.push(...batch)
        expect(
          read.map(({ cid, bytes }) => [printCid(cid), Buffer.from(bytes).toString('hex')]),
        ).toEqual(
          blocks.map(({ cid, bytes }) => [printCid(cid), Buffer.from(bytes).toString('hex')]),
        )
      },
    ),
    { numRuns: 50 },
  )
})
const car0 = Buffer.from('root')
