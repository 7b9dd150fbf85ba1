/** Files and sharded directories, against what other libraries make of them. */
import fc from 'fast-check'
import murmur from 'murmurhash3js-revisited'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { decodeContent } from '../../src/content/links.ts'
import { asked } from '../../src/gateway/ask.ts'
import { writeAskedCar } from '../../src/gateway/car-blocks.ts'
import { murmur3x64 } from '../../src/gateway/murmur3.ts'
import { resolvePath } from '../../src/gateway/resolve.ts'
import { unixFsOf } from '../../src/gateway/unixfs.ts'
import { CODEC_DAG_PB, cidParts, printCid, rawCidOf, type CidBytes } from '../../src/model/cid.ts'
import { encodePb } from '../helpers/dag-pb.ts'
import { readCar, storeBlocks, unixFs, type Dag, type ReadCar } from '../helpers/gateway.ts'

test('hashes are those of the reference', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70, size: 'max' }), (bytes) => {
      const expected = murmur.x64.hash128(bytes).slice(0, 16)
      expect(murmur3x64(bytes).toString(16).padStart(16, '0')).toBe(expected)
    }),
  )
})

async function carOf(
  dag: Dag,
  query: Record<string, string>,
  segments: readonly string[] = [],
): Promise<ReadCar> {
  const backend = openMemory()
  await storeBlocks(backend, dag.blocks)
  const found = await resolvePath(backend, { root: dag.root, segments, text: '' }, {})
  const what = asked({ format: 'car', ...query }, undefined)
  if (what.form !== 'car') throw new Error('no CAR')
  const parts: Uint8Array[] = []
  await writeAskedCar(backend, found, what, { write: (part) => void parts.push(part.slice()) }, {})
  return readCar(Buffer.concat(parts))
}

interface Piece {
  readonly cid: CidBytes
  readonly from: number
  readonly size: number
}

/** Every node of a file in depth-first order, with the bytes that are under it, from the leaves up. */
function piecesOf({ root, blocks }: Dag): Piece[] {
  const bytesOf = new Map(blocks.map(({ cid, bytes }) => [printCid(cid), bytes]))
  const visit = (cid: CidBytes, from: number): Piece[] => {
    const bytes = bytesOf.get(printCid(cid)) ?? new Uint8Array()
    if (cidParts(cid).codec !== CODEC_DAG_PB) return [{ cid, from, size: bytes.length }]
    const { Links } = decodeContent(cid, CODEC_DAG_PB, bytes) as {
      Links: { Hash: { bytes: Uint8Array } }[]
    }
    const below: Piece[] = []
    let size = 0
    for (const { Hash } of Links) {
      const pieces = visit(Hash.bytes, from + size)
      size += pieces[0]?.size ?? 0
      below.push(...pieces)
    }
    return [{ cid, from, size }, ...below]
  }
  return visit(root, 0)
}

const unique = (cids: readonly string[]): string[] => [...new Set(cids)]

test('a part of a file is the blocks that have bytes of it, and those above them', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 120 }),
      // Leaves of one byte make every end the end of something.
      fc.constantFrom(1, 1, 2, 5),
      fc.integer({ min: 2, max: 4 }),
      fc.integer({ min: -140, max: 119 }),
      fc.option(fc.integer({ min: -140, max: 140 })),
      // Few kinds of bytes make leaves and nodes that are the same at several places.
      fc.constantFrom(1, 2, 200),
      fc.boolean(),
      async (size, chunkSize, width, first, last, kinds, dups) => {
        const content = Uint8Array.from({ length: size }, (_, i) => Math.floor(i / 5) % kinds)
        const dag = await unixFs([{ content }], { chunkSize, width })
        const from = first < 0 ? Math.max(0, size + first) : Math.min(first, size - 1)
        const to = last === null ? size - 1 : Math.min(last < 0 ? size + last : last, size - 1)
        const query = {
          'entity-bytes': `${first < 0 ? first : from}:${last ?? '*'}`,
          'car-dups': dups ? 'y' : 'n',
        }
        const expected = piecesOf(dag)
          .filter(
            (one, i) => i === 0 || (one.from <= to && one.from + one.size > from && to >= from),
          )
          .map(({ cid }) => printCid(cid))
        const { cids } = await carOf(dag, query)
        expect(cids).toEqual(dups ? expected : unique(expected))
      },
    ),
    { numRuns: 120 },
  )
})

