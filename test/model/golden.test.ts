/**
 * The golden fixtures, the schema and the examples of FORMAT.md: bytes that must never change under
 * the same schema tag. fixtures/README.md says where they came from.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { CarReader } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import * as Block from 'multiformats/block'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { decodeChainBlock, encodeChainBlock } from '../../src/model/chain-block.ts'
import {
  decodeChainList,
  decodeCheckpoint,
  encodeChainList,
  encodeCheckpoint,
} from '../../src/model/checkpoint.ts'
import { cborCidOf, parseCid, printCid, rawCidOf } from '../../src/model/cid.ts'
import { decodeCommit, encodeCommit } from '../../src/model/commit.ts'
import { parseCursor, printCursor } from '../../src/model/cursor.ts'
import { idOfKey, keyOf } from '../../src/model/entity-id.ts'
import { readEntry, writeEntry } from '../../src/model/entry.ts'
import { decodeKeptPage, encodeKeptPage } from '../../src/model/kept.ts'
import { decodeNode, encodeNode, isLeaf, writeChild } from '../../src/model/node.ts'
import * as schemas from '../../src/model/schema.ts'
import { decodeSnapshot, encodeSnapshot } from '../../src/model/snapshot.ts'
import { seenIn } from '../../src/reach/met.ts'
import { blocksInMemory, localSource } from '../../src/reach/source.ts'
import { Walk } from '../../src/reach/walk.ts'
import { DigestMap } from '../../src/util/digest-map.ts'
import { builtDist } from '../helpers/built.ts'
import { tipOf } from '../helpers/entries.ts'
import { IpldSchema } from '../helpers/ipld-schema.ts'
import { cidOfText } from '../helpers/library.ts'
import { byId, naiveHash, NaiveBuilder, type NaiveEntry } from '../helpers/naive-tree.ts'

interface GoldenRecord {
  readonly kind: string
  readonly name: string
  readonly value: Readonly<Record<string, unknown>>
  readonly hex: string
  readonly cid: string
  readonly text: string
}

interface GoldenTree {
  readonly recipe: string
  readonly count: number
  readonly chunk_size: number
  readonly at: number
  readonly root: string
  readonly entries: number
  readonly live: number
  readonly bytes: number
  readonly least_exp: number | null
  readonly nodes_per_level: readonly number[]
  readonly cids_sha256: string
  readonly nodes?: readonly (readonly [number, string])[]
  readonly blocks?: readonly string[]
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string): string => readFileSync(root + path, 'utf8')
const records = JSON.parse(read('fixtures/golden/records.json')) as readonly GoldenRecord[]
const trees = JSON.parse(read('fixtures/golden/trees.json')) as readonly GoldenTree[]

const bytesOf = ({ hex }: GoldenRecord): Buffer => Buffer.from(hex, 'hex')
/** Records that are more than one DAG-CBOR or JSON value, or none at all. */
const isRecord = ({ kind }: GoldenRecord): boolean => kind !== 'cursor' && kind !== 'car'
const isExternal = (value: unknown): boolean => JSON.stringify(value).includes('external')

/** Decodes a golden record and encodes it again. */
function again({ kind, name, hex }: GoldenRecord): Uint8Array {
  const bytes = Buffer.from(hex, 'hex')
  const content = name.includes('external') ? 'external' : 'linked'
  switch (kind) {
    case 'entry':
      return entryAgain(bytes)
    case 'chain':
      return encodeChainBlock(decodeChainBlock(bytes), content)
    case 'leaf':
    case 'branch':
      return nodeAgain(bytes)
    case 'snapshot':
      return encodeSnapshot(decodeSnapshot(bytes)).bytes
    case 'kept':
      return encodeKeptPage(decodeKeptPage(bytes)).bytes
    case 'commit':
      return encodeCommit(decodeCommit(bytes).commit).bytes
    case 'checkpoint':
      return encodeCheckpoint(decodeCheckpoint(bytes)).bytes
    case 'chain list':
      return chainListAgain(bytes)
    default:
      throw new Error(`a golden record of an unknown kind: ${kind}`)
  }
}

