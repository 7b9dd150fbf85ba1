/**
 * Writes the golden fixtures (fixtures/golden/*.json) and the examples of docs/FORMAT.md from the built
 * code, or with --check compares them and says what differs. fixtures/README.md has the recipes.
 *
 *   node scripts/golden.mjs [--check] [--dist DIR]
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'

const { values: args } = parseArgs({
  options: { check: { type: 'boolean', default: false }, dist: { type: 'string' } },
})
const root = fileURLToPath(new URL('..', import.meta.url))
const dist = pathToFileURL(`${resolve(args.dist ?? `${root}dist`)}/`)
const load = (path) => import(new URL(path, dist).href)

const { carChunks } = await load('car/encode.js')
const { cborCidOf, rawCidOf, printCid, cidKey } = await load('model/cid.js')
const { encodeChainBlock } = await load('model/chain-block.js')
const { encodeChainList, encodeCheckpoint } = await load('model/checkpoint.js')
const { encodeCommit } = await load('model/commit.js')
const { printCursor } = await load('model/cursor.js')
const { keyOf, idOfKey } = await load('model/entity-id.js')
const { writeEntry } = await load('model/entry.js')
const { encodeKeptPage, keep } = await load('model/kept.js')
const { decodeNode, encodeNode, writeChild, EMPTY_LEAF, EMPTY_LEAF_CID } =
  await load('model/node.js')
const { RunBuilder } = await load('model/run.js')
const { encodeSnapshot } = await load('model/snapshot.js')
const { belowThreshold, hashKey } = await load('tree/boundary.js')
const { mergeTree } = await load('tree/merge.js')
const { NodeStore } = await load('tree/node-store.js')

const T0 = 1_700_000_000_000
const DAY = 24 * 60 * 60 * 1000
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const tipOf = (text) => rawCidOf(Buffer.from(text))
const contentOf = (text) => ({ kind: 'content', cid: tipOf(text), bytes: Buffer.from(text) })

// ---------------------------------------------------------------------------------------------
// One of each record.

const samples = [
  { pi: '01JCAIRN0001', ver: 1, tip: tipOf('first'), ts: T0, exp: null },
  { pi: '01JCAIRN0002', ver: 3, tip: null, ts: T0 + 5000, exp: T0 + 5000 + 30 * DAY },
  { pi: 'musée/日本', ver: 70_000, tip: tipOf('non-ASCII'), ts: T0 + 1, exp: 0xffffffff },
]

const corners = [
  { pi: 'a', ver: 23, tip: null, ts: 0, exp: null },
  { pi: 'b'.repeat(23), ver: 24, tip: tipOf('v0').slice(2), ts: 23, exp: 24 },
  { pi: 'b'.repeat(24), ver: 255, tip: Uint8Array.from([1, 0x55, 0, 0]), ts: 255, exp: 256 },
  { pi: 'c'.repeat(255), ver: 256, tip: tipOf('c'), ts: 65_535, exp: 65_536 },
  { pi: 'c'.repeat(256), ver: 65_535, tip: tipOf('c'), ts: 0xffffffff, exp: 0x100000000 },
  {
    pi: 'd'.repeat(512),
    ver: Number.MAX_SAFE_INTEGER,
    tip: Uint8Array.from([1, 0x55, 0, 36, ...Buffer.alloc(36, 7)]),
    ts: Number.MAX_SAFE_INTEGER,
    exp: Number.MAX_SAFE_INTEGER,
  },
  {
    pi: '\u{ff5e}',
    ver: 65_536,
    tip: Uint8Array.from([1, 0xa9, 2, ...tipOf('j').slice(2)]),
    ts: 1,
    exp: 0,
  },
  {
    pi: '\u{1f600}',
    ver: 0xffffffff,
    tip: Uint8Array.from([1, 0x71, ...tipOf('k').slice(2)]),
    ts: 2,
    exp: 1,
  },
]

function encodeEntry(entry, content) {
  const to = Buffer.alloc(1000)
  return to.subarray(0, writeEntry(to, 0, entry, content))
}

function leafOf(entries, content) {
  const builder = new RunBuilder()
  for (const entry of entries) builder.push(entry, content)
  const run = builder.take()
  return encodeNode(0, run.count, run.bytes)
}

function branchOf(level, children) {
  const records = children.map((child) => {
    const to = Buffer.alloc(1000)
    return to.subarray(0, writeChild(to, 0, { ...child, last: keyOf(child.last) }))
  })
  return encodeNode(level, children.length, Buffer.concat(records))
}

function makeRecords() {
  const identity = 'bmvuwc3tqmfzgk5dpobqxezlsmu'
  const leaf = leafOf(samples, 'linked')
  const other = leafOf([{ ...samples[0], pi: 'z' }], 'linked')
  const children = [
    {
      last: 'musée/日本',
      count: 3,
      live: 2,
      bytes: leaf.length,
      exp: 0xffffffff,
      cid: cborCidOf(leaf),
    },
    { last: 'z', count: 1, live: 1, bytes: other.length, exp: null, cid: cborCidOf(other) },
  ]
  const branch = branchOf(1, children)
  const chain = {
    dataset: identity,
    ordinal: 0,
    first: 0,
    prev: null,
    back: [],
    ts: T0,
    entries: samples.slice(0, 2),
  }
  const first = encodeChainBlock(chain, 'linked')
  const second = {
    ...chain,
    ordinal: 1,
    first: 2,
    prev: cborCidOf(first),
    ts: T0 + 1,
    entries: samples.slice(2),
  }
  const back = Array.from({ length: 255 }, (_, n) => cborCidOf(Buffer.from(`block ${n + 1}`)))
  const far = {
    ...chain,
    ordinal: 256,
    first: 9000,
    prev: back[254],
    back,
    entries: samples.slice(0, 1),
  }
  const genesis = {
    dataset: identity,
    seq: 0,
    ts: T0,
    root: EMPTY_LEAF_CID,
    entries: 0,
    live: 0,
    chunkCount: 1,
    upto: 0,
    chunkSize: 10_000,
    content: 'linked',
    reason: 'init',
    tags: [],
    meta: {},
    prev: null,
    head: null,
  }
  const genesisBlock = encodeSnapshot(genesis)
  const snapshot = {
    ...genesis,
    seq: 1,
    ts: T0 + 60_000,
    root: cborCidOf(leaf),
    entries: 3,
    live: 2,
    upto: 3,
    reason: 'nightly',
    tags: ['v1', 'été'],
    meta: {
      initialized: true,
      nodes: 12,
      note: null,
      ratio: 0.5,
      rooms: ['hall', 'yard'],
      users: 3,
    },
    prev: genesisBlock.cid,
    head: cborCidOf(encodeChainBlock(second, 'linked')),
  }
  const snapshotBlock = encodeSnapshot(snapshot)
  const keptOf = (cid, { seq, ts, entries, live, reason, tags }) => ({
    cid,
    seq,
    ts,
    entries,
    live,
    reason,
    tags,
  })
  const page = keep(undefined, keptOf(genesisBlock.cid, genesis))
  const pageBlock = encodeKeptPage(page)
  const longer = encodeKeptPage(
    keep({ page, cid: pageBlock.cid }, keptOf(snapshotBlock.cid, snapshot)),
  )
  const turned = encodeKeptPage({
    older: longer.cid,
    snapshots: [keptOf(snapshotBlock.cid, snapshot)],
  })
  const commit = {
    number: 0,
    prev: null,
    ts: T0,
    writer: 'w-5f1c',
    reason: 'init',
    dataset: 'main',
    identity,
    origins: [],
    generation: { number: 1, tag: '00112233445566aa' },
    settings: { content: 'linked', chunkSize: 10_000, chainLimit: 10_000, deletedMs: 30 * DAY },
    snapshot: genesisBlock.cid,
    snapshotSeq: 0,
    snapshotTs: T0,
    snapshotCount: 0,
    head: null,
    base: null,
    recentCount: 0,
    chainFirst: 0,
    next: 0,
    nextOrdinal: 0,
    nextSeq: 1,
    floor: 0,
    oldest: 0,
    kept: pageBlock.cid,
    keptCount: 1,
    totalCount: 0,
    exclusive: null,
  }
  const firstCommit = encodeCommit(commit)
  const laterCommit = encodeCommit({
    ...commit,
    number: 1,
    prev: firstCommit.cid,
    ts: T0 + 70_000,
    reason: 'append',
    origins: ['bkrsxg5baon2g64tfnfzsaylsmu'],
    snapshot: snapshotBlock.cid,
    snapshotSeq: 1,
    snapshotTs: snapshot.ts,
    snapshotCount: 2,
    head: cborCidOf(encodeChainBlock(far, 'linked')),
    base: snapshot.head,
    recentCount: 1,
    chainFirst: 9000,
    next: 9001,
    nextOrdinal: 257,
    nextSeq: 2,
    oldest: 1,
    kept: longer.cid,
    keptCount: 2,
    totalCount: 3,
    exclusive: { owner: 'w-5f1c', reason: 'a bulk load', until: T0 + 3_600_000 },
  })
  // A snapshot without what has expired, and the state after one more append.
  const keptLeaf = leafOf(samples.slice(0, 2), 'linked')
  const later = { ...snapshot, root: cborCidOf(keptLeaf), entries: 2, live: 1 }
  const laterBlock = encodeSnapshot(later)
  const third = encodeChainBlock(
    {
      ...chain,
      ordinal: 2,
      first: 3,
      prev: later.head,
      ts: T0 + 65_000,
      entries: [{ pi: '01JCAIRN0003', ver: 1, tip: tipOf('third'), ts: T0 + 65_000, exp: null }],
    },
    'linked',
  )
  const [list] = encodeChainList([cborCidOf(third)])
  const { settings, generation } = commit
  const alone = {
    dataset: 'main',
    identity,
    origins: [],
    generation,
    settings,
    content: 'index',
    snapshot: laterBlock.cid,
    since: null,
    chain: null,
    base: later.head,
    recentCount: 0,
    chainFirst: 3,
    next: 3,
    nextOrdinal: 3,
    nextSeq: 2,
    totalCount: 1,
  }
  const withChain = { ...alone, chain: list.cid, recentCount: 1, next: 4, totalCount: 2 }
  const checkpoint = encodeCheckpoint({ ...withChain, content: 'full' })
  const delta = encodeCheckpoint({
    ...withChain,
    origins: ['bkrsxg5baon2g64tfnfzsaylsmu'],
    content: 'tips',
    since: genesisBlock.cid,
  })
  const carBlocks = [
    { kind: 'checkpoint', ...checkpoint },
    { kind: 'snapshot', ...laterBlock },
    { kind: 'leaf', cid: cborCidOf(keptLeaf), bytes: keptLeaf },
    contentOf('first'),
    { kind: 'chain list', ...list },
    { kind: 'chain', cid: cborCidOf(third), bytes: third },
    contentOf('third'),
  ]
  const manyCids = Array.from({ length: 10_001 }, (_, n) =>
    cborCidOf(Buffer.from(`block ${n + 1}`)),
  )
  const cborRecord = (kind, name, bytes) => ({
    kind,
    name,
    value: JSON.parse(Buffer.from(dagJson.encode(dagCbor.decode(bytes))).toString()),
    hex: hex(bytes),
    cid: printCid(cborCidOf(bytes)),
  })
  const entryRecord = (name, entry, content) => {
    const { cid: _, ...record } = cborRecord('entry', name, encodeEntry(entry, content))
    return record
  }
  const commitRecord = (name, { bytes, cid }) => ({
    kind: 'commit',
    name,
    value: JSON.parse(Buffer.from(bytes).toString()),
    hex: hex(bytes),
    cid: printCid(cid),
  })
  const carRecord = (name, roots, blocks) => ({
    kind: 'car',
    name,
    value: {
      roots: roots.map(printCid),
      blocks: blocks.map(({ kind, cid }) => [kind, printCid(cid)]),
    },
    hex: hex(Buffer.concat(carChunks(roots, blocks))),
  })
  const cursor = (name, value) => ({
    kind: 'cursor',
    name,
    value: { ...value, after: idOfKey(value.after) },
    text: printCursor(value),
  })
  return [
    entryRecord('entry', samples[0], 'linked'),
    entryRecord('entry, deleted', samples[1], 'linked'),
    entryRecord('entry, external', samples[0], 'external'),
    ...corners.map((entry, n) =>
      entryRecord(`entry, corner ${n}`, entry, n % 3 === 2 ? 'external' : 'linked'),
    ),
    cborRecord('chain', 'chain block', first),
    cborRecord('chain', 'chain block, the next', encodeChainBlock(second, 'linked')),
    cborRecord(
      'chain',
      'chain block, with a list of those before',
      encodeChainBlock(far, 'linked'),
    ),
    cborRecord(
      'chain',
      'chain block, external',
      encodeChainBlock({ ...chain, entries: samples }, 'external'),
    ),
    cborRecord('leaf', 'leaf', leaf),
    cborRecord('leaf', 'leaf, empty', EMPTY_LEAF),
    cborRecord('leaf', 'leaf, external', leafOf(samples, 'external')),
    cborRecord('leaf', 'leaf, corners', leafOf(corners, 'linked')),
    cborRecord('branch', 'branch', branch),
    cborRecord('branch', 'branch, level 23', branchOf(23, children)),
    cborRecord('snapshot', 'snapshot, genesis', genesisBlock.bytes),
    cborRecord('snapshot', 'snapshot', snapshotBlock.bytes),
    cborRecord('kept', 'kept list', pageBlock.bytes),
    cborRecord('kept', 'kept list, of two', longer.bytes),
    cborRecord('kept', 'kept list, second page', turned.bytes),
    commitRecord('commit, genesis', firstCommit),
    commitRecord('commit', laterCommit),
    cborRecord('checkpoint', 'checkpoint', checkpoint.bytes),
    cborRecord('checkpoint', 'checkpoint, without a chain', encodeCheckpoint(alone).bytes),
    cborRecord('checkpoint', 'checkpoint, of a delta', delta.bytes),
    cborRecord('chain list', 'chain list', list.bytes),
    cborRecord('chain list', 'chain list, of lists', encodeChainList(manyCids).at(-1).bytes),
    carRecord('car', [checkpoint.cid], carBlocks),
    cursor('cursor', { dataset: identity, descending: true, after: keyOf('musée/日本') }),
    cursor('cursor, ascending', { dataset: identity, descending: false, after: 'a' }),
  ]
}

// ---------------------------------------------------------------------------------------------
// Whole trees, of entries made by a recipe.

const RECIPES = {
  plain: {},
  external: {},
  deleted: {
    tip: (n, tip) => (n % 3 === 0 ? null : tip),
    exp: (n, ts) => (n % 3 === 0 ? ts + 30 * DAY : null),
  },
  expiring: { exp: (n, ts) => (n % 5 === 0 ? ts + 500 : null) },
  long: { id: (n) => plainId(n).padEnd(512, 'x') },
  'non-ASCII': { id: (n) => ['é', '日', '\u{1f600}', '\u{ff5e}', 'A'][n % 5] + plainId(n) },
  'no threshold': { id: (n) => idWithoutThreshold(n) },
}

const plainId = (n) => `E${String(n * 7).padStart(8, '0')}`

/** The plain id with the first of the suffixes 0, 1, 2... with which it ends no node of 64. */
function idWithoutThreshold(n) {
  for (let i = 0; ; i++) {
    const id = `${plainId(n)}.${i}`
    if (!belowThreshold(hashKey(id, 0), 64)) return id
  }
}