test('a part that begins beyond the end is refused; of no bytes there is the node alone', async () => {
  const dag = await unixFs([{ content: new Uint8Array(50) }], { chunkSize: 10 })
  await expect(carOf(dag, { 'entity-bytes': '50:*' })).rejects.toMatchObject({ code: 'usage' })
  expect((await carOf(dag, { 'entity-bytes': '7:6' })).cids).toEqual([printCid(dag.root)])
  const none = await unixFs([{ content: new Uint8Array() }])
  expect((await carOf(none, { 'entity-bytes': '0:*' })).cids).toEqual([printCid(none.root)])
})

test('of a node whose sizes are none of its links all is sent', async () => {
  const leaves = ['a', 'b'].map((text) => Buffer.from(text))
  const links = leaves.map((bytes) => ({ cid: rawCidOf(bytes), name: '' }))
  // The type of a file, and one size for two links.
  const root = encodePb(links, Buffer.from([0x08, 0x02, 0x20, 0x02]))
  const blocks = [root, ...leaves.map((bytes) => ({ cid: rawCidOf(bytes), bytes }))]
  const { cids } = await carOf({ root: root.cid, blocks }, { 'entity-bytes': '0:0' })
  expect(cids).toHaveLength(3)
})

test('names are found in sharded directories, by their shards alone', async () => {
  const names = Array.from({ length: 600 }, (_, i) => `näme ${i}.txt`)
  const files = names.map((path) => ({ path, content: Buffer.from(`in ${path}`) }))
  const dag = await unixFs(files, { sharded: true })
  const shards = dag.blocks.filter(({ cid }) => cidParts(cid).codec === CODEC_DAG_PB)
  expect(shards.length).toBeGreaterThan(20)
  for (const { path, content } of files.slice(0, 100)) {
    const { cids, roots } = await carOf(dag, {}, [path])
    expect(cids.at(-1)).toBe(printCid(rawCidOf(content)))
    expect(roots).toEqual(cids.slice(-1))
    expect(cids[0]).toBe(printCid(dag.root))
    expect(cids.length).toBeLessThan(6)
  }
  await expect(carOf(dag, {}, ['name 1.txt'])).rejects.toMatchObject({ code: 'not_found' })
  const listing = await carOf(dag, { 'dag-scope': 'entity' })
  const all = unique(shards.map(({ cid }) => printCid(cid)))
  expect(listing.cids.toSorted()).toEqual(all.toSorted())
  expect((await carOf(dag, {})).cids).toHaveLength(all.length + files.length)
})

test('a directory that is not sharded is its own listing', async () => {
  const files = ['a', 'b/c'].map((path) => ({ path, content: Buffer.from(path) }))
  const dag = await unixFs(files)
  expect((await carOf(dag, { 'dag-scope': 'entity' })).cids).toEqual([printCid(dag.root)])
  expect((await carOf(dag, {}, ['b', 'c'])).cids).toHaveLength(3)
  await expect(carOf(dag, {}, ['a', 'x'])).rejects.toMatchObject({ code: 'not_found' })
})

test('bytes under another codec are no node, and lead nowhere', () => {
  const target = rawCidOf(Buffer.from('secret'))
  const { cid, bytes } = encodePb([{ name: 'x', cid: target }], Buffer.from('0801', 'hex'))
  expect(unixFsOf(cid, bytes)).toMatchObject({ kind: 'directory', links: [{ name: 'x' }] })
  expect(unixFsOf(rawCidOf(bytes), bytes)).toMatchObject({ kind: 'other', links: [] })
})

test('data that is no UnixFS is none, whatever its bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (data) => {
      const { cid, bytes } = encodePb([], data)
      expect(['file', 'directory', 'shard', 'other']).toContain(unixFsOf(cid, bytes).kind)
    }),
  )
  // As large as nothing is; a fan-out that is no power of two.
  for (const data of ['0802', '08021880808080808080808001', '0805280030ff01', '08052822', '0f00'])
    expect(unixFsOf(...pb(data)).kind).toBe(data === '0802' ? 'file' : 'other')
})

function pb(data: string): [CidBytes, Uint8Array] {
  const { cid, bytes } = encodePb([], Buffer.from(data, 'hex'))
  return [cid, bytes]
}
