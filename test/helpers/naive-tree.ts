/**
 * The tree of a set of entries, built a second time and on purpose in the plainest way: whole arrays,
 * the rule as FORMAT.md words it, other people's murmur3, sha2-256 and DAG-CBOR. It shares no code with
 * `src`, so that a mistake there is not repeated here. Tests compare the two.
 */
import { createHash } from 'node:crypto'
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { create as digestOf } from 'multiformats/hashes/digest'
import murmur from 'murmurhash3js-revisited'

export const naiveHash = (bytes: Uint8Array, seed: number): number => murmur.x86.hash32(bytes, seed)

/** What the rule needs to know of a record: its id, and the level it stands on. */
export interface NaiveEntry {
  readonly pi: string
  readonly ver: number
  readonly tip: Uint8Array | null
  readonly ts: number
  readonly exp: number | null
}

export interface NaiveNode {
  readonly level: number
  readonly last: string
  readonly count: number
  readonly live: number
  /** Bytes of all blocks under it, its own included. */
  readonly bytes: number
  readonly exp: number | null
  readonly cid: CID
  readonly block: Uint8Array
}

export interface NaiveTree {
  readonly root: NaiveNode
  /** From the leaves up; the last level is the root alone. */
  readonly levels: readonly (readonly NaiveNode[])[]
}

const MAX_WEIGHT = 1_040_000

/**
 * Where nodes end: the index of the last record of each, by the rule. `ids` are the ids of the records
 * of one level, in order.
 */
export function naiveEnds(ids: readonly string[], level: number, chunkSize: number): number[] {
  const sizes = ids.map((id) => hashed(id, level))
  const ends: number[] = []
  for (let start = 0; start < ids.length;) {
    const end = naiveEnd(sizes, start, level, chunkSize)
    ends.push(end)
    start = end + 1
  }
  return ends
}

function naiveEnd(
  sizes: readonly Hashed[],
  start: number,
  level: number,
  chunkSize: number,
): number {
  const overhead = level === 0 ? 76 : 100
  const window: number[] = []
  let weight = 0
  let last = start
  for (let i = start; i < sizes.length; i++) {
    const count = i - start + 1
    weight += overhead + (sizes[i]?.bytes ?? 0)
    if (count > chunkSize || weight > MAX_WEIGHT) break
    last = i
    if (count >= chunkSize / 4 || weight >= MAX_WEIGHT / 4) window.push(i)
  }
  const hash = (i: number): number => sizes[i]?.hash ?? 0
  const low = window.find((i) => BigInt(hash(i)) * BigInt(chunkSize) < 4n * 2n ** 32n)
  if (low !== undefined) return low
  if (last === sizes.length - 1) return last
  const least = Math.min(...window.map(hash))
  return window.find((i) => hash(i) === least) ?? last
}

interface Hashed {
  readonly bytes: number
  readonly hash: number
}

const hashes = new Map<number, Map<string, Hashed>>()

function hashed(id: string, level: number): Hashed {
  const known = hashes.get(level) ?? new Map<string, Hashed>()
  hashes.set(level, known)
  const found = known.get(id)
  if (found !== undefined) return found
  if (known.size > 500_000) known.clear()
  const bytes = Buffer.from(id)
  const made = { bytes: bytes.length, hash: naiveHash(bytes, level) }
  known.set(id, made)
  return made
}

/** Remembers leaves by the very entry objects they were made of, which makes a long test bearable. */
export class NaiveBuilder {
  readonly #leaves = new WeakMap<NaiveEntry, { entries: readonly NaiveEntry[]; node: NaiveNode }>()
  readonly #chunkSize: number
  readonly #linked: boolean

  constructor(chunkSize: number, content: 'linked' | 'external' = 'linked') {
    this.#chunkSize = chunkSize
    this.#linked = content === 'linked'
  }

  /** `entries` are sorted by the bytes of their ids. */
  build(entries: readonly NaiveEntry[]): NaiveTree {
    if (entries.length === 0) {
      const leaf = this.#leaf([])
      return { root: leaf, levels: [[leaf]] }
    }
    let nodes = cut(
      entries,
      naiveEnds(
        entries.map((one) => one.pi),
        0,
        this.#chunkSize,
      ),
    ).map((part) => this.#remembered(part))
    const levels = [nodes]
    for (let level = 1; nodes.length > 1; level++) {
      const ends = naiveEnds(
        nodes.map((node) => node.last),
        level,
        this.#chunkSize,
      )
      nodes = cut(nodes, ends).map((part) => branch(part, level))
      levels.push(nodes)
    }
    const [root] = nodes
    if (root === undefined) throw new Error('a tree has a root')
    return { root, levels }
  }

  #remembered(entries: readonly NaiveEntry[]): NaiveNode {
    const [first] = entries
    if (first === undefined) return this.#leaf(entries)
    const known = this.#leaves.get(first)
    const same =
      known !== undefined &&
      known.entries.length === entries.length &&
      known.entries.every((one, i) => one === entries[i])
    if (same) return known.node
    const node = this.#leaf(entries)
    this.#leaves.set(first, { entries, node })
    return node
  }

  #leaf(entries: readonly NaiveEntry[]): NaiveNode {
    const tip = (bytes: Uint8Array): CID | Uint8Array => (this.#linked ? CID.decode(bytes) : bytes)
    const block = dagCbor.encode({
      entries: entries.map((one) => [
        one.pi,
        one.ver,
        one.tip === null ? null : tip(one.tip),
        one.ts,
        one.exp,
      ]),
      level: 0,
      schema: 'cairn/node@v1',
    })
    return {
      level: 0,
      last: entries.at(-1)?.pi ?? '',
      count: entries.length,
      live: entries.filter((one) => one.tip !== null).length,
      bytes: block.length,
      exp: least(entries.map((one) => one.exp)),
      cid: cidOf(block),
      block,
    }
  }
}

function branch(children: readonly NaiveNode[], level: number): NaiveNode {
  const block = dagCbor.encode({
    children: children.map(({ last, count, live, bytes, exp, cid }) => [
      last,
      count,
      live,
      bytes,
      exp,
      cid,
    ]),
    level,
    schema: 'cairn/node@v1',
  })
  const sum = (of: (node: NaiveNode) => number): number =>
    children.reduce((all, one) => all + of(one), 0)
  return {
    level,
    last: children.at(-1)?.last ?? '',
    count: sum((one) => one.count),
    live: sum((one) => one.live),
    bytes: sum((one) => one.bytes) + block.length,
    exp: least(children.map((one) => one.exp)),
    cid: cidOf(block),
    block,
  }
}

function cut<T>(records: readonly T[], ends: readonly number[]): T[][] {
  return ends.map((end, i) => records.slice(i === 0 ? 0 : (ends[i - 1] ?? 0) + 1, end + 1))
}

function least(times: readonly (number | null)[]): number | null {
  return times.reduce((a, b) => (a === null ? b : b === null ? a : Math.min(a, b)), null)
}

function cidOf(block: Uint8Array): CID {
  return CID.createV1(dagCbor.code, digestOf(0x12, createHash('sha256').update(block).digest()))
}

/** The order of the tree: by the UTF-8 bytes of ids. */
export function byId(a: { readonly pi: string }, b: { readonly pi: string }): number {
  return Buffer.compare(Buffer.from(a.pi), Buffer.from(b.pi))
}