function recipeEntry(recipe, n) {
  const { id = plainId, tip = (_, same) => same, exp = () => null } = RECIPES[recipe]
  const pi = id(n)
  const ver = 1 + (n % 3)
  const ts = T0 + n * 1000
  return { pi, ver, tip: tip(n, tipOf(`${pi}@${ver}`)), ts, exp: exp(n, ts) }
}

const CASES = [
  ...[0, 1, 63, 64, 65, 1000, 20_000].flatMap((count) => [
    { recipe: 'plain', count, chunkSize: 64 },
    { recipe: 'plain', count, chunkSize: 10_000 },
  ]),
  { recipe: 'plain', count: 20_000, chunkSize: 256 },
  { recipe: 'external', count: 1000, chunkSize: 64 },
  { recipe: 'deleted', count: 1000, chunkSize: 64 },
  { recipe: 'expiring', count: 1000, chunkSize: 64 },
  { recipe: 'expiring', count: 1000, chunkSize: 64, at: T0 + 500_500 },
  { recipe: 'long', count: 3000, chunkSize: 10_000 },
  { recipe: 'long', count: 300, chunkSize: 64 },
  { recipe: 'non-ASCII', count: 1000, chunkSize: 64 },
  { recipe: 'no threshold', count: 64, chunkSize: 64 },
  { recipe: 'no threshold', count: 1000, chunkSize: 64 },
]

