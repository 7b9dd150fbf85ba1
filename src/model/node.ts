/**
 * Tree nodes: leaves (level 0) of entries and branches (level 1 and up) of child records.
 * FORMAT.md, "Leaf" and "Branch".
 *
 *   leaf    { level: 0, schema: "cairn/node@v1", entries:  [entry, ...] }
 *   branch  { level: n, schema: "cairn/node@v1", children: [[last, count, live, bytes, exp, Link], ...] }
 *
 * Both are maps in DAG-CBOR's key order, written and read as a fixed shape.
 *
 * Invariants, checked here on the way in: records strictly ascending by id; every number in its
 * shortest form; at most MAX_NODE_ENTRIES records. Where a node *ends* is the tree's business.
 *
 * Changing a shape here means a new schema tag, FORMAT.md, schema.ipldsch and the golden fixtures.
 */
import { CairnError } from '../errors.ts'
import { Scanner, writeArrayHead, writeKey, writeLink, writeUint, NULL_BYTE } from './cbor.ts'
import { CID_BYTES, cborCidOf, cidKey, isEngineCid, type CidBytes } from './cid.ts'
import { scanEntry, type ScannedEntry } from './entry.ts'
import { DAMAGED_HINT, decodeFixed } from './ipld.ts'
import { asBuffer, keyAt, sharedBytes, type Run } from './run.ts'
import { NODE_SCHEMA } from './schema.ts'

export const MAX_CHUNK_SIZE = 10_000
export const MIN_CHUNK_SIZE = 64
/** A block is at most this long, so that every IPFS node takes and sends it. */
export const MAX_BLOCK_BYTES: number = 1 << 20
/** An encoded child record without its key is never longer. */
export const CHILD_OVERHEAD = 100
const MAX_LEVEL = 23
const CHILD_FIELDS = 6

/** What a branch holds of a child. */
export interface Child {
  /** The key of the last entry under it. */
  readonly last: string
  /** Entries under it, and those whose tip is not null. */
  readonly count: number
  readonly live: number
  /** Bytes of all blocks under it, its own included. */
  readonly bytes: number
  /** The least expiry under it. */
  readonly exp: number | null
  readonly cid: CidBytes
  /** `cidKey(cid)`, made once because every lookup needs it. */
  readonly cidKey: string
}

export interface Leaf extends Run {
  readonly level: 0
  /** Indexes of the deleted entries (tip null), ascending. */
  readonly dead: readonly number[]
}

export interface Branch extends Run {
  readonly level: number
  readonly children: readonly Child[]
  /** How many live entries stand before child i; one more than there are children. */
  readonly liveBefore: Float64Array
}

export type Node = Leaf | Branch

export function isLeaf(node: Node): node is Leaf {
  return node.level === 0
}

export const FOREIGN_TREE_HINT =
  'The tree was not written by Cairn; restore it from a backup that verifies.'

/** A node that must be a branch, because its level says so. */
export function branchOf(node: Node): Branch {
  if (!isLeaf(node)) return node
  throw new CairnError('invalid_block', 'A leaf stands where a branch must be.', {
    hint: FOREIGN_TREE_HINT,
  })
}

/** A node that must be a leaf, because its level says so. */
export function leafOf(node: Node): Leaf {
  if (isLeaf(node)) return node
  throw new CairnError('invalid_block', 'A branch stands where a leaf must be.', {
    hint: FOREIGN_TREE_HINT,
  })
}

/** The bytes of a node up to the head of its list of records. */
function nodePrefix(level: number): Buffer {
  const key = (text: string): Buffer => Buffer.from([0x60 + text.length, ...Buffer.from(text)])
  return Buffer.concat([
    Buffer.from([0xa3]),
    key('level'),
    Buffer.from([level]),
    key('schema'),
    key(NODE_SCHEMA),
    key(level === 0 ? 'entries' : 'children'),
  ])
}

const PREFIXES: readonly Buffer[] = Array.from({ length: MAX_LEVEL + 1 }, (_, level) =>
  nodePrefix(level),
)

function prefixOf(level: number): Buffer {
  const prefix = PREFIXES[level]
  if (prefix === undefined) {
    throw new CairnError(
      'invalid_block',
      `A tree of ${level} levels is deeper than any real one.`,
      {
        hint: DAMAGED_HINT,
      },
    )
  }
  return prefix
}

/** The block of a node whose records lie encoded in `records`. */
export function encodeNode(level: number, count: number, records: Uint8Array): Buffer {
  const prefix = prefixOf(level)
  const block = Buffer.allocUnsafe(prefix.length + 3 + records.length)
  prefix.copy(block)
  const at = writeArrayHead(block, prefix.length, count)
  block.set(records, at)
  return block.subarray(0, at + records.length)
}

export const EMPTY_LEAF: Buffer = encodeNode(0, 0, new Uint8Array(0))
export const EMPTY_LEAF_CID: CidBytes = cborCidOf(EMPTY_LEAF)

/** Writes a child record; returns the offset behind it. */
export function writeChild(to: Uint8Array, at: number, child: Child): number {
  let next = writeArrayHead(to, at, CHILD_FIELDS)
  next = writeKey(to, next, child.last)
  next = writeUint(to, next, child.count)
  next = writeUint(to, next, child.live)
  next = writeUint(to, next, child.bytes)
  if (child.exp === null) to[next++] = NULL_BYTE
  else next = writeUint(to, next, child.exp)
  return writeLink(to, next, child.cid)
}

