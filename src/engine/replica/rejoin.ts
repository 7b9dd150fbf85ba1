/**
 * Bringing an old primary back behind the one that took its place.
 *
 *   1 fence it, so that nothing more is written here
 *   2 find where the two parted, and read the log from there on: what only this store has
 *   3 append that to the new primary again, oldest first; tell of what does not fit there
 *   4 become a replica of the new primary
 *
 * An entry fits if its entity was left alone at the new primary since, or has there what came before it here: so
 * no entity's history forks. What is there already is passed over, so that dying anywhere and doing it again
 * gives the same. Nothing is deleted: what was current here stays until a prune.
 */
import { createHash } from 'node:crypto'
import { CairnError, isCairnError } from '../../errors.ts'
import { printCid, type CidBytes } from '../../model/cid.ts'
import type { Commit } from '../../model/commit.ts'
import type { Entry } from '../../model/entry.ts'
import type { Fork } from '../../model/replication.ts'
import { seenIn, type Visitor } from '../../reach/met.ts'
import { walkContent } from '../../reach/content.ts'
import { storeSource } from '../../reach/source.ts'
import { tipsOf } from '../../reach/tips.ts'
import type { HeldBlock } from '../../store/backend.ts'
import { DigestMap } from '../../util/digest-map.ts'
import type { Context, LongOptions } from '../context.ts'
import type { AppendEntry } from '../draft.ts'
import { logFrom, logViewOf } from '../log.ts'
import type { LoggedEntry } from '../history.ts'
import type { Pointer } from '../pointer.ts'
import { commitLog, generations } from '../prune/log.ts'
import { endStaging } from '../staging.ts'
import { existing, type SyncTarget } from './dataset-end.ts'
import { fencedBy } from './promote.ts'
import { supersedes } from './standing.ts'

/** An entry of the old primary that does not fit behind what the new one has. */
export interface RejoinConflict {
  readonly pi: string
  readonly ver: number
  readonly tip: string | null
  readonly ts: number
  readonly exp: number | null
  /** Its position in the log of the old primary. */
  readonly position: number
  readonly why: string
}

export interface HandOverOptions extends LongOptions {
  /** Is told of each conflict, and waited for. */
  readonly onConflict: (conflict: RejoinConflict) => Promise<void> | void
}

export interface HandedOver {
  readonly status: 'handed_over' | 'already_replica'
  readonly dataset: string
  /** Where the two parted; null where that was settled before. */
  readonly fork: Fork | null
  /** Entries that only this store had: appended again, there already, in conflict. */
  readonly appended: number
  readonly already: number
  readonly conflicts: number
}

export interface Primary extends SyncTarget {
  append(entry: AppendEntry): Promise<unknown>
}

/** Steps 1 to 3; `syncDataset` with `adopt` is the last. */
export async function handOver(
  old: SyncTarget,
  primary: Primary,
  options: HandOverOptions,
): Promise<HandedOver> {
  const { dataset } = old
  const mine = await existing(old, NEVER_HAD)
  const theirs = await existing(primary, NEVER_HAD)
  const replaced = (await mine.current(options.signal)).commit
  const there = (await theirs.current(options.signal)).commit
  if (replaced.replica !== undefined)
    return { status: 'already_replica', dataset, fork: null, ...NONE }
  if (!supersedes(there, replaced)) throw notReplaced(dataset, primary.context.backend.location)
  await mine.fence(fencedBy(there))
  const own = (await mine.current(options.signal)).commit
  const fork = await forkOf(old.context, own, there)
  if (fork === undefined) throw forkUnknown(dataset)
  const counts = await new HandingOver({ old, mine, primary, theirs, fork }, options).run()
  return { status: 'handed_over', dataset, fork, ...counts }
}

const NEVER_HAD = 'A store that never had it is made a replica with `cairn sync`.'
const NONE = { appended: 0, already: 0, conflicts: 0 }

/** The newest generation of this store that the new primary knows to have parted from. */
async function forkOf(context: Context, own: Commit, there: Commit): Promise<Fork | undefined> {
  const forks = new Map((there.failovers?.forks ?? []).map((one) => [one.generation.tag, one]))
  for await (const { last } of generations(commitLog(context, own, own.oldest))) {
    const fork = forks.get(last.generation.tag)
    if (fork !== undefined) return fork
  }
  return undefined
}

interface Sides {
  readonly old: SyncTarget
  readonly mine: Pointer
  readonly primary: Primary
  readonly theirs: Pointer
  readonly fork: Fork
}

/** So many entries, each of another entity, are appended at the same time. */
const AT_ONCE = 256

class HandingOver {
  readonly #sides: Sides
  readonly #options: HandOverOptions
  /** Of the new primary's entries since the fork: each one, and each entity. */
  readonly #there = new DigestMap()
  readonly #touched = new DigestMap()
  /** Of entities that both sides have written: the newest version that both have. */
  readonly #shared = new Map<string, number>()
  readonly #bad = new Set<string>()
  readonly #counts = { ...NONE }

  constructor(sides: Sides, options: HandOverOptions) {
    this.#sides = sides
    this.#options = options
  }