async function makeTree({ recipe, count, chunkSize, at = 0 }) {
  const blocks = new Map()
  const store = { getBlocks: async (cids) => cids.map((cid) => blocks.get(cidKey(cid))) }
  const sink = { put: async ({ child, block }) => void blocks.set(cidKey(child.cid), block) }
  const entries = Array.from({ length: count }, (_, n) => recipeEntry(recipe, n))
  entries.sort((a, b) => Buffer.compare(Buffer.from(a.pi), Buffer.from(b.pi)))
  async function* runs() {
    const builder = new RunBuilder()
    for (const entry of entries) builder.push(entry, recipe === 'external' ? 'external' : 'linked')
    yield builder.take()
  }
  const nodes = new NodeStore(store, 1 << 20)
  const tree = await mergeTree(
    { nodes, root: undefined, leafCount: 0, chunkSize, at, sink },
    runs(),
  )
  const levels = levelsOf(tree.root.cid, blocks)
  const all = levels.flat()
  const cids = Buffer.concat(all.map(({ cid }) => cid))
  return {
    recipe,
    count,
    chunk_size: chunkSize,
    at,
    root: printCid(tree.root.cid),
    entries: tree.root.count,
    live: tree.root.live,
    bytes: tree.root.bytes,
    least_exp: tree.root.exp,
    nodes_per_level: levels.map((level) => level.length),
    // Of the CIDs of all nodes, 36 bytes each, level by level from the leaves up.
    cids_sha256: createHash('sha256').update(cids).digest('hex'),
    ...(all.length <= 70
      ? { nodes: all.map(({ cid, count: records }) => [records, printCid(cid)]) }
      : {}),
    ...(count <= 65 ? { blocks: all.map(({ bytes }) => hex(bytes)) } : {}),
  }
}

