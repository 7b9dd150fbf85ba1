/** Content: put and read back, linked and complete, or refused. */
import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { parseContent } from '../../src/content/encode.ts'
import {
  CODEC_DAG_PB,
  cborBlock,
  printCid,
  rawCidOf,
  type Block,
  type CidBytes,
} from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { countingBackend } from '../helpers/counting-backend.ts'
import { damagedBackend } from '../helpers/damage.ts'
import { collect, expectRefused, newestCommit, openTest } from '../helpers/engine.ts'

const linked = { content: 'linked' } as const

async function read(dataset: Dataset, tip: CidBytes): Promise<unknown> {
  const content = await dataset.content(tip)
  return content.kind === 'value' ? content.value : Buffer.concat(await collect(content.bytes))
}

async function store(backend: Backend, blocks: readonly Block[]): Promise<void> {
  const staging = await backend.stage('main', 'test')
  await staging.put(blocks.map((block) => ({ ...block, hold: 'staged' })))
  await staging.flush()
  await staging.end('dropped')
}

const pattern = (size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255)

test('JSON comes back as it was put', async () => {
  const { dataset } = await openTest({ init: linked })
  const values = [{ b: [1, 2.5, -3, null, true, 'é'], a: {} }, [], 'text', 7, null, false]
  for (const [i, value] of values.entries()) {
    const put = await dataset.put(`v${i}`, value)
    expect(put).toMatchObject({ ver: 1, position: i, status: 'appended' })
    expect((await dataset.get(`v${i}`))?.tip).toEqual(put.tip)
    expect(await read(dataset, put.tip)).toEqual(value)
  }
})

test('links and bytes inside JSON survive, and what they link to must be there', async () => {
  const { dataset } = await openTest({ init: linked })
  const { tip } = await dataset.put('part', { n: 1 })
  const value = { part: CID.decode(tip), raw: Uint8Array.of(1, 2, 3) }
  const whole = await dataset.put('whole', value)
  expect(await read(dataset, whole.tip)).toEqual(value)
  const text = `{"part":{"/":"${printCid(tip)}"},"raw":{"/":{"bytes":"AQID"}}}`
  expect((await dataset.put('parsed', parseContent(text))).tip).toEqual(whole.tip)
})

test('values of one batch may link to each other', async () => {
  const { dataset } = await openTest({ init: linked })
  const inner = cborBlock(dagCbor.encode({ n: 1 }))
  const puts = await dataset.putBatch([
    { pi: 'outer', value: { inner: CID.decode(inner.cid) } },
    { pi: 'inner', value: { n: 1 } },
  ])
  expect(puts.map(({ position }) => position)).toEqual([0, 1])
  expect(puts[1]?.tip).toEqual(inner.cid)
})

test.each([0, 1, 1 << 20, (1 << 20) + 1, 3_500_000])(
  '%i bytes come back as they were put',
  async (size) => {
    const backend = countingBackend(openMemory())
    const { dataset } = await openTest({ backend, init: linked })
    const bytes = pattern(size)
    const { tip } = await dataset.put('file', bytes)
    expect(tip[1]).toBe(size <= 1 << 20 ? 0x55 : CODEC_DAG_PB)
    expect(Buffer.compare((await read(dataset, tip)) as Buffer, bytes)).toBe(0)
    for (const { content = [] } of backend.commits) {
      for (const block of content) expect(block.bytes.length).toBeLessThanOrEqual(1 << 20)
    }
  },
)

test('a stream of bytes is stored without being collected, and comes back', async () => {
  const { dataset } = await openTest({ init: linked })
  const parts = [pattern(900_000), pattern(5), pattern(1_400_000)]
  const { tip } = await dataset.put(
    'stream',
    (async function* () {
      yield* parts
    })(),
  )
  expect(Buffer.compare((await read(dataset, tip)) as Buffer, Buffer.concat(parts))).toBe(0)
})

test('content that does not fit is refused before anything is written', async () => {
  const { dataset, backend } = await openTest({ init: linked })
  await expectRefused(dataset.put('x', { text: 'x'.repeat(1 << 20) }), 'too_large')
  for (const value of [undefined, { a: undefined }, NaN, () => 1, { a: [Infinity] }, Symbol('s')]) {
    await expectRefused(dataset.put('x', value), 'invalid_content')
  }
  let deep: unknown = 1
  for (let i = 0; i < 1500; i++) deep = [deep]
  await expectRefused(dataset.put('x', deep), 'invalid_content')
  expect((await newestCommit(backend)).number).toBe(0)
})

test('a stream that fails leaves no entry behind', async () => {
  const { dataset, backend } = await openTest({ init: linked })
  const broken = async function* (): AsyncGenerator<Uint8Array> {
    yield pattern(2_000_000)
    throw new Error('the disk was pulled out')
  }
  await expect(dataset.put('x', broken())).rejects.toThrow('pulled out')
  expect((await newestCommit(backend)).number).toBe(0)
  expect(await dataset.put('x', 1)).toMatchObject({ position: 0 })
})