/** A tip of a golden entry is a Link unless its bytes say otherwise: tag 42 does not occur by chance. */
function entryAgain(bytes: Buffer): Uint8Array {
  const to = Buffer.alloc(1000)
  const content = bytes.includes(Buffer.from([0xd8, 0x2a])) ? 'linked' : 'external'
  return to.subarray(0, writeEntry(to, 0, readEntry(bytes, 0), content))
}

function nodeAgain(bytes: Buffer): Uint8Array {
  const node = decodeNode(bytes)
  const rows = Array.from({ length: node.count }, (_, i) =>
    node.bytes.subarray(node.starts[i], node.starts[i + 1]),
  )
  if (isLeaf(node)) return encodeNode(0, node.count, Buffer.concat(rows.map(entryAgain)))
  const children = node.children.map((child) => {
    const to = Buffer.alloc(1000)
    return to.subarray(0, writeChild(to, 0, child))
  })
  return encodeNode(node.level, node.count, Buffer.concat(children))
}

/** That of lists names those of 10,001 blocks, "block 1" and on. */
function chainListAgain(bytes: Buffer): Uint8Array {
  const { level, links } = decodeChainList(bytes)
  const many = Array.from({ length: 10_001 }, (_, n) => cidOfText(`block ${n + 1}`))
  const blocks = encodeChainList(level === 0 ? links : many)
  if (level > 0) expect(blocks.slice(0, -1).map(({ cid }) => cid)).toEqual(links)
  return blocks.at(-1)?.bytes ?? new Uint8Array()
}

test('the golden records decode, and encode to the very same bytes', () => {
  expect(new Set(records.map(({ kind }) => kind))).toEqual(
    new Set([
      'entry',
      'chain',
      'leaf',
      'branch',
      'snapshot',
      'kept',
      'commit',
      'cursor',
      'checkpoint',
      'chain list',
      'car',
    ]),
  )
  for (const record of records.filter(isRecord)) {
    expect(Buffer.from(again(record)).toString('hex')).toBe(record.hex)
  }
})

test('the golden records are what the libraries make of their values', () => {
  for (const record of records.filter(isRecord)) {
    const bytes = bytesOf(record)
    if (record.kind === 'commit') {
      expect(JSON.parse(bytes.toString())).toEqual(record.value)
      expect(printCid(rawCidOf(bytes))).toBe(record.cid)
      continue
    }
    const value: unknown = dagJson.decode(Buffer.from(JSON.stringify(record.value)))
    expect(Buffer.from(dagCbor.encode(value)).toString('hex')).toBe(record.hex)
    if (record.kind !== 'entry') expect(printCid(cborCidOf(bytes))).toBe(record.cid)
  }
})

test('the golden cursors are still good', () => {
  for (const { value, text } of records.filter(({ kind }) => kind === 'cursor')) {
    const { dataset, descending, after } = value as {
      dataset: string
      descending: boolean
      after: string
    }
    const cursor = parseCursor(text, dataset, descending)
    expect(idOfKey(cursor.after)).toBe(after)
    expect(printCursor({ dataset, descending, after: keyOf(after) })).toBe(text)
  }
})

interface CarValue {
  readonly roots: readonly string[]
  readonly blocks: readonly (readonly [kind: string, cid: string])[]
}

/** The blocks that links lead to, depth-first, each where it is met first: by the library alone. */
function depthFirst(cid: CID, blocks: ReadonlyMap<string, Uint8Array>, found: string[]): string[] {
  const text = cid.toString()
  const bytes = blocks.get(text)
  if (found.includes(text) || bytes === undefined) return found
  found.push(text)
  if (cid.code === dagCbor.code)
    for (const [, link] of Block.createUnsafe({ bytes, cid, codec: dagCbor }).links())
      depthFirst(link, blocks, found)
  return found
}

