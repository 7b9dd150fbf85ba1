/** Proving the parts of a dataset: every block is read and hashed, and must be what stands there. */
import { toCairnError } from '../errors.ts'
import { inlineBytes, printCid, type CidBytes } from '../model/cid.ts'
import { isLeaf, type Leaf } from '../model/node.ts'
import { checkedNode } from '../reach/checks.ts'
import { walkContent } from '../reach/content.ts'
import { problemOf, type Seen } from '../reach/met.ts'
import { storeSource, type WalkSource } from '../reach/source.ts'
import { eachTip, tipsOf } from '../reach/tips.ts'
import type { Backend } from '../store/backend.ts'
import type { Findings } from './finding.ts'
import type { NextStretch } from './ledger.ts'
import { stretchOf, type ChainPart, type LeafPart } from './part.ts'
import { walkLog, type LogFacts, type LogWalk } from './stretch.ts'

/**
 * `whole`: all content is hashed and decoded. `presence`: the blocks that tips name are there. `none`: the
 * part itself, which is then not counted.
 */
export type ContentProof = 'whole' | 'presence' | 'none'

export interface ProverOptions {
  readonly backend: Backend
  readonly facts: LogFacts
  /** Content that was proved in this run. */
  readonly seen: Seen
  readonly signal: AbortSignal | undefined
}

const PRESENCE_BATCH = 1024

export class Prover {
  readonly #options: ProverOptions
  readonly #source: WalkSource

  constructor(options: ProverOptions) {
    this.#options = options
    this.#source = storeSource(options.backend)
  }

  /** Undefined when the leaf is not what it should be. */
  async leaf(
    { cid, child }: LeafPart,
    findings: Findings,
    content: ContentProof,
  ): Promise<Leaf | undefined> {
    const { backend, signal, seen, facts } = this.#options
    const [bytes] = await backend.getBlocks([cid], { signal })
    const problem = problemOf(cid, bytes, 'leaf')
    if (problem !== undefined || bytes === undefined) {
      findings.add(problem, 'leaf', cid)
      return undefined
    }
    if (content !== 'none' && seen.add(cid)) findings.met(bytes)
    const tips: CidBytes[] = []
    let leaf: Leaf
    try {
      const node = checkedNode(bytes, cid, child && { child, level: 0 })
      if (!isLeaf(node)) return undefined
      leaf = node
      eachTip(leaf, facts.content, (tip) => tips.push(tip))
    } catch (error) {
      findings.add(toCairnError(error), 'leaf', cid)
      return undefined
    }
    await this.#content(tips, findings, content)
    return leaf
  }

  /** The stretch from a chain block back. Answers where the next one begins, if it came so far. */
  async chain(
    part: ChainPart,
    findings: Findings,
    content: ContentProof,
  ): Promise<NextStretch | undefined> {
    const own = this.logWalk(findings)
    const walk = { ...own, floor: part.floor ?? own.floor }
    let stretch: number | undefined
    let next: NextStretch | undefined
    for await (const { cid, bytes, block } of walkLog(walk, part.cid, part.follows, part.stop)) {
      const at = stretchOf(block.first)
      if (stretch !== undefined && at !== stretch) return next
      stretch = at
      next = { cid: block.prev === null ? null : printCid(block.prev), at: block.first }
      if (content !== 'none' && this.#options.seen.add(cid)) findings.met(bytes)
      if (walk.content === 'linked') await this.#content(tipsOf(block.entries), findings, content)
    }
    return findings.count === 0 ? next : undefined
  }

  logWalk(findings: Findings): LogWalk {
    const { backend, facts, signal } = this.#options
    const problem: LogWalk['problem'] = (error, cid) => findings.add(error, 'chain', cid)
    return { ...facts, store: backend, signal, problem }
  }

  async #content(
    tips: readonly CidBytes[],
    findings: Findings,
    content: ContentProof,
  ): Promise<void> {
    const { seen, signal } = this.#options
    if (content === 'none' || tips.length === 0) return
    if (content === 'presence') return this.#presence(tips, findings)
    const walk = { source: this.#source, seen, visitor: findings.content, deep: true, signal }
    await walkContent(walk, tips)
  }

  async #presence(tips: readonly CidBytes[], findings: Findings): Promise<void> {
    const { backend, seen, signal } = this.#options
    const fresh = tips.filter((tip) => inlineBytes(tip) === undefined && seen.add(tip))
    for (let at = 0; at < fresh.length; at += PRESENCE_BATCH) {
      const some = fresh.slice(at, at + PRESENCE_BATCH)
      const there = await backend.hasBlocks(some, { signal })
      for (const [i, cid] of some.entries()) {
        if (there[i] !== true) findings.add(problemOf(cid, undefined, 'content'), 'content', cid)
      }
    }
  }
}
