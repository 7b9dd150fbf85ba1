/**
 * What a replica has already: the state that it was brought to last, which is whole. All that this reaches is
 * neither read at the source nor looked for. Read as far as it is asked for.
 */
import { bytesEqual, cidKey, type CidBytes } from '../../model/cid.ts'
import type { Commit } from '../../model/commit.ts'
import type { KeptSnapshot } from '../../model/kept.ts'
import { keyAt, type Run } from '../../model/run.ts'
import { eachTip, tipsOf } from '../../reach/tips.ts'
import type { Context } from '../context.ts'
import { collectNodes } from '../delta.ts'
import { keptSnapshots } from '../snapshots.ts'
import type { State } from '../state.ts'

export class Known {
  readonly #context: Context
  readonly #state: State
  readonly #signal: AbortSignal | undefined
  #nodes: Set<string> | undefined
  #recent: Set<string> | undefined

  constructor(context: Context, state: State, signal: AbortSignal | undefined) {
    this.#context = context
    this.#state = state
    this.#signal = signal
  }

  get commit(): Commit {
    return this.#state.commit
  }

  /** The nodes of the tree; its leaves are not read. */
  async nodes(): Promise<ReadonlySet<string>> {
    if (this.#nodes === undefined) {
      const nodes = new Set<string>()
      await collectNodes(this.#context.nodes, this.#state.header.root, nodes, this.#signal)
      this.#nodes = nodes
    }
    return this.#nodes
  }

  /** The kept snapshots, newest first. */
  async kept(): Promise<KeptSnapshot[]> {
    const kept: KeptSnapshot[] = []
    for await (const one of keptSnapshots(this.#context, this.commit, this.#signal)) kept.push(one)
    return kept
  }

  /** The newest block of the log, where all before it down to `floor` are there; null where not. */
  logEnd(floor: number): CidBytes | null {
    const { commit, chain } = this.#state
    return commit.floor > floor ? null : (chain.at(-1)?.cid ?? commit.base)
  }

  /** Whether a chain block, and all before it down to `floor`, are there. */
  hasLog(cid: CidBytes, floor: number): boolean {
    const { commit, chain } = this.#state
    if (commit.floor > floor) return false
    if (commit.base !== null && bytesEqual(cid, commit.base)) return true
    return chain.some((one) => bytesEqual(one.cid, cid))
  }

  /** The tips that the tree has in the range of a leaf: the content of these is there. */
  async tipsBeside(leaf: Run): Promise<Set<string>> {
    const tips = new Set<string>()
    if (leaf.count === 0) return tips
    const range = { from: keyAt(leaf, 0), to: `${keyAt(leaf, leaf.count - 1)}\0` }
    for await (const there of this.#state.overlay.tree.segments(range, false, this.#signal))
      eachTip(there.leaf, 'linked', (tip) => tips.add(cidKey(tip)))
    return tips
  }

  /** Whether a tip stands in the recent chain. */
  hasRecentTip(tip: CidBytes): boolean {
    this.#recent ??= new Set(
      this.#state.chain.flatMap(({ block }) => tipsOf(block.entries).map(cidKey)),
    )
    return this.#recent.has(cidKey(tip))
  }
}
