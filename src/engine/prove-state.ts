/**
 * Proving that what a commit names is whole: its kept list, its snapshot with all under it, its recent chain
 * with the content of that. What was proved once is not proved again for the next commit; it is remembered in
 * tables that go to a file when they grow.
 */
import { walkBack, type LoadedBlock } from '../chain/walk.ts'
import type { ErrorCode, CairnError } from '../errors.ts'
import { bytesEqual, cidKey, printCid, type CidBytes } from '../model/cid.ts'
import type { Commit } from '../model/commit.ts'
import { decodeKeptPage, type KeptSnapshot } from '../model/kept.ts'
import { seenIn, type Seen } from '../reach/met.ts'
import { storeSource } from '../reach/source.ts'
import { Walk } from '../reach/walk.ts'
import { readProvedBlock } from '../store/proved.ts'
import { DigestMap } from '../util/digest-map.ts'
import type { Context, LongOptions } from './context.ts'
import { isDamage } from './damage.ts'
import { ProofWatch, type DamagedKind } from './proof-watch.ts'
import { identitiesOf } from './state.ts'

export interface Damage {
  /** The commit whose state needs it. */
  readonly commit: number
  readonly what: DamagedKind
  readonly cid: string | null
  readonly code: ErrorCode
  readonly message: string
}

/** A commit whose next position lies below `end` does not reach the damaged block. */
export interface BrokenChain {
  readonly damage: Damage
  readonly end: number
}

export class StateProof {
  readonly #context: Pick<Context, 'backend'>
  readonly #options: LongOptions
  readonly #tables: DigestMap[] = []
  readonly #leaves: Seen = this.#table()
  readonly #content: Seen = this.#table()
  #walked = false
  readonly #snapshots = new Map<string, Damage | undefined>()
  readonly #chains = new Map<number, BrokenChain | undefined>()

  constructor(context: Pick<Context, 'backend'>, options: LongOptions) {
    this.#context = context
    this.#options = options
  }

  close(): void {
    for (const table of this.#tables) table.close()
  }

  /** What was found damaged may be whole by now, or another commit's. What was proved stays so. */
  forget(): void {
    this.#snapshots.clear()
    this.#chains.clear()
  }

  #table(): Seen {
    const table = new DigestMap()
    this.#tables.push(table)
    return seenIn(table)
  }

  /** Of the snapshots that were looked at, those that are not whole. */
  get damagedSnapshots(): ReadonlySet<string> {
    const damaged = [...this.#snapshots].filter(([, damage]) => damage !== undefined)
    return new Set(damaged.map(([key]) => key))
  }

  /** The kept snapshots, newest first, as far as the list can be read. */
  async keptList({
    kept,
    number,
  }: Pick<Commit, 'kept' | 'number'>): Promise<{ snapshots: KeptSnapshot[]; damage?: Damage }> {
    const snapshots: KeptSnapshot[] = []
    for (let cid: CidBytes | null = kept; cid !== null;) {
      try {
        const { backend } = this.#context
        const page = decodeKeptPage(
          await readProvedBlock(backend, cid, 'the kept list', this.#options),
        )
        snapshots.push(...page.snapshots.toReversed())
        cid = page.older
      } catch (error) {
        if (!isDamage(error)) throw error
        return { snapshots, damage: damageOf(error, number, 'kept list', cid) }
      }
    }
    return { snapshots }
  }

  /** The snapshot of a commit, its tree and, where it is linked, all content. */
  async tree(commit: Commit): Promise<Damage | undefined> {
    const key = cidKey(commit.snapshot)
    if (!this.#snapshots.has(key)) this.#snapshots.set(key, await this.#proveTree(commit))
    return this.#snapshots.get(key)
  }

  async #proveTree(commit: Commit): Promise<Damage | undefined> {
    const first = !this.#walked
    this.#walked = true
    const watch = this.#watch()
    try {
      // Where nothing is passed over, the walk counts the leaves, too.
      const skip = first ? {} : { skipNode: (cid: CidBytes) => this.#leaves.has(cid) }
      await this.#walk(watch, skip).snapshot(commit.snapshot)
      return undefined
    } catch (error) {
      const { ended } = watch
      if (ended === undefined || !isDamage(error)) throw error
      return damageOf(error, commit.number, watch.kindOf(ended, commit.snapshot), ended)
    } finally {
      watch.close()
    }
  }

  #watch(): ProofWatch {
    return new ProofWatch(this.#leaves, this.#content, this.#options)
  }

  #walk(watch: ProofWatch, more: { readonly skipNode?: (cid: CidBytes) => boolean }): Walk {
    return new Walk({
      source: storeSource(this.#context.backend),
      visitor: watch,
      seen: ALWAYS_NEW,
      seenContent: watch.seen,
      content: 'full',
      signal: this.#options.signal,
      ...more,
    })
  }

  /** The recent chain of a commit and, where it is linked, the content of its entries. */
  async chain(commit: Commit): Promise<BrokenChain | undefined> {
    const { number } = commit
    if (!this.#chains.has(number)) this.#chains.set(number, await this.#proveChain(commit))
    return this.#chains.get(number)
  }

  async #proveChain(commit: Commit): Promise<BrokenChain | undefined> {
    const { head, base, floor, settings, number } = commit
    const { backend } = this.#context
    const { signal } = this.#options
    const identities = identitiesOf(commit)
    const blocks: LoadedBlock[] = []
    const end = (): number => blocks.at(-1)?.block.first ?? commit.next
    try {
      for await (const one of walkBack(backend, { head, base, identities, floor, signal }))
        blocks.push(one)
    } catch (error) {
      if (!isDamage(error)) throw error
      return { damage: damageOf(error, number, 'chain', head), end: end() }
    }
    blocks.reverse()
    const watch = this.#watch()
    try {
      const facts = { ...commit, content: settings.content, identities }
      await this.#walk(watch, {}).chain([blocks.map(({ cid }) => cid)], facts)
      return undefined
    } catch (error) {
      const { ended, open } = watch
      if (ended === undefined || !isDamage(error)) throw error
      const at = open?.cid ?? ended
      const block = blocks.find(({ cid }) => bytesEqual(cid, at))?.block
      const what = bytesEqual(at, ended) ? 'chain' : 'content'
      return {
        damage: damageOf(error, number, what, ended),
        end: block === undefined ? commit.next : block.first + block.entries.length,
      }
    } finally {
      watch.close()
    }
  }
}

const ALWAYS_NEW: Seen = { has: () => false, add: () => true }

function damageOf(
  error: CairnError,
  commit: number,
  what: DamagedKind,
  cid: CidBytes | null,
): Damage {
  const named = error.details['cid']
  const text = typeof named === 'string' ? named : cid === null ? null : printCid(cid)
  return { commit, what, cid: text, code: error.code, message: error.message }
}