/** The nodes of a tree, level by level from the leaves up. */
function levelsOf(rootCid, blocks) {
  const levels = []
  for (let cids = [rootCid]; cids.length > 0;) {
    const nodes = cids.map((cid) => ({ cid, ...decodeNode(blocks.get(cidKey(cid))) }))
    levels.unshift(nodes)
    cids = nodes.flatMap(({ children = [] }) => children.map(({ cid }) => cid))
  }
  return levels
}

// ---------------------------------------------------------------------------------------------
// Files.

/** JSON that Prettier leaves as it is: what fits on a line stands on one. */
function pretty(value, indent = '', before = 0) {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const list = Array.isArray(value)
  const parts = Object.entries(value).map(([key, one]) => [
    list ? '' : `${JSON.stringify(key)}: `,
    one,
  ])
  if (parts.length === 0) return list ? '[]' : '{}'
  const flat = parts.map(([key, one]) => key + pretty(one, '', -Infinity)).join(', ')
  const line = list ? `[${flat}]` : `{ ${flat} }`
  if (indent.length + before + line.length < 100) return line
  const inner = `${indent}  `
  const rows = parts.map(([key, one]) => inner + key + pretty(one, inner, key.length))
  return `${list ? '[' : '{'}\n${rows.join(',\n')}\n${indent}${list ? ']' : '}'}`
}

