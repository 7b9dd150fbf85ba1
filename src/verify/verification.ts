/**
 * One run over a dataset: what parts there are, and the proof of as many as are wanted. What is found
 * goes into the ledger; nothing is written to the store.
 */
import { throwIfAborted } from '../errors.ts'
import { damagedCommits } from '../engine/damage.ts'
import { checkedCommit } from '../engine/checked-commit.ts'
import { identitiesOf } from '../engine/state.ts'
import { parseCid, type CidBytes } from '../model/cid.ts'
import type { Commit } from '../model/commit.ts'
import type { KeptSnapshot } from '../model/kept.ts'
import { seenIn } from '../reach/met.ts'
import { Rebuild } from '../reach/rebuild.ts'
import type { Backend } from '../store/backend.ts'
import { DigestMap } from '../util/digest-map.ts'
import { Findings } from './finding.ts'
import { proveKeptList, provePointer, proveRecentChain } from './kept.ts'
import type { Ledger } from './ledger.ts'
import {
  chainPart,
  isSame,
  POINTER,
  spinePart,
  type ChainPart,
  type LeafPart,
  type Part,
} from './part.ts'
import { Prover, type ContentProof } from './prover.ts'
import { Recorder, unlessUnknown } from './recorder.ts'
import { Spines } from './spine.ts'
import type { LogFacts } from './stretch.ts'

export interface VerificationOptions {
  readonly backend: Backend
  readonly ledger: Ledger
  readonly commit: Commit
  readonly now: () => number
  readonly tempDir?: string | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?:
    ((progress: { step: string; done: number; total?: number }) => void) | undefined
}

export class Verification {
  /** All parts that are known of, by their ids. */
  readonly parts: Map<string, Part> = new Map()
  /** Whether everything there is to prove is among the parts. */
  whole = true
  readonly record: Recorder
  readonly #options: VerificationOptions
  readonly #table: DigestMap
  readonly #prover: Prover
  readonly #spines: Spines
  readonly #facts: LogFacts
  #kept: readonly KeptSnapshot[] = []
  #recent: readonly ChainPart[] = []