  async run(): Promise<Pick<HandedOver, 'appended' | 'already' | 'conflicts'>> {
    const { old, mine, primary, theirs } = this.#sides
    try {
      for await (const { entry } of this.#since(primary.context, theirs)) {
        this.#there.set(keyOf(entry.pi, entry.ver, printTip(entry.tip), entry.exp), 0)
        this.#touched.set(keyOf(entry.pi), 0)
      }
      let group = new Map<string, LoggedEntry>()
      for await (const one of this.#since(old.context, mine)) {
        if (group.has(one.entry.pi) || group.size === AT_ONCE) {
          await this.#append([...group.values()])
          group = new Map<string, LoggedEntry>()
        }
        group.set(one.entry.pi, one)
      }
      await this.#append([...group.values()])
      return { ...this.#counts }
    } finally {
      this.#there.close()
      this.#touched.close()
    }
  }

  async *#since(context: Context, pointer: Pointer): AsyncGenerator<LoggedEntry> {
    const { signal } = this.#options
    const state = await pointer.current(signal)
    const { floor, next } = state.commit
    const from = Math.max(floor, Math.min(this.#sides.fork.next, next))
    for await (const batch of logFrom(context, pointer, logViewOf(state), from, signal))
      yield* batch
  }

  /** Entries of entities that differ. */
  async #append(group: readonly LoggedEntry[]): Promise<void> {
    const fitting: { readonly one: LoggedEntry; readonly expectVer: number | undefined }[] = []
    for (const one of group) {
      const { pi, ver, tip, exp } = one.entry
      if (this.#bad.has(pi)) await this.#conflict(one, 'what came before it does not fit')
      else if (this.#there.has(keyOf(pi, ver, printTip(tip), exp))) {
        this.#counts.already += 1
        this.#shared.set(pi, ver)
      } else if (!this.#touched.has(keyOf(pi))) fitting.push({ one, expectVer: undefined })
      else if (this.#shared.has(pi)) fitting.push({ one, expectVer: this.#shared.get(pi) })
      else await this.#conflict(one, 'the entity was written at the new primary, too')
    }
    if (fitting.length === 0) return
    const end = await this.#bringContent(fitting.map(({ one }) => one.entry))
    try {
      await Promise.all(fitting.map(({ one, expectVer }) => this.#appendOne(one, expectVer)))
    } finally {
      await end()
    }
    this.#options.onProgress?.({ step: 'append again', done: this.#counts.appended })
  }

  async #appendOne(one: LoggedEntry, expectVer: number | undefined): Promise<void> {
    const { pi, ver, tip, ts, exp } = one.entry
    try {
      await this.#sides.primary.append({ pi, ver, tip, ts, exp, expectVer })
    } catch (error) {
      if (!isCairnError(error, 'conflict')) throw error
      return this.#conflict(one, error.message)
    }
    this.#counts.appended += 1
    if (expectVer !== undefined) this.#shared.set(pi, ver)
  }

  async #conflict({ entry, position }: LoggedEntry, why: string): Promise<void> {
    const { pi, ver, tip, ts, exp } = entry
    this.#bad.add(pi)
    this.#counts.conflicts += 1
    await this.#options.onConflict({ pi, ver, tip: printTip(tip), ts, exp, position, why })
  }

  /** Copies what the new primary lacks of the entries' content; it stays there until the answer is called. */
  async #bringContent(entries: readonly Entry[]): Promise<() => Promise<void>> {
    const { old, mine, primary } = this.#sides
    if (mine.seen.commit.settings.content === 'external') return async () => {}
    const { context } = primary
    const { dataset } = old
    const staging = await context.backend.stage(dataset, 'content of an old primary')
    const end = (): Promise<void> => endStaging(context, staging, { dataset, outcome: 'dropped' })
    const table = new DigestMap()
    try {
      const visitor: Visitor = {
        block: async ({ cid, bytes }) => {
          const block: HeldBlock = { cid, bytes, hold: 'staged' }
          await staging.put([block])
        },
        problem: (error) => {
          throw error
        },
      }
      const source = storeSource(old.context.backend)
      const { signal } = this.#options
      const walk = { source, seen: seenIn(table), visitor, deep: true, signal }
      await walkContent(walk, tipsOf(entries))
      await staging.flush()
      return end
    } catch (error) {
      await end()
      throw error
    } finally {
      table.close()
    }
  }
}

const printTip = (tip: CidBytes | null): string | null => (tip === null ? null : printCid(tip))

function keyOf(...parts: readonly unknown[]): Uint8Array {
  return createHash('sha256').update(JSON.stringify(parts)).digest()
}

function notReplaced(dataset: string, location: string): CairnError {
  return new CairnError('conflict', `The dataset "${dataset}" was not replaced by ${location}.`, {
    hint: 'Name the store that was promoted. A replica is kept up to date with `cairn sync`.',
    dataset,
  })
}

function forkUnknown(dataset: string): CairnError {
  return new CairnError(
    'history_gone',
    `Where "${dataset}" parted from the new primary is not kept.`,
    {
      hint: 'Export what is here (`cairn export`), compare it with the new primary, then sync to an empty store.',
      dataset,
    },
  )
}
