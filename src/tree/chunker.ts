/**
 * Chunker: cuts a sorted stream of records into nodes by the rule of boundary.ts. Pure: no store, no
 * clock; finished nodes are queued for the caller.
 *
 * Invariants: what lies in the buffer is the node under way and is never above the limit; none of its
 * records inside the window is below the threshold (it would have ended the node), so after a cut at
 * the lowest hash what is left over holds no end by threshold either.
 */
import { encodeNode, decodeNode, summarize, type Child } from '../model/node.ts'
import { cborCidOf, cidKey } from '../model/cid.ts'
import { keyLength, keyStart, type Run } from '../model/run.ts'
import { belowThreshold, MAX_WEIGHT, murmur3, recordOverhead } from './boundary.ts'

export interface CutNode {
  readonly child: Child
  readonly block: Buffer
  readonly level: number
  readonly count: number
}

export class Chunker {
  /** Finished nodes, oldest first; the caller takes them out. */
  readonly cut: CutNode[] = []
  /** How many records came in, and how many of them the finished nodes hold. */
  added = 0
  cutAt = 0

  readonly #level: number
  readonly #chunkSize: number
  readonly #overhead: number
  #bytes: Buffer = Buffer.allocUnsafe(128 * 1024)
  #count = 0
  #weight = 0
  /** Of each record under way: where it ends in the buffer, its hash, the weight up to it. */
  readonly #ends: Uint32Array
  readonly #hashes: Uint32Array
  readonly #weights: Uint32Array
  /** The record with the lowest hash in the window so far; -1 before the window. */
  #lowest = -1
  /** Whether all records under way came from plain runs. */
  #plain: boolean

  constructor(level: number, chunkSize: number) {
    this.#level = level
    this.#chunkSize = chunkSize
    this.#overhead = recordOverhead(level)
    this.#plain = level === 0
    this.#ends = new Uint32Array(chunkSize)
    this.#hashes = new Uint32Array(chunkSize)
    this.#weights = new Uint32Array(chunkSize)
  }

  /** Begins anew, keeping the buffers: a merge cuts in many places. */
  reset(): void {
    this.cut.length = 0
    this.added = 0
    this.cutAt = 0
    this.#count = 0
    this.#weight = 0
    this.#lowest = -1
    this.#plain = this.#level === 0
  }

  /** Adds the records [from, to) of `run`, which continue the order of what came before. */
  add(run: Run, from: number, to: number): void {
    const { bytes, starts } = run
    let copied = from
    for (let i = from; i < to; i++) {
      const start = starts[i] ?? 0
      const idStart = keyStart(bytes, start)
      const idLength = keyLength(bytes, start)
      const weight = this.#overhead + idLength
      if (this.#count === this.#chunkSize || this.#weight + weight > MAX_WEIGHT) {
        this.#copy(run, copied, i)
        copied = i
        this.#emit(this.#lowest + 1)
      }
      const hash = murmur3(bytes, idStart, idStart + idLength, this.#level)
      if (this.#note(hash, weight)) {
        this.#copy(run, copied, i + 1)
        copied = i + 1
        this.#emit(this.#count)
      }
    }
    this.#copy(run, copied, to)
  }

  /** No further record comes: what is left is the last node. */
  finish(): void {
    if (this.#count > 0) this.#emit(this.#count)
  }

  /** Enters a record into the node under way; true when it ends it. */
  #note(hash: number, weight: number): boolean {
    const index = this.#count
    this.#count += 1
    this.#weight += weight
    this.added += 1
    this.#hashes[index] = hash
    this.#weights[index] = this.#weight
    if (!this.#inWindow(index)) return false
    if (belowThreshold(hash, this.#chunkSize)) return true
    if (this.#lowest < 0 || hash < (this.#hashes[this.#lowest] ?? 0)) this.#lowest = index
    return false
  }

  #inWindow(index: number): boolean {
    return (index + 1) * 4 >= this.#chunkSize || (this.#weights[index] ?? 0) * 4 >= MAX_WEIGHT
  }

  /** Copies records that `#note` has counted; they are the last ones of the node under way. */
  #copy(run: Run, from: number, to: number): void {
    if (from === to) return
    this.#plain &&= run.plain
    const first = run.starts[from] ?? 0
    const index = this.#count - (to - from)
    const at = index === 0 ? 0 : (this.#ends[index - 1] ?? 0)
    const end = at + (run.starts[to] ?? 0) - first
    if (end > this.#bytes.length) this.#grow(at, end)
    run.bytes.copy(this.#bytes, at, first, run.starts[to] ?? 0)
    for (let i = from; i < to; i++)
      this.#ends[index + i - from] = at + (run.starts[i + 1] ?? 0) - first
  }

  #grow(used: number, needed: number): void {
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, used)
    this.#bytes = larger
  }

  /** Makes a node of the first `count` records; the others begin the next one. */
  #emit(count: number): void {
    const end = this.#ends[count - 1] ?? 0
    const block = encodeNode(this.#level, count, this.#bytes.subarray(0, end))
    const child = this.#plain
      ? this.#plainLeaf(count, block)
      : summarize(decodeNode(block), cborCidOf(block))
    this.cut.push({ child, block, level: this.#level, count })
    this.cutAt = this.added - (this.#count - count)
    this.#dropFirst(count, end)
  }

  /** What `summarize` would say, without reading the entries: they are known to be plain. */
  #plainLeaf(count: number, block: Buffer): Child {
    const start = count === 1 ? 0 : (this.#ends[count - 2] ?? 0)
    const from = keyStart(this.#bytes, start)
    const last = this.#bytes.toString('latin1', from, from + keyLength(this.#bytes, start))
    const cid = cborCidOf(block)
    return { last, count, live: count, bytes: block.length, exp: null, cid, cidKey: cidKey(cid) }
  }

  #dropFirst(count: number, end: number): void {
    const left = this.#count - count
    if (left === 0) this.#plain = this.#level === 0
    const dropped = this.#weights[count - 1] ?? 0
    this.#bytes.copyWithin(0, end, this.#ends[this.#count - 1] ?? end)
    this.#count = left
    this.#weight -= dropped
    this.#lowest = -1
    for (let i = 0; i < left; i++) {
      this.#ends[i] = (this.#ends[count + i] ?? 0) - end
      this.#hashes[i] = this.#hashes[count + i] ?? 0
      this.#weights[i] = (this.#weights[count + i] ?? 0) - dropped
      if (!this.#inWindow(i)) continue
      if (this.#lowest < 0 || (this.#hashes[i] ?? 0) < (this.#hashes[this.#lowest] ?? 0))
        this.#lowest = i
    }
  }
}
