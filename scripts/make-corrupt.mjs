/**
 * Writes fixtures/corrupt: CARs with one defect each, named after it, and expected.json, which says what a
 * restore and a verification must answer. Made from the built code, the same bytes every time.
 *
 *   node scripts/make-corrupt.mjs [--dist DIR] [--out DIR]
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import * as dagCbor from '@ipld/dag-cbor'

const { values: args } = parseArgs({
  options: { dist: { type: 'string' }, out: { type: 'string' } },
})
const root = fileURLToPath(new URL('..', import.meta.url))
const dist = pathToFileURL(`${resolve(args.dist ?? `${root}dist`)}/`)
const load = (path) => import(new URL(path, dist).href)

const { carHeader, sectionHead, varint } = await load('car/encode.js')
const { encodeChainBlock } = await load('model/chain-block.js')
const { encodeChainList, encodeCheckpoint } = await load('model/checkpoint.js')
const { cborCidOf, cidKey } = await load('model/cid.js')
const { keyOf } = await load('model/entity-id.js')
const { decodeNode, encodeNode, writeChild } = await load('model/node.js')
const { readEntry } = await load('model/entry.js')
const { RunBuilder } = await load('model/run.js')
const { encodeSnapshot } = await load('model/snapshot.js')
const { mergeTree } = await load('tree/merge.js')
const { NodeStore } = await load('tree/node-store.js')

const T0 = 1_700_000_000_000
const IDENTITY = 'bcorruptfixturesaaaaaaaaaa'
const OTHER_IDENTITY = 'bsomebodyelsesaaaaaaaaaaaa'

// ---------------------------------------------------------------------------------------------
// A sound state: a tree of two leaves, a chain of three blocks, one content of two blocks for all.

const cbor = (value) => {
  const bytes = dagCbor.encode(value)
  return { cid: cborCidOf(bytes), bytes }
}
const linkTo = ({ cid }) => dagCbor.decode(Buffer.concat([Buffer.from('d82a582500', 'hex'), cid]))

const LOWER = cbor({ what: 'the lower block of the content' })
const CONTENT = cbor({ what: 'the content of all', lower: linkTo(LOWER) })

/** With it the rule cuts the entries into two leaves. */
const PREFIX = 'a'
const COUNT = 66

const entry = (i, change = {}) => ({
  pi: `${PREFIX}${String(i).padStart(3, '0')}`,
  ver: 1,
  tip: CONTENT.cid,
  ts: T0 + i,
  exp: null,
  ...change,
})
const ENTRIES = Array.from({ length: COUNT }, (_, i) => entry(i))

/** The entries leaf by leaf, cut by the rule. */
async function cutLeaves(entries) {
  const leaves = []
  const sink = {
    put: async ({ level, block }) => {
      if (level !== 0) return
      const { bytes, starts, count } = decodeNode(block)
      leaves.push(Array.from({ length: count }, (_, i) => readEntry(bytes, starts[i])))
    },
  }
  const nodes = new NodeStore({ getBlocks: async (cids) => cids.map(() => undefined) }, 0)
  const run = runOf(entries)
  await mergeTree({ nodes, root: undefined, leafCount: 0, chunkSize: 64, at: T0, sink }, only(run))
  return leaves
}

async function* only(run) {
  yield run
}

function runOf(entries, content = 'linked') {
  const builder = new RunBuilder()
  for (const one of entries) builder.push(one, content)
  return builder.take()
}

function leafNode(entries, content) {
  const bytes = encodeNode(0, entries.length, runOf(entries, content).bytes)
  return nodeOf(bytes, 0, {
    last: entries.at(-1).pi,
    count: entries.length,
    live: entries.filter(({ tip }) => tip !== null).length,
    bytes: bytes.length,
    exp: leastOf(entries.map(({ exp }) => exp)),
  })
}

function branchNode(level, children) {
  const records = Buffer.alloc(children.length * 700)
  let at = 0
  for (const { child } of children) at = writeChild(records, at, child)
  const bytes = encodeNode(level, children.length, records.subarray(0, at))
  const sum = (field) => children.reduce((total, { child }) => total + child[field], 0)
  return nodeOf(bytes, level, {
    last: children.at(-1).child.last,
    count: sum('count'),
    live: sum('live'),
    bytes: sum('bytes') + bytes.length,
    exp: leastOf(children.map(({ child }) => child.exp)),
  })
}

