/** Proving the spine of a kept snapshot, its header and branches, which also tells what leaves it has. */
import { toCairnError, type CairnError } from '../errors.ts'
import { cidKey, type CidBytes } from '../model/cid.ts'
import type { KeptSnapshot } from '../model/kept.ts'
import { isLeaf, summarize, type Child } from '../model/node.ts'
import { decodeSnapshot, type SnapshotHeader } from '../model/snapshot.ts'
import { checkCounts, checkedNode, misplaced } from '../reach/checks.ts'
import { problemOf, type Seen } from '../reach/met.ts'
import { storeSource, type WalkSource } from '../reach/source.ts'
import { checkSummary } from '../tree/node-store.ts'
import type { Backend } from '../store/backend.ts'
import type { Findings } from './finding.ts'
import { leafPart, type LeafPart } from './part.ts'
import type { LogFacts } from './stretch.ts'

export interface Spine {
  readonly header: SnapshotHeader
  /** In the order of ids; those under a branch that could not be read are not among them. */
  readonly leaves: readonly LeafPart[]
  /** Whether all leaves are known. */
  readonly whole: boolean
}

/** What is known of a branch that was proved, or of a leaf from its first parent. */
interface Known {
  readonly child: Child
  readonly level: number
  readonly leaves: readonly LeafPart[]
  readonly whole: boolean
}

interface Place {
  readonly child: Child
  readonly level: number
}

export class Spines {
  readonly #backend: Backend
  readonly #source: WalkSource
  readonly #facts: LogFacts
  readonly #seen: Seen
  readonly #signal: AbortSignal | undefined
  /** Snapshots share nodes; each is read once. */
  readonly #known = new Map<string, Known>()

  constructor(backend: Backend, facts: LogFacts, seen: Seen, signal: AbortSignal | undefined) {
    this.#backend = backend
    this.#source = storeSource(backend)
    this.#facts = facts
    this.#seen = seen
    this.#signal = signal
  }

  /** Undefined when the header is not there. `kept` is what the kept list says of it. */
  async prove(
    cid: CidBytes,
    kept: KeptSnapshot | undefined,
    findings: Findings,
  ): Promise<Spine | undefined> {
    const [bytes] = await this.#backend.getBlocks([cid], { signal: this.#signal })
    const header = this.#checked(cid, bytes, 'snapshot', findings, (given) => {
      const decoded = decodeSnapshot(given)
      if (!this.#belongs(decoded, kept)) throw misplaced('The snapshot', cid)
      return decoded
    })
    if (header === undefined) return undefined
    const [root] = await this.#backend.getBlocks([header.root], { signal: this.#signal })
    const known = await this.#node(header.root, undefined, root, findings)
    if (known === undefined) return { header, leaves: [], whole: false }
    const { leaves, whole, child } = known
    if (whole) tell(findings, 'snapshot', cid, () => checkCounts(header, child, leaves.length))
    return { header, leaves, whole }
  }

  #belongs(header: SnapshotHeader, kept: KeptSnapshot | undefined): boolean {
    const { identities, content } = this.#facts
    const asKept =
      kept === undefined ||
      (kept.seq === header.seq &&
        kept.ts === header.ts &&
        kept.entries === header.entries &&
        kept.live === header.live)
    return identities.includes(header.dataset) && header.content === content && asKept
  }

  async #node(
    cid: CidBytes,
    place: Place | undefined,
    bytes: Uint8Array | undefined,
    findings: Findings,
  ): Promise<Known | undefined> {
    const before = this.#known.get(cidKey(cid))
    if (before !== undefined) {
      tell(findings, 'branch', cid, () => checkKnown(before, place))
      return before
    }
    const node = this.#checked(cid, bytes, 'branch', findings, (given) =>
      checkedNode(given, cid, place),
    )
    if (node === undefined) return undefined
    const child = summarize(node, cid)
    const known = isLeaf(node)
      ? { child, level: 0, leaves: [leafPart(cid)], whole: true }
      : {
          child,
          level: node.level,
          ...(await this.#under(node.children, node.level - 1, findings)),
        }
    // A part that is not whole is looked at again, so that each snapshot tells of its own.
    if (known.whole) this.#known.set(cidKey(cid), known)
    return known
  }

  async #under(
    children: readonly Child[],
    level: number,
    findings: Findings,
  ): Promise<Pick<Known, 'leaves' | 'whole'>> {
    if (level === 0)
      return { leaves: children.map((child) => this.#leaf(child, findings)), whole: true }
    const leaves: LeafPart[] = []
    let whole = true
    const cids = children.map(({ cid }) => cid)
    for (let at = 0; at < cids.length;) {
      const blocks = await this.#source.read(cids, at, { signal: this.#signal })
      for (const [i, bytes] of blocks.entries()) {
        const child = children[at + i]
        if (child === undefined) break
        const known = await this.#node(child.cid, { child, level }, bytes, findings)
        for (const leaf of known?.leaves ?? []) leaves.push(leaf)
        whole &&= known?.whole === true
      }
      at += blocks.length
    }
    return { leaves, whole }
  }

  /** What two parents say of one leaf must be the same; the leaf is held to it when it is proved. */
  #leaf(child: Child, findings: Findings): LeafPart {
    const before = this.#known.get(child.cidKey)
    const known = before?.leaves[0]
    if (before === undefined || known === undefined) {
      const part = leafPart(child.cid, child)
      this.#known.set(child.cidKey, { child, level: 0, leaves: [part], whole: true })
      return part
    }
    tell(findings, 'leaf', child.cid, () => checkKnown(before, { child, level: 0 }))
    return known
  }

  #checked<T>(
    cid: CidBytes,
    bytes: Uint8Array | undefined,
    kind: 'snapshot' | 'branch',
    findings: Findings,
    decode: (bytes: Uint8Array) => T,
  ): T | undefined {
    const problem: CairnError | undefined = problemOf(cid, bytes, kind)
    if (problem !== undefined || bytes === undefined) {
      findings.add(problem, kind, cid)
      return undefined
    }
    if (this.#seen.add(cid)) findings.met(bytes)
    return tell(findings, kind, cid, () => decode(bytes))
  }
}

function checkKnown({ child, level }: Known, place: Place | undefined): void {
  if (place === undefined) return
  if (place.level !== level) throw misplaced('The tree node', child.cid)
  checkSummary(child, place.child)
}

function tell<T>(findings: Findings, kind: string, cid: CidBytes, check: () => T): T | undefined {
  try {
    return check()
  } catch (error) {
    findings.add(toCairnError(error), kind, cid)
    return undefined
  }
}