  constructor(options: VerificationOptions) {
    const { backend, ledger, commit, signal, now, tempDir } = options
    const { settings, floor } = commit
    this.#options = options
    this.record = new Recorder(ledger, now, signal)
    this.#table = new DigestMap({ tempDir })
    const seen = seenIn(this.#table)
    this.#facts = { identities: identitiesOf(commit), content: settings.content, floor }
    this.#prover = new Prover({ backend, facts: this.#facts, seen, signal })
    this.#spines = new Spines(backend, this.#facts, seen, signal)
  }

  close(): void {
    this.#table.close()
  }

  get snapshots(): readonly KeptSnapshot[] {
    return this.#kept
  }

  /** What the commit keeps, as far as the kept list can be read. */
  async keptSnapshots(): Promise<CidBytes[]> {
    const { backend, commit, signal } = this.#options
    const seen = { has: () => true, add: () => false }
    const list = proveKeptList(backend, commit, seen, new Findings(), signal)
    return ((await unlessUnknown(list))?.snapshots ?? []).map(({ cid }) => cid)
  }

  /** Proves the pointer and all spines, which tells what other parts there are. */
  async survey(until: number): Promise<void> {
    const { commit, ledger } = this.#options
    await this.#pointer()
    const snapshots = new Map(this.#kept.map((one) => [spinePart(one.cid).id, one]))
    const current = spinePart(commit.snapshot)
    for (const id of [...snapshots.keys(), ...(snapshots.has(current.id) ? [] : [current.id])]) {
      const kept = snapshots.get(id)
      if (this.record.silent) break
      await this.#spine(kept?.cid ?? commit.snapshot, kept)
    }
    await this.#indexLog(until)
    for (const { to } of damagedCommits(this.#kept)) await this.#fallenFrom(to)
    if (this.whole && !this.record.silent) ledger.keepOnly((id) => this.parts.has(id))
  }

  async #pointer(): Promise<void> {
    const { backend, commit, signal } = this.#options
    this.#add(POINTER)
    await this.record.prove(POINTER, async (findings) => {
      const seen = seenIn(this.#table)
      const list = await proveKeptList(backend, commit, seen, findings, signal)
      this.#kept = list.snapshots
      this.whole &&= list.whole
      const chain = await proveRecentChain(this.#prover.logWalk(findings), commit, findings)
      this.#recent = chain.parts
      this.whole &&= chain.whole
    })
    for (const part of this.#recent) this.#add(part)
  }

  async #spine(cid: CidBytes, kept: KeptSnapshot | undefined): Promise<void> {
    const { commit } = this.#options
    const part = spinePart(cid)
    this.#add(part)
    const looked = await this.record.prove(part, async (findings) => {
      const spine = await this.#spines.prove(cid, kept, findings)
      if (spine !== undefined && isSame(cid, commit.snapshot))
        provePointer(commit, spine.header, findings)
      for (const leaf of spine?.leaves ?? []) this.#add(leaf)
      this.whole &&= spine?.whole === true
    })
    this.whole &&= looked
  }

  /** The chain of a commit that the dataset fell back from, which is kept so that it may be repaired. */
  async #fallenFrom(number: number): Promise<void> {
    const { backend, commit: newest, signal } = this.#options
    const bytes = await backend.getCommit(newest.dataset, number, { signal })
    if (bytes === undefined || this.record.silent) return
    const { commit } = checkedCommit(newest.dataset, number, bytes)
    const scratch = new Findings()
    const walk = { ...this.#prover.logWalk(scratch), floor: 0 }
    const chain = await unlessUnknown(proveRecentChain(walk, commit, scratch))
    this.whole &&= chain?.whole === true
    // What is wrong is told when the part is proved.
    for (const part of chain?.parts ?? []) this.#add({ ...part, floor: 0 })
  }

  #add(part: Part): void {
    if (this.parts.has(part.id)) return
    this.parts.set(part.id, part)
    this.#options.ledger.learn(part.id)
  }

  /** Finds the stretches of the log: those the ledger knows without reading them. */
  async #indexLog(until: number): Promise<void> {
    const { commit, ledger, now, onProgress } = this.#options
    let cid = commit.base
    let follows = commit.chainFirst
    let steps = 0
    while (cid !== null && follows > commit.floor) {
      const part = chainPart(cid, follows, null)
      const known = ledger.get(part.id).next
      if (known !== undefined && known.at < follows) {
        const next: CidBytes | null = known.cid === null ? null : parseCid(known.cid)
        this.#add({ ...part, stop: next })
        cid = next
        follows = known.at
        continue
      }
      this.#add(part)
      if (now() >= until || this.record.silent) {
        this.whole = false
        return
      }
      const scratch = new Findings()
      const next = await unlessUnknown(this.#prover.chain(part, scratch, 'none'))
      // What is wrong is told when the part is proved.
      if (next === undefined) {
        this.whole = false
        return
      }
      ledger.learn(part.id, { next })
      onProgress?.({ step: 'list the log', done: ++steps })
    }
  }

  /** Proves the parts one after another, as long as `until` has not come; at least one. */
  async proveParts(parts: readonly Part[], until: number): Promise<void> {
    const { now, onProgress } = this.#options
    for (const [done, part] of parts.entries()) {
      if (this.record.silent || (done > 0 && now() >= until)) return
      onProgress?.({ step: 'verify', done, total: parts.length })
      if (part.kind === 'leaf') {
        await this.record.prove(part, async (findings) => {
          await this.#prover.leaf(part, findings, 'whole')
        })
      } else if (part.kind === 'chain') {
        await this.record.prove(part, async (findings) => this.#chain(part, findings))
      }
    }
  }

  async #chain(part: ChainPart, findings: Findings): Promise<void> {
    const next = await this.#prover.chain(part, findings, 'whole')
    if (next !== undefined) this.#options.ledger.learn(part.id, { next })
  }

  /** Reads all leaves of the current snapshot, and looks whether the blocks that tips name are there. */
  async quick(): Promise<void> {
    const { commit } = this.#options
    await this.#tree(commit.snapshot, 'presence')
    for (const part of this.#recent) {
      await this.record.look(part, async (findings) => {
        await this.#prover.chain(part, findings, 'presence')
      })
    }
  }

  /** Proves that trees are as their entries make them. What was once proved of a CID stays so. */
  async canonical(): Promise<void> {
    for (const part of this.parts.values()) {
      if (part.kind !== 'spine' || this.record.silent) continue
      if (this.#options.ledger.get(part.id).canonical !== true) await this.#tree(part.cid, 'none')
    }
  }

  async #tree(cid: CidBytes, content: ContentProof): Promise<void> {
    const { ledger, onProgress } = this.#options
    const part = spinePart(cid)
    const scratch = new Findings()
    const spine = await unlessUnknown(this.#spines.prove(cid, undefined, scratch))
    if (spine === undefined) return
    const rebuild = new Rebuild(spine.header, this.#options.signal)
    let sound = spine.whole && scratch.count === 0
    for (const [done, leaf] of spine.leaves.entries()) {
      if (this.record.silent) return
      onProgress?.({ step: 'verify tree', done, total: spine.leaves.length })
      sound = (await this.#treeLeaf(leaf, content, rebuild)) && sound
    }
    const odd = await rebuild.finish()
    throwIfAborted(this.#options.signal)
    if (!sound) return
    if (odd === undefined) ledger.learn(part.id, { canonical: true })
    else await this.record.look(part, async (findings) => findings.add(odd, 'snapshot', cid))
  }

  /** False when the leaf is not there, or not what it should be. */
  async #treeLeaf(part: LeafPart, content: ContentProof, rebuild: Rebuild): Promise<boolean> {
    let sound = false
    const all = content === 'presence' && this.#facts.content === 'external'
    const work = async (findings: Findings): Promise<void> => {
      const leaf = await this.#prover.leaf(part, findings, content)
      sound = leaf !== undefined
      if (leaf !== undefined) await rebuild.leaf(leaf, part.cid)
    }
    // Where content lies elsewhere the leaf is all there is to prove.
    await (all ? this.record.prove(part, work) : this.record.look(part, work))
    return sound
  }
}
