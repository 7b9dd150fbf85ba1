/** Entries that come with their content's block: stored as their values would be, or refused. */
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { encodeJson, encodeRaw } from '../../src/content/encode.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { ImportEntry } from '../../src/engine/import-entry.ts'
import { printCid, rawCidOf, type Block, type CidBytes } from '../../src/model/cid.ts'
import { countingBackend, wrapBackend } from '../helpers/counting-backend.ts'
import { collect, expectRefused, newestCommit, openTest, START } from '../helpers/engine.ts'

const linked = { content: 'linked' } as const
const EXP = START + 60_000

async function read(dataset: Dataset, tip: CidBytes): Promise<unknown> {
  const content = await dataset.content(tip)
  return content.kind === 'value' ? content.value : Buffer.concat(await collect(content.bytes))
}

const large = (i: number): Uint8Array => new Uint8Array(700_000).fill(i)

test.each(['linked', 'external'] as const)(
  'a block is stored as its value would be, with %s content',
  async (content) => {
    const one = await openTest({ init: { content } })
    const other = await openTest({ init: { content } })
    const values = [{ b: [1, 2.5, 'é'] }, 'text', null, Uint8Array.of(1, 2, 3)]
    const blocks = values.map((value) =>
      value instanceof Uint8Array ? encodeRaw(value) : encodeJson(value),
    )
    const written = await one.dataset.writeBatch(
      blocks.map((block, i) => ({ pi: `v${i}`, block, exp: EXP, expectVer: 0 })),
    )
    const asValues = await other.dataset.writeBatch(
      values.map((value, i) => ({ pi: `v${i}`, value, exp: EXP, expectVer: 0 })),
    )
    // The blocks of the chain differ: each dataset has an identity.
    const told = (all: typeof written): unknown => all.map((one) => ({ ...one, block: null }))
    expect(told(written)).toEqual(told(asValues))
    for (const [i, value] of values.entries()) {
      const entry = await one.dataset.get(`v${i}`)
      expect(entry).toEqual(await other.dataset.get(`v${i}`))
      expect(entry).toMatchObject({ ver: 1, exp: EXP, tip: blocks[i]?.cid })
      expect(await read(one.dataset, entry?.tip ?? new Uint8Array())).toEqual(
        value instanceof Uint8Array ? Buffer.from(value) : value,
      )
    }
  },
)

test('a batch takes blocks, values, tips and deletions beside each other', async () => {
  const { dataset } = await openTest({ init: linked })
  await dataset.put('gone', 1)
  const inner = encodeJson({ n: 1 })
  const outer = encodeJson({ inner: CID.decode(inner.cid) })
  const written = await dataset.writeBatch([
    { pi: 'outer', block: outer },
    { pi: 'inner', block: inner },
    { pi: 'value', value: { n: 2 } },
    { pi: 'tip', tip: inner.cid },
    { pi: 'gone', tip: null },
  ])
  expect(written.map(({ tip }) => tip)).toEqual([
    outer.cid,
    inner.cid,
    encodeJson({ n: 2 }).cid,
    inner.cid,
    null,
  ])
  const again = await dataset.appendBatch([{ pi: 'outer', block: outer, ver: 1 }])
  expect(again).toMatchObject([{ status: 'already', ver: 1 }])
})

test('what links to nothing needs no proof; what may link, or is named by its CID, does', async () => {
  const inner = openMemory()
  const asked: string[] = []
  const backend = wrapBackend(inner, {
    sweeps: (options) => {
      asked.push('sweeps')
      return inner.sweeps(options)
    },
    getBlocks: (cids, options) => {
      asked.push(...cids.map(printCid))
      return inner.getBlocks(cids, options)
    },
  })
  const { dataset } = await openTest({ backend, init: linked })
  const there = encodeJson({ n: 1 })
  const askedFor = async (entry: ImportEntry): Promise<string[]> => {
    asked.length = 0
    await dataset.appendBatch([entry])
    return asked
  }
  expect(await askedFor({ pi: 'block', block: there })).toEqual([])
  expect(await askedFor({ pi: 'value', value: { n: 2 } })).toEqual([])
  expect(await askedFor({ pi: 'bytes', value: Uint8Array.of(1) })).toEqual([])
  const proof = ['sweeps', printCid(there.cid)]
  const { cid, bytes } = encodeJson({ there: CID.decode(there.cid) })
  expect(await askedFor({ pi: 'link', value: { there: CID.decode(there.cid) } })).toEqual(proof)
  expect(await askedFor({ pi: 'other block', block: { cid, bytes } })).toEqual(proof)
  const forged = Object.assign({ cid, bytes }, { isLeaf: true, isWhole: true })
  expect(await askedFor({ pi: 'forged', block: forged })).toEqual(proof)
  expect(await askedFor({ pi: 'tip', tip: there.cid })).toEqual(proof)
})