test('a linked tip whose content is missing is refused with the hint, at any depth', async () => {
  const { dataset, backend } = await openTest({ init: linked })
  const leaf: Block = { cid: rawCidOf(pattern(10)), bytes: pattern(10) }
  const middle = cborBlock(dagCbor.encode({ leaf: CID.decode(leaf.cid) }))
  const top = cborBlock(dagCbor.encode([CID.decode(middle.cid)]))
  for (const [missing, blocks] of [
    [top, []],
    [middle, [top]],
    [leaf, [middle]],
  ] as const) {
    await store(backend, blocks)
    const error = await expectRefused(dataset.append({ pi: 'x', tip: top.cid }), 'content_missing')
    expect(error.details['cid']).toBe(printCid(missing.cid))
    expect(error.hint).toContain('cairn put')
  }
  expect((await newestCommit(backend)).number).toBe(0)
  await store(backend, [leaf])
  expect(await dataset.append({ pi: 'x', tip: top.cid })).toMatchObject({ position: 0 })
})

test('one tip without content refuses its whole batch, and no other', async () => {
  const { dataset } = await openTest({ init: linked })
  const { tip } = await dataset.put('good', 1)
  const missing = rawCidOf(pattern(99))
  const outcomes = await Promise.allSettled([
    dataset.append({ pi: 'one', tip }),
    dataset.appendBatch([
      { pi: 'two', tip },
      { pi: 'three', tip: missing },
    ]),
    dataset.append({ pi: 'four', tip }),
  ])
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect((await dataset.list({ order: 'asc' })).items.map(({ pi }) => pi)).toEqual([
    'four',
    'good',
    'one',
  ])
})

test('content that an identity hash holds in the CID itself needs no store', async () => {
  const { dataset } = await openTest({ init: linked })
  const tip = Uint8Array.of(1, 0x55, 0, 3, 97, 98, 99)
  expect(await dataset.append({ pi: 'x', tip })).toMatchObject({ position: 0 })
  expect(String(await read(dataset, tip))).toBe('abc')
})

test('with external content tips are held and nothing is checked', async () => {
  const { dataset, backend } = await openTest()
  const tip = rawCidOf(pattern(123))
  await dataset.append({ pi: 'x', tip })
  await dataset.build()
  const { dataset: other } = await openTest({ backend })
  expect((await other.get('x'))?.tip).toEqual(tip)
  await expectRefused(read(dataset, tip), 'block_missing')
})

test('content of another codec or that does not decode is refused', async () => {
  const { dataset, backend } = await openTest({ init: linked })
  const garbage = cborBlock(Buffer.from('not cbor'))
  await store(backend, [garbage])
  await expectRefused(dataset.append({ pi: 'x', tip: garbage.cid }), 'invalid_content')
  const odd = cborBlock(dagCbor.encode(1))
  const gitRaw = Uint8Array.from([1, 0x78, ...odd.cid.subarray(2)])
  await store(backend, [odd])
  await expectRefused(dataset.append({ pi: 'x', tip: gitRaw }), 'invalid_content')
  expect((await newestCommit(backend)).number).toBe(0)
})

test('dag-pb that is no file is told from one', async () => {
  const { dataset, backend } = await openTest({ init: linked })
  const bytes = dagPb.encode(dagPb.prepare({ Data: Buffer.from('no unixfs'), Links: [] }))
  const cid = Uint8Array.from([1, CODEC_DAG_PB, ...cborBlock(bytes).cid.subarray(2)])
  await store(backend, [{ cid, bytes }])
  await dataset.append({ pi: 'x', tip: cid })
  await expectRefused(read(dataset, cid), 'invalid_content')
})

test('a file of which a part was lost or changed is an error that names the block', async () => {
  const memory = openMemory()
  const backend = damagedBackend(memory)
  const { dataset } = await openTest({ backend, init: linked })
  const bytes = pattern(2_500_000)
  const { tip } = await dataset.put('file', bytes)
  const part = rawCidOf(bytes.subarray(1 << 20, 2 << 20))
  backend.lose(part)
  expect((await expectRefused(read(dataset, tip), 'block_missing')).details['cid']).toBe(
    printCid(part),
  )
  await expectRefused(dataset.append({ pi: 'again', tip }), 'content_missing')
  backend.mend()
  backend.flip(part)
  expect((await expectRefused(read(dataset, tip), 'block_mismatch')).details['cid']).toBe(
    printCid(part),
  )
  backend.mend()
  expect(Buffer.compare((await read(dataset, tip)) as Buffer, bytes)).toBe(0)
})
