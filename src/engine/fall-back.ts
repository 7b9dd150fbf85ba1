/**
 * Falling back: the newest state of a dataset is proved whole; if it is damaged, the newest kept one that is
 * whole becomes current, in a commit with a new generation as a rollback makes it. It works where the damage
 * keeps the dataset from being opened, so it stands on the newest commit alone.
 *
 *   1 prove the newest state; if it is whole, nothing changes
 *   2 find the newest commit whose state is whole, and prove it
 *   3 commit it, with a kept list that bears the marks of what was damaged (damage.ts)
 *
 * Dying before 3 changes nothing. Only damage counts: a store that does not answer, or a record of another
 * version, ends it with that error, and so does a newest commit that cannot be read.
 */
import { CairnError, isCairnError } from '../errors.ts'
import { bytesEqual, type CidBytes } from '../model/cid.ts'
import { encodeCommit, type Commit, type EncodedCommit } from '../model/commit.ts'
import type { KeptSnapshot } from '../model/kept.ts'
import { newestCommit } from './checked-commit.ts'
import type { Context, LongOptions } from './context.ts'
import { isDamage, marked, type DamagedCommits } from './damage.ts'
import { keptAnew } from './kept-anew.ts'
import { commitSurely, successorOf } from './next-commit.ts'
import { checkNotes } from './notes.ts'
import { madeBy, secondsSince } from './observe.ts'
import { StateProof, type Damage } from './prove-state.ts'
import { keptPages } from './prune/kept-pages.ts'
import { lostFrom } from './lost-from.ts'
import { newestWhole } from './newest-whole.ts'
import { commitLog, type CommitLog } from './prune/log.ts'
import { checkWritable } from './replica/standing.ts'
import { pastState, planRollback } from './rollback.ts'
import { checkSnapshot, readHeader } from './state.ts'

export interface FallBackOptions extends LongOptions {
  /** Why it was asked for; for the commit, beside what was damaged. */
  readonly reason?: string | undefined
}

export interface FellBack {
  readonly status: 'fell_back'
  /** The commit whose state was damaged. A rollback to it, once it is repaired, undoes this. */
  readonly from: number
  /** The commit whose state is current again. */
  readonly to: number
  /** The commit that did it. */
  readonly commit: number
  readonly generation: number
  readonly snapshot: CidBytes
  readonly seq: number
  readonly totalCount: number
  /** What was found: of each state that was looked at the first of its tree and of its chain. */
  readonly damage: readonly Damage[]
  /** The positions of the log that are no longer current: from `from` up to, and without, `to`. */
  readonly lost: { readonly from: number; readonly to: number }
  /** Kept snapshots that only the damaged kept list named. */
  readonly unlisted: number
}

export type FallBackReport = { readonly status: 'good'; readonly commit: number } | FellBack

/** Others who write meanwhile make it begin anew, so often. */
const MOST_TRIES = 100

export async function fallBack(
  context: Context,
  dataset: string,
  options: FallBackOptions = {},
): Promise<FallBackReport> {
  checkNotes(options)
  const proof = new StateProof(context, options)
  try {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const stored = await newestCommit(context.backend, dataset, options)
      const report = await new Search(context, stored, proof, options).run()
      if (report !== 'outdated') return report
      proof.forget()
    }
  } finally {
    proof.close()
  }
  throw new CairnError('busy', `Others go on writing to "${dataset}" all the time.`, {
    hint: 'Stop the writers, and try again.',
    dataset,
  })
}

/** One try, from one newest commit. */
class Search {
  readonly #context: Context
  readonly #stored: EncodedCommit
  readonly #proof: StateProof
  readonly #options: FallBackOptions
  readonly #log: CommitLog
  readonly #damage: Damage[] = []

  constructor(
    context: Context,
    stored: EncodedCommit,
    proof: StateProof,
    options: FallBackOptions,
  ) {
    this.#context = context
    this.#stored = stored
    this.#proof = proof
    this.#options = options
    const { commit } = stored
    this.#log = readableLog(commitLog(context, commit, commit.oldest, options.signal))
  }