test('what a commit does not carry is staged before it', async () => {
  const backend = countingBackend(openMemory())
  const { dataset } = await openTest({ backend, init: linked })
  const blocks = Array.from({ length: 14 }, (_, i) => encodeRaw(large(i)))
  backend.staged = 0
  const written = await dataset.writeBatch(blocks.map((block, i) => ({ pi: `b${i}`, block })))
  expect(backend.commits.at(-1)?.content).toHaveLength(11)
  expect(backend.staged).toBe(3)
  for (const [i, { tip }] of written.entries()) {
    const bytes = (await read(dataset, tip ?? new Uint8Array())) as Buffer
    expect(Buffer.compare(bytes, large(i))).toBe(0)
  }
})

test('what was staged is looked for before the commit: a staging may end on the way', async () => {
  const inner = openMemory()
  const backend = wrapBackend(inner, {
    // The process slept for an hour, and somebody pruned.
    stage: async (dataset, label, options) => {
      const staging = await inner.stage(dataset, label, options)
      return { ...staging, put: async () => {} }
    },
  })
  const { dataset } = await openTest({ backend, init: linked })
  const batch = Array.from({ length: 14 }, (_, i) => ({ pi: `b${i}`, value: large(i) }))
  await expectRefused(dataset.putBatch(batch), 'content_missing')
  const blocks = batch.map(({ pi, value }) => ({ pi, block: encodeRaw(value) }))
  await expectRefused(dataset.writeBatch(blocks), 'content_missing')
  expect(await dataset.get('b0')).toBeUndefined()
})

test('a bulk load takes blocks, and looks at what they link to', async () => {
  const { dataset } = await openTest({ init: linked })
  const value = (i: number): unknown => ({ i, text: 'x'.repeat(i) })
  const source = Array.from({ length: 50 }, (_, i) => ({
    pi: `e${100 + i}`,
    block: encodeJson(value(i)),
  }))
  expect(await dataset.bulkLoad(source)).toMatchObject({ appended: 50 })
  const { items } = await dataset.list({ order: 'asc' })
  for (const [i, { tip }] of items.entries())
    expect(await read(dataset, tip ?? new Uint8Array())).toEqual(value(i))
  const dangling = encodeJson({ to: CID.decode(rawCidOf(large(1))) })
  await expectRefused(dataset.bulkLoad([{ pi: 'x', block: dangling }]), 'content_missing')
  await expectRefused(dataset.writeBatch([{ pi: 'x', block: dangling }]), 'content_missing')
})

const bad = (block: unknown): ImportEntry => ({ pi: 'x', block: block as Block })
const { cid, bytes } = encodeJson(1)

test.each([
  ['is not there', bad(undefined)],
  ['is null', bad(null)],
  ['is a text', bad('bafkqaaa')],
  ['has no bytes', bad({ cid })],
  ['has no CID', bad({ bytes })],
  ['has its CID as text', bad({ cid: 'bafkqaaa', bytes })],
  ['has a CID that is none', bad({ cid: Uint8Array.of(1, 2, 3), bytes })],
  ['belongs to a bad id', { pi: '', block: encodeJson(1) }],
  ['belongs to a bad version', { pi: 'x', ver: -1, block: encodeJson(1) }],
] as const)('a block that %s is refused, and nothing is stored', async (_, entry) => {
  const backend = countingBackend(openMemory())
  const { dataset } = await openTest({ backend })
  const before = await newestCommit(backend)
  const batch = [{ pi: 'fine', block: encodeJson('fine') }, entry]
  await expectRefused(dataset.writeBatch(batch), 'invalid_entry')
  await expectRefused(dataset.bulkLoad([entry]), 'invalid_entry')
  expect(backend.staged).toBe(0)
  expect(await dataset.get('fine')).toBeUndefined()
  expect((await newestCommit(backend)).snapshot).toEqual(before.snapshot)
})

test('a value that looks like a block is a value', async () => {
  const { dataset } = await openTest({ init: linked })
  const value = { block: { cid, bytes }, cid, bytes }
  const { tip } = await dataset.put('x', value)
  expect(tip).toEqual(encodeJson(value).cid)
  expect(await read(dataset, tip)).toEqual(value)
})