test('the golden CAR is one, in the order of its links, and all that its checkpoint reaches', async () => {
  const cars = records.filter(({ kind }) => kind === 'car')
  expect(cars).toHaveLength(1)
  for (const car of cars) {
    const { roots, blocks } = car.value as unknown as CarValue
    const reader = await CarReader.fromBytes(bytesOf(car))
    expect((await reader.getRoots()).map(String)).toEqual(roots)
    const read: { cid: Uint8Array; bytes: Uint8Array }[] = []
    for await (const { cid, bytes } of reader.blocks()) read.push({ cid: cid.bytes, bytes })
    expect(read.map(({ cid }) => printCid(cid))).toEqual(blocks.map(([, cid]) => cid))
    const byText = new Map(read.map(({ cid, bytes }) => [printCid(cid), bytes]))
    expect(roots.flatMap((text) => depthFirst(CID.parse(text), byText, []))).toEqual([
      ...byText.keys(),
    ])
    expect(await walked(roots[0] ?? '', read)).toEqual(blocks)
  }
})

/** What the engine's walk meets under a checkpoint, with the trees built anew. */
async function walked(
  text: string,
  blocks: readonly { cid: Uint8Array; bytes: Uint8Array }[],
): Promise<(readonly [string, string])[]> {
  const met: (readonly [string, string])[] = []
  const seen = new DigestMap()
  const walk = new Walk({
    source: localSource([blocksInMemory(blocks)]),
    seen: seenIn(seen),
    content: 'full',
    rebuild: true,
    visitor: {
      block: ({ kind, cid }) => void met.push([kind, printCid(cid)]),
      problem: (error) => {
        throw error
      },
    },
  })
  await walk.checkpoint(parseCid(text))
  seen.close()
  return met
}

const T0 = 1_700_000_000_000
const DAY = 86_400_000

/** The recipes of fixtures/README.md, written down a second time. */
function recipeEntry(recipe: string, n: number): NaiveEntry {
  const plain = `E${String(7 * n).padStart(8, '0')}`
  const ver = 1 + (n % 3)
  const ts = T0 + 1000 * n
  const make = (pi: string, fields: Partial<NaiveEntry> = {}): NaiveEntry => ({
    pi,
    ver,
    tip: tipOf(`${pi}@${ver}`),
    ts,
    exp: null,
    ...fields,
  })
  switch (recipe) {
    case 'deleted':
      return n % 3 === 0 ? make(plain, { tip: null, exp: ts + 30 * DAY }) : make(plain)
    case 'expiring':
      return n % 5 === 0 ? make(plain, { exp: ts + 500 }) : make(plain)
    case 'long':
      return make(plain.padEnd(512, 'x'))
    case 'non-ASCII':
      return make((['é', '日', '\u{1f600}', '\u{ff5e}', 'A'][n % 5] ?? '') + plain)
    case 'no threshold': {
      let i = 0
      while (naiveHash(Buffer.from(`${plain}.${i}`), 0) * 64 < 2 ** 34) i += 1
      return make(`${plain}.${i}`)
    }
    default:
      return make(plain)
  }
}

test('the golden trees are what a naive build makes of their recipes', () => {
  for (const golden of trees) {
    const entries = Array.from({ length: golden.count }, (_, n) => recipeEntry(golden.recipe, n))
      .filter(({ exp }) => exp === null || exp > golden.at)
      .sort(byId)
    const builder = new NaiveBuilder(
      golden.chunk_size,
      isExternal(golden.recipe) ? 'external' : 'linked',
    )
    const tree = builder.build(entries)
    const all = tree.levels.flat()
    expect({ ...golden, nodes: undefined, blocks: undefined }).toEqual({
      recipe: golden.recipe,
      count: golden.count,
      chunk_size: golden.chunk_size,
      at: golden.at,
      root: tree.root.cid.toString(),
      entries: tree.root.count,
      live: tree.root.live,
      bytes: tree.root.bytes,
      least_exp: tree.root.exp,
      nodes_per_level: tree.levels.map((level) => level.length),
      cids_sha256: createHash('sha256')
        .update(Buffer.concat(all.map(({ cid }) => cid.bytes)))
        .digest('hex'),
    })
    const { nodes = [], blocks = [] } = golden
    if (nodes.length > 0)
      expect(nodes.map(([, cid]) => cid)).toEqual(all.map(({ cid }) => cid.toString()))
    if (blocks.length > 0)
      expect(blocks).toEqual(all.map(({ block }) => Buffer.from(block).toString('hex')))
  }
})