  async run(): Promise<FallBackReport | 'outdated'> {
    const { commit } = this.#stored
    try {
      const list = await this.#proof.keptList(commit)
      if (list.damage !== undefined) this.#damage.push(list.damage)
      await this.#proveNewest()
      if (this.#damage.length === 0) return { status: 'good', commit: commit.number }
      // What is missing of a state that is not the newest any more may be what a prune has freed.
      if (await this.#isOutdated()) return 'outdated'
      this.#refuseGuarded()
      const good = await newestWhole(this.#log, this.#proof, (damage) => this.#note(damage))
      if (good === undefined) throw this.#nothingGood()
      const kept = list.damage === undefined ? list.snapshots.reverse() : await this.#keptAnew(good)
      return await this.#commit(good, kept)
    } catch (error) {
      if (isDamage(error) && (await this.#isOutdated())) return 'outdated'
      throw error
    }
  }

  async #proveNewest(): Promise<void> {
    const { commit } = this.#stored
    const tree = await this.#proof.tree(commit)
    const chain = await this.#proof.chain(commit)
    for (const damage of [tree, chain?.damage]) if (damage !== undefined) this.#damage.push(damage)
    if (tree !== undefined) return
    checkSnapshot(commit, await readHeader(this.#context, commit, this.#options.signal))
  }

  async #isOutdated(): Promise<boolean> {
    const { commit } = this.#stored
    const { signal } = this.#options
    const newer = await this.#context.backend.newest(commit.dataset, commit.number, { signal })
    return newer !== undefined
  }

  #refuseGuarded(): void {
    const { exclusive, dataset } = this.#stored.commit
    checkWritable(this.#stored.commit)
    if (exclusive === null || exclusive.until <= this.#context.now()) return
    throw new CairnError('busy', `The dataset "${dataset}" is reserved: ${exclusive.reason}.`, {
      hint: `Try again when it is done, or after ${new Date(exclusive.until).toISOString()} if it died.`,
    })
  }

  #note(damage: Damage): void {
    const isNew = !this.#damage.some(
      ({ commit, what, cid }) =>
        commit === damage.commit && what === damage.what && cid === damage.cid,
    )
    if (isNew) this.#damage.push(damage)
  }

  #nothingGood(): CairnError {
    const { dataset, number } = this.#stored.commit
    return new CairnError(
      'damage_found',
      `No kept state of "${dataset}" is whole. ${this.#damage[0]?.message ?? ''}`,
      {
        hint: 'Repair it from another store or a CAR (`cairn verify`, `cairn repair`), or restore it from a CAR. Nothing was changed.',
        dataset,
        number,
        damage: this.#damage,
      },
    )
  }

  async #keptAnew(good: Commit): Promise<KeptSnapshot[]> {
    const { signal } = this.#options
    const kept = await keptAnew(this.#context, this.#log, this.#proof, signal)
    if (kept.some(({ cid }) => bytesEqual(cid, good.snapshot))) return kept
    throw new CairnError('internal', `snapshot ${good.snapshotSeq} is whole and cannot be listed`)
  }

  async #commit(good: Commit, kept: readonly KeptSnapshot[]): Promise<FellBack | 'outdated'> {
    const context = this.#context
    const { commit } = this.#stored
    const range: DamagedCommits = {
      from: Math.min(good.number + 1, commit.number),
      to: commit.number,
    }
    const marks = { damaged: this.#proof.damagedSnapshots, good: good.snapshot }
    const pages = keptPages(marked(kept, range, marks))
    const past = await pastState(context, commit, encodeCommit(good), this.#options.signal)
    const newest = { ...commit, kept: pages.at(-1)?.cid ?? commit.kept, keptCount: kept.length }
    const reason = this.#reason(good)
    const lost = await lostFrom(context, this.#log, good, this.#options.signal)
    const plan = await planRollback(context, commit, { ...past, newest, pages }, { reason })
    const next = successorOf(context, this.#stored, { exclusive: null, ...plan.changes })
    const began = performance.now()
    const { dataset, number } = next.commit
    const request = { dataset, number, bytes: next.bytes, blocks: plan.blocks }
    if ((await commitSurely(context, request)) !== 'committed') return 'outdated'
    const made = madeBy(commit, next.commit)
    context.observe?.('commit', secondsSince(began), { dataset, ...made })
    const report: FellBack = {
      status: 'fell_back',
      from: commit.number,
      to: good.number,
      commit: number,
      generation: next.commit.generation.number,
      snapshot: next.commit.snapshot,
      seq: next.commit.snapshotSeq,
      totalCount: next.commit.totalCount,
      damage: this.#damage,
      lost: { from: lost, to: commit.next },
      unlisted: Math.max(0, commit.keptCount - kept.length),
    }
    const { snapshot: _, ...told } = report
    context.log.error('fell_back', { dataset, ...told })
    return report
  }

  #reason(good: Commit): string {
    const { number } = this.#stored.commit
    const [first] = this.#damage
    const block = first?.cid === null || first === undefined ? '' : ` ${first.cid}`
    const what = first === undefined ? '' : `: ${first.what}${block} (${first.code})`
    const { reason } = this.#options
    const why = reason === undefined ? '' : `; ${reason}`
    return `fell back from commit ${number} to ${good.number}${what}${why}`
  }
}

/** A damaged record of an older commit is none to go back to. */
function readableLog(log: CommitLog): CommitLog {
  return {
    ...log,
    async read(number) {
      try {
        return await log.read(number)
      } catch (error) {
        if (isCairnError(error, 'pointer_damaged')) return undefined
        throw error
      }
    },
  }
}