export function decodeNode(block: Uint8Array): Node {
  return decodeFixed(block, NODE_SCHEMA, () => scanNode(asBuffer(block)))
}

function scanNode(bytes: Buffer): Node {
  const level = bytes[7]
  if (level === undefined || level > MAX_LEVEL) {
    throw new CairnError('invalid_block', 'A block is not a tree node.', {
      hint: 'The tree names a block of another kind; `cairn verify` finds the place.',
    })
  }
  const prefix = prefixOf(level)
  const scanner = new Scanner(bytes, 0, level === 0 ? 'leaf' : 'branch')
  scanner.expect(prefix)
  const count = scanner.arrayHead()
  if (count > MAX_CHUNK_SIZE) scanner.fail(`it has more than ${MAX_CHUNK_SIZE} records`)
  const node =
    level === 0 ? scanLeaf(scanner, bytes, count) : scanBranch(scanner, bytes, count, level)
  scanner.finish()
  return node
}

function scanLeaf(scanner: Scanner, bytes: Buffer, count: number): Leaf {
  const starts = new Uint32Array(count + 1)
  const dead: number[] = []
  const entry: ScannedEntry = { keyStart: 0, keyEnd: 0, live: false, exp: null }
  let exp: number | null = null
  let start = 0
  let end = 0
  for (let i = 0; i < count; i++) {
    starts[i] = scanner.at
    scanEntry(scanner, entry)
    if (i > 0 && !ascends(bytes, start, end, entry.keyStart, entry.keyEnd)) {
      scanner.fail('its entries are not in order')
    }
    start = entry.keyStart
    end = entry.keyEnd
    if (!entry.live) dead.push(i)
    if (entry.exp !== null && (exp === null || entry.exp < exp)) exp = entry.exp
  }
  starts[count] = scanner.at
  const shared = count === 0 ? 0 : sharedBytes(bytes, starts[0] ?? 0, starts[count - 1] ?? 0)
  const plain = exp === null && dead.length === 0
  return { level: 0, bytes, starts, count, shared, plain, exp, dead }
}

function ascends(bytes: Buffer, aFrom: number, aTo: number, bFrom: number, bTo: number): boolean {
  const shorter = Math.min(aTo - aFrom, bTo - bFrom)
  for (let i = 0; i < shorter; i++) {
    const a = bytes[aFrom + i] ?? 0
    const b = bytes[bFrom + i] ?? 0
    if (a !== b) return a < b
  }
  return aTo - aFrom < bTo - bFrom
}

function scanBranch(scanner: Scanner, bytes: Buffer, count: number, level: number): Branch {
  if (count === 0) scanner.fail('a branch has a child')
  if (level === 0) scanner.fail('a branch is above level 0')
  const starts = new Uint32Array(count + 1)
  const children: Child[] = []
  const liveBefore = new Float64Array(count + 1)
  let exp: number | null = null
  for (let i = 0; i < count; i++) {
    starts[i] = scanner.at
    const child = scanChild(scanner, bytes)
    if (child.count === 0) scanner.fail('a child has entries')
    const before = children.at(-1)
    if (before !== undefined && before.last >= child.last)
      scanner.fail('its children are not in order')
    children.push(child)
    liveBefore[i + 1] = (liveBefore[i] ?? 0) + child.live
    if (child.exp !== null && (exp === null || child.exp < exp)) exp = child.exp
  }
  starts[count] = scanner.at
  const shared = sharedBytes(bytes, starts[0] ?? 0, starts[count - 1] ?? 0)
  return { level, bytes, starts, count, shared, plain: false, exp, children, liveBefore }
}

/** A child record on its way through a merge, where one that counts no entries means "taken out". */
export function readChildRecord(bytes: Buffer, at: number): Child {
  return scanChild(new Scanner(bytes, at, 'branch'), bytes)
}

function scanChild(scanner: Scanner, bytes: Buffer): Child {
  if (scanner.arrayHead() !== CHILD_FIELDS) scanner.fail('a child record has six fields')
  scanner.text()
  const last = bytes.toString('latin1', scanner.start, scanner.end)
  if (last.length === 0 || last.length > 512) scanner.fail('an id has 1 to 512 bytes')
  const count = scanner.uint()
  const live = scanner.uint()
  const size = scanner.uint()
  const exp = scanner.uintOrNull()
  scanner.link()
  const cid = scanner.copySpan()
  if (cid.length !== CID_BYTES || !isEngineCid(cid)) scanner.fail('a child is not a DAG-CBOR block')
  const cidKey = bytes.toString('latin1', scanner.start, scanner.end)
  if (live > count) scanner.fail('a child has more live entries than entries')
  return { last, count, live, bytes: size, exp, cid, cidKey }
}

/** What the level above would hold of this node; `cid` is the node's own. */
export function summarize(node: Node, cid: CidBytes): Child {
  const last = node.count === 0 ? '' : keyAt(node, node.count - 1)
  const { exp } = node
  if (isLeaf(node)) {
    const live = node.count - node.dead.length
    return {
      last,
      count: node.count,
      live,
      bytes: node.bytes.length,
      exp,
      cid,
      cidKey: cidKey(cid),
    }
  }
  let count = 0
  let bytes = node.bytes.length
  for (const child of node.children) {
    count += child.count
    bytes += child.bytes
  }
  const live = node.liveBefore[node.count] ?? 0
  return { last, count, live, bytes, exp, cid, cidKey: cidKey(cid) }
}
