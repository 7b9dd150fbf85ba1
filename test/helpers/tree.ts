/** A tree in memory, for tests: a map of blocks that counts, and shorthands around it. */
import { cidKey, type CidBytes } from '../../src/model/cid.ts'
import type { Entry } from '../../src/model/entry.ts'
import { keyOf } from '../../src/model/entity-id.ts'
import { RunBuilder, type Run } from '../../src/model/run.ts'
import { readEntry } from '../../src/model/entry.ts'
import type { BlockReader } from '../../src/store/proved.ts'
import type { CutNode } from '../../src/tree/chunker.ts'
import { mergeTree, type MergedTree, type NodeSink } from '../../src/tree/merge.ts'
import { NodeStore } from '../../src/tree/node-store.ts'
import { Tree, type KeyRange } from '../../src/tree/tree.ts'

export class BlockMap implements BlockReader, NodeSink {
  readonly blocks: Map<string, Uint8Array> = new Map()
  reads = 0
  writes = 0

  async getBlocks(cids: readonly CidBytes[]): Promise<(Uint8Array | undefined)[]> {
    this.reads += cids.length
    return cids.map((cid) => this.blocks.get(cidKey(cid)))
  }

  async put(node: CutNode): Promise<void> {
    this.writes += 1
    this.blocks.set(cidKey(node.child.cid), node.block)
  }
}

export interface BuiltTree extends MergedTree {
  readonly chunkSize: number
}

export interface MergeInto {
  readonly store: BlockMap
  readonly base?: BuiltTree
  readonly chunkSize?: number
  readonly at?: number
  /** Entries in one run of edits. */
  readonly runLength?: number
}

/** Merges entries, the newest of an entity last, into `base`. */
export async function merge(entries: readonly Entry[], into: MergeInto): Promise<BuiltTree> {
  const chunkSize = into.base?.chunkSize ?? into.chunkSize ?? 64
  const merged = await mergeTree(
    {
      nodes: new NodeStore(into.store, 16 << 20),
      root: into.base?.root.cid,
      leafCount: into.base?.leafCount ?? 0,
      chunkSize,
      at: into.at ?? 0,
      sink: into.store,
    },
    runsOf(entries, into.runLength ?? 100),
  )
  return { ...merged, chunkSize }
}

async function* runsOf(entries: readonly Entry[], runLength: number): AsyncGenerator<Run> {
  const newest = new Map<string, Entry>()
  for (const entry of entries) newest.set(keyOf(entry.pi), entry)
  const keys = [...newest.keys()].sort((a, b) => (a < b ? -1 : 1))
  const builder = new RunBuilder()
  for (const key of keys) {
    const entry = newest.get(key)
    if (entry !== undefined) builder.push(entry, 'linked', key)
    if (builder.count === runLength) yield builder.take()
  }
  yield builder.take()
}

export async function readAll(
  store: BlockMap,
  root: CidBytes,
  range: KeyRange = {},
  descending = false,
): Promise<Entry[]> {
  const tree = await Tree.open(new NodeStore(store, 16 << 20), root)
  const entries: Entry[] = []
  for await (const { leaf, from, to } of tree.segments(range, descending)) {
    const part: Entry[] = []
    for (let i = from; i < to; i++) part.push(readEntry(leaf.bytes, leaf.starts[i] ?? 0))
    entries.push(...(descending ? part.reverse() : part))
  }
  return entries
}