function leastOf(expiries) {
  return expiries.reduce((least, exp) => (exp === null ? least : Math.min(least ?? exp, exp)), null)
}

function nodeOf(bytes, level, summary) {
  const cid = cborCidOf(bytes)
  return {
    cid,
    bytes,
    level,
    child: { ...summary, last: keyOf(summary.last), cid, cidKey: cidKey(cid) },
  }
}

const withChild = (node, change) => ({ ...node, child: { ...node.child, ...change } })

const GOOD_LEAVES = await cutLeaves(ENTRIES)
if (GOOD_LEAVES.length !== 2) throw new Error(`the sound tree has ${GOOD_LEAVES.length} leaves`)

function chainBlocks(change = (block) => block) {
  const blocks = []
  for (let i = 0; i < 3; i++) {
    const block = change(
      {
        dataset: IDENTITY,
        ordinal: 5 + i,
        first: COUNT + i,
        prev: blocks.at(-1)?.cid ?? null,
        back: [],
        ts: T0 + 1000 + i,
        entries: [entry(200 + i)],
      },
      i,
    )
    const bytes = encodeChainBlock(block, block.content ?? 'linked')
    blocks.push({ cid: cborCidOf(bytes), bytes })
  }
  return blocks
}

/**
 * All blocks of a state in the order of an export, each by its name. What is given replaces a part, and
 * whatever names that part names the new one.
 */
function makeState(change = {}) {
  const leaves = change.leaves ?? GOOD_LEAVES.map((entries) => leafNode(entries))
  const branch = change.branch ?? branchNode(1, change.children ?? leaves)
  const above = change.above?.(branch) ?? []
  const top = above.at(-1) ?? branch
  const snapshot = change.snapshot?.(top) ?? encodeSnapshot({ ...headerOf(top), ...change.header })
  const chain = change.chain ?? chainBlocks()
  const lists =
    change.lists?.(chain) ??
    (chain.length === 0 ? [] : encodeChainList(chain.map(({ cid }) => cid)))
  const fields = { ...checkpointOf(snapshot.cid, lists.at(-1)?.cid ?? null), ...change.checkpoint }
  const checkpoint = change.checkpointBlock?.(fields) ?? encodeCheckpoint(fields)
  return {
    checkpoint,
    snapshot,
    ...Object.fromEntries(above.toReversed().map((block, i) => [`above${i}`, block])),
    branch,
    leaf0: leaves[0],
    content: CONTENT,
    lower: LOWER,
    ...Object.fromEntries(leaves.slice(1).map((leaf, i) => [`leaf${i + 1}`, leaf])),
    ...Object.fromEntries(lists.toReversed().map((list, i) => [`list${i}`, list])),
    ...Object.fromEntries(chain.map((block, i) => [`chain${i}`, block])),
  }
}

function headerOf({ cid, child }) {
  return {
    dataset: IDENTITY,
    seq: 1,
    ts: T0 + 500,
    root: cid,
    entries: child.count,
    live: child.live,
    chunkCount: 2,
    upto: COUNT,
    chunkSize: 64,
    content: 'linked',
    reason: 'fixture',
    tags: [],
    meta: {},
    prev: null,
    head: null,
  }
}

function checkpointOf(snapshot, chain) {
  return {
    dataset: 'main',
    identity: IDENTITY,
    origins: [],
    generation: { number: 1, tag: '0011223344556677' },
    settings: { content: 'linked', chunkSize: 64, chainLimit: 10_000, deletedMs: 1000 },
    content: 'full',
    snapshot,
    since: null,
    chain,
    base: null,
    recentCount: 3,
    chainFirst: COUNT,
    next: COUNT + 3,
    nextOrdinal: 8,
    nextSeq: 2,
    totalCount: COUNT + 3,
  }
}

// ---------------------------------------------------------------------------------------------
// CARs of a state.

const sectionOf = ({ cid, bytes }) => Buffer.concat([sectionHead(cid, bytes.length), bytes])
const carOf = (blocks, roots) =>
  Buffer.concat([carHeader(roots ?? [blocks[0].cid]), ...blocks.map(sectionOf)])