/** What docs/FORMAT.md shows of a record. */
function example(record) {
  const { kind, value, cid, text } = record
  const lines = ['```json', pretty(value), '```']
  if (kind === 'cursor') return [...lines, '', `Text: \`${text}\``].join('\n')
  const size = record.hex.length / 2
  if (size <= 200 && kind !== 'commit')
    lines.push('', '```text', record.hex.replace(/.{96}(?=.)/g, '$&\n'), '```')
  const bytes = `${size} bytes`
  return [...lines, '', cid === undefined ? `${bytes}.` : `${bytes}, CID \`${cid}\`.`].join('\n')
}

/** FORMAT.md with the examples between its marks `<!-- example: NAME -->` and `<!-- end -->`. */
function withExamples(document, records) {
  return document.replace(
    /(<!-- example: (.*?) -->\n)[^]*?(<!-- end -->)/g,
    (_, begin, name, end) => {
      const record = records.find((one) => one.name === name)
      if (record === undefined)
        throw new Error(`docs/FORMAT.md asks for the example "${name}", which is none.`)
      return `${begin}\n${example(record)}\n\n${end}`
    },
  )
}

const records = makeRecords()
const trees = []
for (const one of CASES) trees.push(await makeTree(one))
const lines = (rows) => `[\n${rows.map((row) => JSON.stringify(row)).join(',\n')}\n]\n`
const format = `${root}docs/FORMAT.md`
const files = new Map([
  [`${root}fixtures/golden/records.json`, lines(records)],
  [`${root}fixtures/golden/trees.json`, lines(trees)],
  [format, withExamples(readFileSync(format, 'utf8'), records)],
])

let different = 0
for (const [path, text] of files) {
  if (!args.check) {
    writeFileSync(path, text)
    continue
  }
  const stored = readFileSync(path, 'utf8').split('\n')
  const made = text.split('\n')
  const at = made.findIndex((line, n) => line !== stored[n])
  if (at < 0 && made.length === stored.length) continue
  different += 1
  process.stderr.write(
    `${path}, line ${at + 1}:\n  stored ${stored[at]?.slice(0, 300)}\n  made   ${made[at]?.slice(0, 300)}\n`,
  )
}
if (different > 0) {
  process.stderr.write(
    'The format changed: a new schema tag is due, or the code is wrong. See fixtures/README.md.\n',
  )
  process.exitCode = 1
} else {
  process.stdout.write(
    `${records.length} records and ${trees.length} trees ${args.check ? 'are as stored' : 'written'}\n`,
  )
}
