/**
 * Repairing a dataset: what the ledger lists as missing or corrupt is looked for in other copies, by CID,
 * hashed, and put back in the place of what the store has. No commit changes.
 *
 *   1 fetch and heal what is listed
 *   2 prove the parts again that listed it; a block that is back may lead to others that are missing
 *   3 begin again, until nothing more can be found
 *
 * Whatever is put back is what its CID says, so dying at any line leaves a store that is no worse.
 */
import { isCairnError, throwIfAborted, type ErrorCode } from '../errors.ts'
import {
  cidMatches,
  digestKey,
  parseCid,
  printCid,
  type Block,
  type CidBytes,
} from '../model/cid.ts'
import type { Commit } from '../model/commit.ts'
import type { Backend, CallOptions } from '../store/backend.ts'
import { type FoundState, type Problem } from './finding.ts'
import type { Ledger } from './ledger.ts'
import type { Verification } from './verification.ts'
import { verdictOf, type Verdict } from './report.ts'
import { namedParts, openTarget, withRun, type RunOptions } from './verify.ts'

/** Another copy: a CAR, a store. What it gives is hashed before it is believed. */
export interface RepairSource {
  readonly name: string
  getBlocks(
    cids: readonly CidBytes[],
    options?: CallOptions,
  ): Promise<readonly (Uint8Array | undefined)[]>
}

export interface RepairOptions extends RunOptions {
  /** In the order in which they are asked. */
  readonly sources: readonly RepairSource[]
  /** Only say what would come from where. */
  readonly dryRun?: boolean | undefined
}

export interface RepairedBlock {
  readonly cid: string
  readonly kind: string
  /** What was found. */
  readonly state: FoundState
  /** The source it came from, or would come from; `store`: it was whole again already. */
  readonly from: string
}

export interface RepairReport {
  readonly status: 'repaired' | 'nothing_listed' | 'planned'
  readonly dataset: string
  /** Of all that were listed, and came to light while repairing. */
  readonly verdict: Verdict
  readonly healed: number
  readonly bytes: number
  /** The first of those that were healed, or would be. */
  readonly blocks: readonly RepairedBlock[]
  /** What is still wrong, by state. */
  readonly counts: Readonly<Record<FoundState, number>>
  /** The first of it. */
  readonly problems: readonly Problem[]
  /** Copies that gave other bytes than asked for, or failed. */
  readonly notes: readonly string[]
}