test('the golden files and the examples of FORMAT.md are what the script makes today', async () => {
  const script = fileURLToPath(new URL('../../scripts/golden.mjs', import.meta.url))
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, [script, '--check', '--dist', await builtDist()])
  expect(stdout).toContain('are as stored')
})

const schema = new IpldSchema(read('docs/schema.ipldsch'))
const TYPES: Readonly<Record<string, string>> = {
  entry: 'Entry',
  chain: 'ChainBlock',
  leaf: 'Leaf',
  branch: 'Branch',
  snapshot: 'Snapshot',
  kept: 'KeptPage',
  commit: 'Commit',
  checkpoint: 'Checkpoint',
  'chain list': 'ChainList',
}

const decoded = (record: GoldenRecord): unknown =>
  record.kind === 'commit' ? record.value : dagCbor.decode(bytesOf(record))

test('every golden record is what the schema says of its type', () => {
  for (const record of records.filter(isRecord)) {
    expect([record.name, schema.problem(TYPES[record.kind] ?? '', decoded(record))]).toEqual([
      record.name,
      undefined,
    ])
  }
  const blocks = trees
    .flatMap((tree) => tree.blocks ?? [])
    .map((hex) => dagCbor.decode<{ level: number }>(Buffer.from(hex, 'hex')))
  for (const block of blocks) {
    expect(schema.problem(block.level === 0 ? 'Leaf' : 'Branch', block)).toBeUndefined()
  }
})

test('the schema refuses a record with a field too few, too many or of another kind', () => {
  for (const record of records.filter(isRecord)) {
    const type = TYPES[record.kind] ?? ''
    const value = decoded(record)
    if (Array.isArray(value)) {
      expect(schema.problem(type, value.slice(1))).toBeDefined()
      expect(schema.problem(type, [...(value as unknown[]), 1])).toBeDefined()
      expect(schema.problem(type, value.with(0, 7))).toBeDefined()
      continue
    }
    const map = value as Record<string, unknown>
    expect(schema.problem(type, { ...map, more: 1 })).toContain('more')
    for (const [field, right] of Object.entries(map)) {
      const { [field]: _, ...others } = map
      expect(schema.problem(type, others)).toContain(field)
      const wrong = typeof right === 'string' ? 7 : 'text'
      const texts = record.kind === 'commit' && right === null && field !== 'exclusive'
      if (!texts) expect(schema.problem(type, { ...map, [field]: wrong })).toContain(field)
    }
    for (const field of ['generation', 'settings'].filter((name) => name in map)) {
      const inner = { ...(map[field] as object), more: 1 }
      expect(schema.problem(type, { ...map, [field]: inner })).toContain(`${field}.more`)
    }
  }
})

test('the schema has just the tags that the code has, and FORMAT.md names each of them', () => {
  const tags = Object.values(schemas)
  const inSchema = [...read('docs/schema.ipldsch').matchAll(/"(cairn\/[^"]+)"/g)].map(
    ([, tag]) => tag,
  )
  expect(new Set(inSchema)).toEqual(new Set(tags))
  const format = read('docs/FORMAT.md')
  for (const tag of tags) expect(format).toContain(`\`${tag}\``)
})

test('FORMAT.md names every field of every record of the schema', () => {
  const format = read('docs/FORMAT.md')
  const fields = [...read('docs/schema.ipldsch').matchAll(/^ {2}(\w+) +(?!\()[\w[{&]/gm)].map(
    ([, field]) => field ?? '',
  )
  expect(fields.length).toBeGreaterThan(60)
  expect(fields.filter((field) => !format.includes(`\`${field}\``))).toEqual([])
})