/** The CAR of a state with one part changed, and where its sections begin, by name. */
function carOfState(change, leaveOut = []) {
  const blocks = Object.entries(makeState(change)).filter(([name]) => !leaveOut.includes(name))
  const offsets = {}
  let car = carHeader([blocks[0][1].cid])
  for (const [name, block] of blocks) {
    offsets[name] = car.length
    car = Buffer.concat([car, sectionOf(block)])
  }
  return Object.assign(car, { offsets })
}

const SOUND = makeState()
const BLOCKS = Object.values(SOUND)
const CAR = carOf(BLOCKS)
const NAMES = Object.keys(SOUND)

/** Where the section of a block of the sound CAR begins, and where its bytes do. */
function placeOf(name) {
  const before = BLOCKS.slice(0, NAMES.indexOf(name))
  const offset = carOf(before, [BLOCKS[0].cid]).length
  return { offset, bytesAt: offset + sectionOf(SOUND[name]).length - SOUND[name].bytes.length }
}

const without = (...names) =>
  carOf(NAMES.filter((name) => !names.includes(name)).map((name) => SOUND[name]))
const replaced = (name, block) => carOf(NAMES.map((one) => (one === name ? block : SOUND[one])))

function flippedAt(offset) {
  const copy = Buffer.from(CAR)
  copy[offset] ^= 1
  return copy
}

/** The sound CAR with other bytes for the head of one section. */
function withHead(name, head) {
  const { offset, bytesAt } = placeOf(name)
  return Buffer.concat([CAR.subarray(0, offset), head, CAR.subarray(bytesAt)])
}

const overlong = (value) => {
  const shortest = varint(value)
  return Buffer.concat([shortest.subarray(0, -1), Buffer.of(shortest.at(-1) | 0x80, 0)])
}

/** A record with another schema tag or further fields. */
function retagged({ bytes }, change) {
  return cbor({ ...dagCbor.decode(bytes), ...change })
}

const [LEAF0, LEAF1] = GOOD_LEAVES
const moved = [LEAF0.slice(0, -1), [LEAF0.at(-1), ...LEAF1]]
const swapped = (entries) => [entries[1], entries[0], ...entries.slice(2)]
const nodes = (leaves) => leaves.map((entries) => leafNode(entries))
const single = (levels) => (branch) => {
  const above = []
  for (let level = 2; level <= levels; level++)
    above.push(branchNode(level, [above.at(-1) ?? branch]))
  return above
}

const damaged = (...codes) => ({ verdict: 'damaged', codes })
const incomplete = (...codes) => ({ verdict: 'incomplete', codes })
const unreadable = { error: 'invalid_car' }
const invalid = { restore: 'invalid_block', verify: damaged('invalid_block') }
const unsupported = { restore: 'format_unsupported', verify: damaged('format_unsupported') }
const broken = { restore: 'invalid_car', verify: unreadable }

