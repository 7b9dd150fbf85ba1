/**
 * NodeStore: reads tree nodes from a backend, proves and decodes them, and keeps what was read lately.
 * The cache is bounded by bytes; a node in it was proved when it came in.
 */
import { CairnError, throwIfAborted } from '../errors.ts'
import { cidKey, printCid, type CidBytes } from '../model/cid.ts'
import { FOREIGN_TREE_HINT, decodeNode, summarize, type Child, type Node } from '../model/node.ts'
import { readProvedBlock, type BlockReader } from '../store/proved.ts'
import { ByteLru } from '../util/byte-lru.ts'

/** What a decoded node costs beyond its block: offsets, child objects. */
const DECODED_FACTOR = 1.1

interface Loaded {
  readonly node: Node
  /** What a parent must say of the node. */
  readonly summary: Child
}

export class NodeStore {
  readonly cacheBytes: number
  readonly #store: BlockReader
  readonly #cache: ByteLru<Loaded>
  readonly #pending = new Map<string, Promise<Loaded>>()
  /** Blocks read from the backend so far: what tests count. */
  reads = 0

  constructor(store: BlockReader, cacheBytes: number) {
    this.cacheBytes = cacheBytes
    this.#store = store
    this.#cache = new ByteLru(cacheBytes)
  }

  /** The root of a tree, and what a parent would say of it. */
  async readRoot(cid: CidBytes, signal?: AbortSignal): Promise<{ node: Node; child: Child }> {
    const loaded = this.#cache.get(cidKey(cid)) ?? (await this.#load(cid, true, signal))
    return { node: loaded.node, child: loaded.summary }
  }

  /** A child that is at hand; most lookups end here, without a promise. */
  cachedChild(child: Child): Node | undefined {
    const loaded = this.#cache.get(child.cidKey)
    return loaded === undefined ? undefined : agreed(loaded, child)
  }

  /** The node that a branch names, held to what the branch says of it. */
  async readChild(child: Child, keep: boolean, signal?: AbortSignal): Promise<Node> {
    const loaded = this.#cache.get(child.cidKey) ?? (await this.#load(child.cid, keep, signal))
    return agreed(loaded, child)
  }

  /** Readers that meet share one read. A walk over a whole tree does not keep what it reads. */
  async #load(cid: CidBytes, keep: boolean, signal: AbortSignal | undefined): Promise<Loaded> {
    throwIfAborted(signal)
    const key = cidKey(cid)
    const pending = this.#pending.get(key) ?? this.#start(key, cid, keep)
    const loaded = await pending
    throwIfAborted(signal)
    return loaded
  }

  #start(key: string, cid: CidBytes, keep: boolean): Promise<Loaded> {
    const read = this.#read(cid)
      .then((loaded) => {
        if (keep) this.#enter(key, loaded)
        return loaded
      })
      .finally(() => this.#pending.delete(key))
    this.#pending.set(key, read)
    return read
  }

  /** Keeps a node that was made here: its CID was made from these very bytes. */
  keep(child: Child, block: Buffer): void {
    this.#enter(child.cidKey, { node: decodeNode(block), summary: child })
  }

  /** Who asks for the node again reads it from the store. */
  drop(key: string): void {
    this.#cache.delete(key)
  }

  #enter(key: string, loaded: Loaded): void {
    const { bytes, starts } = loaded.node
    this.#cache.set(key, loaded, bytes.length * DECODED_FACTOR + starts.byteLength)
  }

  async #read(cid: CidBytes): Promise<Loaded> {
    this.reads += 1
    const node = decodeNode(await readProvedBlock(this.#store, cid, 'the tree node'))
    return { node, summary: summarize(node, cid) }
  }
}

function agreed({ node, summary }: Loaded, child: Child): Node {
  checkSummary(summary, child)
  return node
}

/** What a node is must be what its parent says of it. */
export function checkSummary(summary: Child, child: Child): void {
  const agrees =
    summary.last === child.last &&
    summary.count === child.count &&
    summary.live === child.live &&
    summary.bytes === child.bytes &&
    summary.exp === child.exp
  if (agrees) return
  const cid = printCid(child.cid)
  throw new CairnError('invalid_block', `The tree node ${cid} is not as its parent says.`, {
    hint: FOREIGN_TREE_HINT,
    cid,
  })
}
