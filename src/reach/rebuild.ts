/**
 * Is a tree the one that its entries make? Its leaves are merged into an empty tree once more; the same
 * root proves the order of entries, where every node ends, all counts, and that nothing has expired.
 */
import { CairnError } from '../errors.ts'
import { bytesEqual, cidKey, printCid, type CidBytes } from '../model/cid.ts'
import type { Leaf } from '../model/node.ts'
import type { Run } from '../model/run.ts'
import type { SnapshotHeader } from '../model/snapshot.ts'
import type { CutNode } from '../tree/chunker.ts'
import { mergeTree, type MergedTree } from '../tree/merge.ts'
import { NodeStore } from '../tree/node-store.ts'
import { Handoff } from '../util/handoff.ts'

/** Reads nothing: there is no old tree. */
const NO_NODES = new NodeStore(
  { getBlocks: (cids) => Promise.resolve(cids.map(() => undefined)) },
  0,
)

export class Rebuild {
  readonly #runs = new Handoff<Run>()
  readonly #merged: Promise<MergedTree>
  readonly #header: SnapshotHeader
  /** The leaves that came in and were not made again yet. */
  readonly #given: CidBytes[] = []
  #odd: CidBytes | undefined

  constructor(header: SnapshotHeader, signal?: AbortSignal) {
    this.#header = header
    const sink = { put: (node: CutNode): Promise<void> => Promise.resolve(this.#made(node)) }
    this.#merged = mergeTree(
      {
        nodes: NO_NODES,
        root: undefined,
        leafCount: 0,
        chunkSize: header.chunkSize,
        at: header.ts,
        sink,
        signal,
      },
      this.#runs,
    )
    // It is awaited at the end; until then a failure stops who hands over.
    this.#merged.catch((error: unknown) => this.#runs.fail(error))
  }

  /** The leaves in the order of ids. */
  async leaf(leaf: Leaf, cid: CidBytes): Promise<void> {
    this.#given.push(cid)
    if (leaf.count > 0) await this.#runs.push(leaf)
  }

  #made({ child, level }: CutNode): void {
    if (level !== 0) return
    const given = this.#given.shift()
    if (given === undefined || cidKey(given) !== child.cidKey) this.#odd ??= given ?? child.cid
  }

  /** The first leaf that is not as its entries make it; undefined when the whole tree is. */
  async finish(): Promise<CairnError | undefined> {
    this.#runs.end()
    let merged: MergedTree
    try {
      merged = await this.#merged
    } catch (cause) {
      return this.#oddTree(cause)
    }
    return bytesEqual(merged.root.cid, this.#header.root) ? undefined : this.#oddTree()
  }

  #oddTree(cause?: unknown): CairnError {
    const cid = printCid(this.#odd ?? this.#header.root)
    return new CairnError(
      'invalid_block',
      `The tree of snapshot ${this.#header.seq} is not the one its entries make; the first odd node is ${cid}.`,
      {
        hint: 'Nodes end elsewhere than the rule says, or hold what has expired: it was not written by Cairn.',
        cid,
        cause,
      },
    )
  }
}