/** Name: the bytes, what must be answered, and the block that verification must name, if it is one. */
const DEFECTS = {
  'empty-file': [Buffer.alloc(0), broken],
  'truncated-in-header': [CAR.subarray(0, 30), broken],
  'truncated-in-section': [CAR.subarray(0, placeOf('leaf0').bytesAt + 100), broken],
  'truncated-in-length': [CAR.subarray(0, placeOf('leaf0').offset + 1), broken],
  'truncated-at-block-boundary': [
    CAR.subarray(0, placeOf('chain2').offset),
    { restore: 'block_missing', verify: incomplete('block_missing') },
  ],
  'flipped-in-header': [
    flippedAt(40),
    { restore: 'block_missing', verify: incomplete('block_missing') },
  ],
  'flipped-in-cid': [
    flippedAt(placeOf('leaf1').bytesAt - 1),
    { restore: 'block_missing', verify: damaged('block_missing', 'block_mismatch') },
  ],
  'flipped-in-data': [
    flippedAt(placeOf('leaf1').bytesAt + 50),
    { restore: 'block_mismatch', verify: damaged('block_mismatch') },
    'leaf1',
  ],
  'flipped-in-content': [
    flippedAt(placeOf('lower').bytesAt + 5),
    { restore: 'block_mismatch', verify: damaged('block_mismatch') },
    'lower',
  ],
  'bytes-of-another-block': [
    replaced('chain1', { cid: SOUND.chain1.cid, bytes: SOUND.chain0.bytes }),
    { restore: 'block_mismatch', verify: damaged('block_mismatch') },
    'chain1',
  ],
  'unknown-hash-function': [
    replaced('lower', {
      cid: Buffer.from([1, 0x71, 0x13, 0x20, ...Buffer.alloc(32)]),
      bytes: LOWER.bytes,
    }),
    broken,
  ],
  'huge-length': [withHead('leaf1', varint(2 ** 50)), broken],
  'length-of-9-mib': [withHead('leaf1', sectionHead(SOUND.leaf1.cid, 9 << 20)), broken],
  'overlong-varint': [
    withHead('leaf1', Buffer.concat([overlong(36 + SOUND.leaf1.bytes.length), SOUND.leaf1.cid])),
    broken,
  ],
  'zero-length-section': [
    Buffer.concat([
      CAR.subarray(0, placeOf('leaf1').offset),
      Buffer.of(0),
      CAR.subarray(placeOf('leaf1').offset),
    ]),
    broken,
  ],
  'no-roots': [carOf(BLOCKS, []), { restore: 'invalid_car', verify: damaged('invalid_car') }],
  'root-not-in-file': [
    carOf(BLOCKS.slice(1), [SOUND.checkpoint.cid]),
    { restore: 'block_missing', verify: incomplete('block_missing') },
  ],
  'extra-root-not-in-file': [
    carOf(BLOCKS, [BLOCKS[0].cid, elsewhereCid()]),
    { restore: 'block_missing', verify: incomplete('block_missing') },
  ],
  'extra-root-is-content': [
    carOf(BLOCKS, [BLOCKS[0].cid, CONTENT.cid]),
    { restore: 'invalid_car', verify: damaged('invalid_car') },
  ],
  'identity-root': [
    carOf(BLOCKS, [Uint8Array.from([1, 0x71, 0, 1, 0xa0])]),
    { restore: 'invalid_car', verify: damaged('invalid_car') },
  ],
  'missing-header': [
    without('snapshot'),
    { restore: 'block_missing', verify: incomplete('block_missing') },
  ],
  'missing-branch': [
    without('branch'),
    { restore: 'block_missing', verify: incomplete('block_missing') },
  ],
  'missing-leaf': [
    without('leaf1'),
    { restore: 'block_missing', verify: incomplete('block_missing') },
  ],
  'missing-content': [
    without('content'),
    { restore: 'content_missing', verify: incomplete('content_missing') },
  ],
  'missing-content-below': [
    without('lower'),
    { restore: 'content_missing', verify: incomplete('content_missing') },
  ],
  'missing-chain-list': [
    without('list0'),
    { restore: 'block_missing', verify: incomplete('block_missing') },
  ],
  'missing-chain-block': [
    without('chain1'),
    { restore: 'block_missing', verify: incomplete('block_missing') },
  ],
  'leaves-out-of-order': [
    carOfState({ children: nodes(GOOD_LEAVES).toReversed() }),
    invalid,
    'branch',
  ],
  'leaf-twice': [carOfState({ children: [leafNode(LEAF0), leafNode(LEAF0)] }), invalid, 'branch'],
  'entry-out-of-order': [carOfState({ leaves: nodes([swapped(LEAF0), LEAF1]) }), invalid, 'leaf0'],
  'entry-twice': [carOfState({ leaves: nodes([[LEAF0[0], ...LEAF0], LEAF1]) }), invalid, 'leaf0'],
  'cut-elsewhere': [carOfState({ leaves: nodes(moved) }), invalid, 'leaf0'],
  'leaf-of-too-many': [
    carOfState({ leaves: [leafNode(ENTRIES)], header: { chunkCount: 1 } }),
    invalid,
    'leaf0',
  ],
  'needless-branch': [carOfState({ above: single(2) }), invalid],
  'branches-of-23-levels': [carOfState({ above: single(23) }), invalid],
  'branch-of-level-24': [
    carOfState({
      snapshot: (top) => {
        const high = retagged(top, { level: 24 })
        return encodeSnapshot({ ...headerOf(top), root: high.cid })
      },
      branch: (() => {
        const branch = branchNode(1, nodes(GOOD_LEAVES))
        return { ...branch, ...retagged(branch, { level: 24 }) }
      })(),
    }),
    invalid,
    'branch',
  ],
  'header-counts-entries-wrong': [
    carOfState({ header: { entries: COUNT + 1 } }),
    invalid,
    'snapshot',
  ],
  'header-counts-live-wrong': [carOfState({ header: { live: COUNT - 1 } }), invalid, 'snapshot'],
  'header-counts-chunks-wrong': [carOfState({ header: { chunkCount: 3 } }), invalid, 'snapshot'],
  'branch-counts-wrong': [
    carOfState({
      children: nodes(GOOD_LEAVES).map((leaf) => withChild(leaf, { count: leaf.child.count + 1 })),
    }),
    invalid,
    'leaf0',
  ],
  'branch-expiry-wrong': [
    carOfState({ children: nodes(GOOD_LEAVES).map((leaf) => withChild(leaf, { exp: T0 + 9e9 })) }),
    invalid,
    'leaf0',
  ],
  'branch-bytes-wrong': [
    carOfState({ children: nodes(GOOD_LEAVES).map((leaf) => withChild(leaf, { bytes: 1 })) }),
    invalid,
    'leaf0',
  ],
  'checkpoint-counts-recent-wrong': [
    carOfState({ checkpoint: { recentCount: 2, totalCount: COUNT + 2 } }),
    invalid,
  ],
  'checkpoint-counts-total-wrong': [
    carOfState({ checkpoint: { totalCount: COUNT + 2 } }),
    invalid,
    'checkpoint',
  ],
  'checkpoint-next-too-low': [
    carOfState({ checkpoint: { next: COUNT + 2 } }),
    invalid,
    'checkpoint',
  ],
  'checkpoint-next-ordinal-too-low': [carOfState({ checkpoint: { nextOrdinal: 7 } }), invalid],
  'checkpoint-next-seq-too-low': [
    carOfState({ checkpoint: { nextSeq: 1 } }),
    invalid,
    'checkpoint',
  ],
  'checkpoint-chain-limit-zero': [
    carOfState({
      checkpoint: { settings: { content: 'linked', chunkSize: 64, chainLimit: 0, deletedMs: 0 } },
    }),
    invalid,
    'checkpoint',
  ],
  'checkpoint-of-other-chunk-size': [
    carOfState({
      checkpoint: { settings: { content: 'linked', chunkSize: 128, chainLimit: 9, deletedMs: 0 } },
    }),
    invalid,
    'checkpoint',
  ],
  'checkpoint-of-another-dataset': [
    carOfState({ checkpoint: { identity: OTHER_IDENTITY } }),
    invalid,
    'checkpoint',
  ],
  'checkpoint-with-more-fields': [
    carOfState({
      checkpointBlock: (fields) => retagged(encodeCheckpoint(fields), { more: true }),
    }),
    invalid,
    'checkpoint',
  ],
  'header-of-another-dataset': [
    carOfState({ header: { dataset: OTHER_IDENTITY } }),
    invalid,
    'checkpoint',
  ],
  'chain-block-of-another-dataset': [
    carOfState({
      chain: chainBlocks((block, i) => (i === 1 ? { ...block, dataset: OTHER_IDENTITY } : block)),
    }),
    invalid,
    'chain1',
  ],
  'chain-in-the-wrong-order': [
    carOfState({ lists: (chain) => encodeChainList(chain.toReversed().map(({ cid }) => cid)) }),
    invalid,
    'chain2',
  ],
  'chain-prev-names-another': [
    carOfState({
      chain: chainBlocks((block, i) => (i === 2 ? { ...block, prev: CONTENT.cid } : block)),
    }),
    invalid,
    'chain2',
  ],
  'chain-names-a-block-twice': [
    carOfState({
      lists: ([a, b, c]) => encodeChainList([a, b, a, c].map(({ cid }) => cid)),
      checkpoint: { recentCount: 4, next: COUNT + 4 },
    }),
    invalid,
    'list0',
  ],
  'chain-positions-overlap': [
    carOfState({
      chain: chainBlocks((block, i) => (i === 1 ? { ...block, first: COUNT } : block)),
    }),
    invalid,
    'chain1',
  ],
  'chain-ordinals-go-back': [
    carOfState({ chain: chainBlocks((block, i) => (i === 1 ? { ...block, ordinal: 5 } : block)) }),
    invalid,
    'chain1',
  ],
  'chain-begins-elsewhere': [
    carOfState({ checkpoint: { chainFirst: COUNT - 1 } }),
    invalid,
    'chain0',
  ],
  'chain-tip-of-the-wrong-form': [
    carOfState({
      chain: chainBlocks((block, i) => (i === 0 ? { ...block, content: 'external' } : block)),
    }),
    invalid,
    'chain0',
  ],
  'leaf-tip-of-the-wrong-form': [
    carOfState({ leaves: [leafNode(LEAF0, 'external'), leafNode(LEAF1)] }),
    invalid,
    'leaf0',
  ],
  'chain-list-too-deep': [
    carOfState({
      lists: (chain) => {
        const lists = encodeChainList(chain.map(({ cid }) => cid))
        for (let level = 1; level <= 4; level++) {
          lists.push(retagged(lists[0], { level, links: [linkTo(lists.at(-1))] }))
        }
        return lists
      },
    }),
    invalid,
    'list0',
  ],
  'chain-list-of-the-wrong-level': [
    carOfState({
      lists: (chain) => {
        const lists = chain.flatMap(({ cid }) => encodeChainList([cid]))
        const inner = retagged(lists[0], { level: 1, links: lists.slice(0, 2).map(linkTo) })
        const top = retagged(lists[0], { level: 1, links: [inner, lists[2]].map(linkTo) })
        return [...lists, inner, top]
      },
    }),
    invalid,
    'list1',
  ],
  'expired-entry-inside': [
    carOfState({ leaves: nodes([[{ ...LEAF0[0], exp: T0 + 100 }, ...LEAF0.slice(1)], LEAF1]) }),
    invalid,
  ],
  'checkpoint-of-version-2': [
    carOfState({
      checkpointBlock: (fields) =>
        retagged(encodeCheckpoint(fields), { schema: 'cairn/checkpoint@v2' }),
    }),
    unsupported,
    'checkpoint',
  ],
  'header-of-version-2': [
    carOfState({
      snapshot: (top) => retagged(encodeSnapshot(headerOf(top)), { schema: 'cairn/snapshot@v2' }),
    }),
    unsupported,
    'snapshot',
  ],
  'leaf-of-version-2': [
    carOfState({
      leaves: nodes(GOOD_LEAVES).map((leaf, i) => (i === 0 ? retaggedNode(leaf) : leaf)),
    }),
    unsupported,
    'leaf0',
  ],
  'dataset-name-impossible': [
    carOfState({ checkpoint: { dataset: '../elsewhere' } }),
    invalid,
    'checkpoint',
  ],
  'delta-without-base': [
    carOfState({ checkpoint: { since: elsewhereCid() } }),
    { restore: 'base_missing', verify: { verdict: 'whole', codes: [] } },
  ],
  'content-left-out': [
    carOfState({ checkpoint: { content: 'index' } }, ['content', 'lower']),
    { restore: 'content_missing', verify: { verdict: 'whole', codes: [] } },
  ],
  'block-twice': [
    carOf([...BLOCKS, SOUND.leaf0]),
    { restore: null, verify: damaged('invalid_car') },
  ],
  'block-that-nothing-reaches': [
    carOf([...BLOCKS, cbor({ nothing: 'leads here' })]),
    { restore: null, verify: damaged('invalid_car') },
  ],
  sound: [CAR, { restore: null, verify: { verdict: 'whole', codes: [] } }],
}

function retaggedNode(leaf) {
  const block = retagged(leaf, { schema: 'cairn/node@v2' })
  return { ...leaf, ...block, child: { ...leaf.child, cid: block.cid, cidKey: cidKey(block.cid) } }
}

function elsewhereCid() {
  return cborCidOf(Buffer.from('a snapshot that is elsewhere'))
}

// ---------------------------------------------------------------------------------------------
// Files.

const out = resolve(args.out ?? join(root, 'fixtures/corrupt'))
mkdirSync(out, { recursive: true })
for (const name of readdirSync(out)) if (name.endsWith('.car')) rmSync(join(out, name))
const expected = {}
for (const [name, [bytes, answers, place]] of Object.entries(DEFECTS)) {
  writeFileSync(join(out, `${name}.car`), bytes)
  const offset = place === undefined ? null : (bytes.offsets?.[place] ?? placeOf(place).offset)
  expected[name] = { ...answers, offset }
}
writeFileSync(join(out, 'expected.json'), `${JSON.stringify(expected, null, 2)}\n`)
process.stdout.write(`${Object.keys(DEFECTS).length} CARs in ${out}\n`)