/** Blocks have up to 2 MiB. */
const BATCH = 16
/** What a store says to blocks that it does not take. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'invalid_block',
  'block_mismatch',
  'backend_refused',
])
const MOST_REPORTED = 1000
const MOST_NOTES = 20

export async function repairDataset(
  backend: Backend,
  dataset: string,
  options: RepairOptions,
): Promise<RepairReport> {
  const target = await openTarget(backend, dataset, options)
  if ('damage' in target) throw target.damage
  const { ledger, stored } = target
  const repair = new Repair(backend, stored.commit, ledger, options)
  if (options.dryRun === true) {
    await repair.fetchListed()
    return repair.report('planned')
  }
  if ([...ledger.problems()].length === 0) return repair.report('nothing_listed')
  try {
    await repair.run()
  } finally {
    await ledger.save()
  }
  return repair.report('repaired')
}

class Repair {
  readonly #backend: Backend
  readonly #commit: Commit
  readonly #ledger: Ledger
  readonly #options: RepairOptions
  readonly #blocks: RepairedBlock[] = []
  readonly #notes = new Set<string>()
  /** What was asked for once is not asked for again, so every round has less to do. */
  readonly #asked = new Set<string>()
  #healed = 0
  #bytes = 0

  constructor(backend: Backend, commit: Commit, ledger: Ledger, options: RepairOptions) {
    this.#backend = backend
    this.#commit = commit
    this.#ledger = ledger
    this.#options = options
  }

  async run(): Promise<void> {
    let known = await this.#prove(() => [])
    for (;;) {
      const concerned = await this.fetchListed()
      if (concerned.size === 0) return
      const before = known
      // With the parts that only came to light because what leads to them is back.
      known = await this.#prove((parts) => [
        ...concerned,
        ...this.#ledger.overfull(),
        ...parts.filter((id) => !before.has(id)),
      ])
    }
  }

  /** Fetches what is listed. Answers the parts in which something is better now. */
  async fetchListed(): Promise<Set<string>> {
    const { signal, onProgress } = this.#options
    const wanted = listedBlocks(this.#ledger, this.#asked)
    for (const { cid } of wanted) this.#asked.add(digestKey(cid))
    const better = new Set<string>()
    for (let at = 0; at < wanted.length; at += BATCH) {
      throwIfAborted(signal)
      onProgress?.({ step: 'repair', done: at, total: wanted.length })
      const some = wanted.slice(at, at + BATCH)
      for (const { parts } of await this.#fetch(some)) for (const part of parts) better.add(part)
    }
    return better
  }

  /** Heals those of a batch that are found somewhere, and answers them. */
  async #fetch(wanted: readonly Wanted[]): Promise<Wanted[]> {
    const { sources, dryRun } = this.#options
    const found: (Wanted & { readonly bytes: Uint8Array; readonly from: string })[] = []
    const store = { name: 'store', getBlocks: this.#backend.getBlocks.bind(this.#backend) }
    let rest = wanted
    // The store comes last: a node remembers what it was asked for, and then writes nothing over it.
    for (const source of [...sources, store]) {
      if (rest.length === 0) break
      const blocks = await this.#ask(source, rest)
      for (const [i, one] of rest.entries()) {
        const bytes = blocks[i]
        if (bytes !== undefined) found.push({ ...one, bytes, from: source.name })
      }
      rest = rest.filter((_, i) => blocks[i] === undefined)
    }
    const fresh = found.filter(({ from }) => from !== store.name)
    const refused = dryRun === true ? [] : await this.#heal(fresh)
    const back = found.filter((one) => !refused.includes(one))
    for (const { problem, from, bytes } of back) {
      const { cid, kind, state } = problem
      if (this.#blocks.length < MOST_REPORTED && cid !== null)
        this.#blocks.push({ cid, kind, state, from })
      if (from === store.name) continue
      this.#healed += 1
      this.#bytes += bytes.length
    }
    return back
  }

  /** Answers those that the store refuses, such as a node content that it cannot decode. */
  async #heal<T extends Block>(blocks: readonly T[]): Promise<T[]> {
    if (blocks.length === 0) return []
    try {
      await this.#backend.heal(blocks, this.#call)
      return []
    } catch (error) {
      if (!isCairnError(error) || !REFUSALS.has(error.code)) throw error
      const [only, ...others] = blocks
      if (only !== undefined && others.length === 0) {
        this.#note(`the store refused ${printCid(only.cid)}: ${error.message}`)
        return [only]
      }
    }
    const refused: T[] = []
    for (const block of blocks) refused.push(...(await this.#heal([block])))
    return refused
  }

  /** The proved blocks of a source, in the order of `wanted`. */
  async #ask(source: RepairSource, wanted: readonly Wanted[]): Promise<(Uint8Array | undefined)[]> {
    const cids = wanted.map(({ cid }) => cid)
    let blocks: readonly (Uint8Array | undefined)[]
    try {
      blocks = await source.getBlocks(cids, this.#call)
    } catch (error) {
      throwIfAborted(this.#options.signal)
      // One copy that fails leaves the others.
      this.#note(
        `${source.name} could not be read: ${error instanceof Error ? error.message : String(error)}`,
      )
      return cids.map(() => undefined)
    }
    return cids.map((cid, i) => {
      const bytes = blocks[i]
      if (bytes === undefined || cidMatches(cid, bytes)) return bytes
      if (source.name !== 'store') this.#note(`${source.name} has other bytes for ${printCid(cid)}`)
      return undefined
    })
  }

  get #call(): CallOptions {
    return { signal: this.#options.signal }
  }

  #note(text: string): void {
    if (this.#notes.size < MOST_NOTES) this.#notes.add(text)
  }

  /** Proves those of the parts there are that `choose` names. Answers what parts there are. */
  async #prove(choose: (parts: readonly string[]) => readonly string[]): Promise<Set<string>> {
    const work = async (run: Verification): Promise<void> => {
      await run.survey(Infinity)
      await run.proveParts(namedParts(run, choose([...run.parts.keys()])), Infinity)
    }
    const run = await withRun(this.#backend, this.#commit, this.#ledger, this.#options, work)
    return new Set(run.parts.keys())
  }

  report(status: RepairReport['status']): RepairReport {
    const counts = { missing: 0, corrupt: 0, malformed: 0, unknown: 0 }
    const problems: Problem[] = []
    for (const { problem } of this.#ledger.problems()) {
      counts[problem.state] += 1
      if (problems.length < MOST_REPORTED) problems.push(problem)
    }
    const overfull = this.#ledger.overfull().next().done !== true
    return {
      status,
      dataset: this.#commit.dataset,
      verdict:
        overfull && counts.missing === 0 ? verdictOf({ ...counts, missing: 1 }) : verdictOf(counts),
      healed: this.#healed,
      bytes: this.#bytes,
      blocks: this.#blocks,
      counts,
      problems,
      notes: [...(this.#ledger.note === undefined ? [] : [this.#ledger.note]), ...this.#notes],
    }
  }
}

/** A block that is listed, and the parts that list it. */
interface Wanted {
  readonly cid: CidBytes
  readonly problem: Problem
  readonly parts: readonly string[]
}

function listedBlocks(ledger: Ledger, but: ReadonlySet<string>): Wanted[] {
  const wanted = new Map<string, Wanted & { readonly parts: string[] }>()
  for (const { part, problem } of ledger.problems()) {
    if (problem.cid === null || (problem.state !== 'missing' && problem.state !== 'corrupt'))
      continue
    const cid = parseCid(problem.cid)
    if (but.has(digestKey(cid))) continue
    const known = wanted.get(digestKey(cid))
    if (known === undefined) wanted.set(digestKey(cid), { cid, problem, parts: [part] })
    else known.parts.push(part)
  }
  return [...wanted.values()]
}
