/** What the upkeep of a dataset must come to, in plain maps: the model of the tests that try to break it. */
import type { Entry } from '../../src/model/entry.ts'

/** An entry of a log. One object is one place in the store: states that share a block share its objects. */
export interface Logged {
  readonly pi: string
  readonly ver: number
  /** The tip's CID as text; null: deleted. */
  readonly tip: string | null
  readonly exp: number | null
  readonly position: number
}

export interface Snap {
  readonly cid: string
  readonly seq: number
  readonly ts: number
  readonly tags: readonly string[]
  /** Its branch of the log, oldest first. */
  readonly log: readonly Logged[]
  readonly entries: ReadonlyMap<string, Logged>
}

export interface Current {
  readonly snap: Snap
  readonly chain: readonly Logged[]
}

export interface Made {
  readonly number: number
  readonly ts: number
  readonly identity: string
  readonly state: Current
  /** The kept snapshots, oldest first. */
  readonly kept: readonly Snap[]
}

export const isAlive = (exp: number | null, at: number): boolean => exp === null || exp > at

export function entriesOf({ snap, chain }: Current): Map<string, Logged> {
  const newest = new Map(snap.entries)
  for (const one of chain) newest.set(one.pi, one)
  return newest
}

/** What a reader sees at a moment, as lines, in the order of ids. */
export function seenAt(entries: ReadonlyMap<string, Logged>, at: number): string[] {
  return [...entries.values()]
    .filter(({ tip, exp }) => tip !== null && isAlive(exp, at))
    .map(({ pi, ver, tip }) => `${pi}@${ver} ${tip}`)
    .toSorted()
}

export function seenOf(entries: readonly Entry[], print: (tip: Uint8Array) => string): string[] {
  return entries
    .map(({ pi, ver, tip }) => `${pi}@${ver} ${tip === null ? 'deleted' : print(tip)}`)
    .toSorted()
}

export const logOf = ({ snap, chain }: Current): Logged[] => [...snap.log, ...chain]

/** The entries of the recent chain behind the last that the other state's log has, too. */
export function notIn(chain: readonly Logged[], other: Current): readonly Logged[] {
  const log = new Set(logOf(other))
  return chain.slice(chain.findLastIndex((one) => log.has(one)) + 1)
}

export class DatasetModel {
  readonly name: string
  made: Made[] = []
  /** The oldest commit that is kept. */
  oldest = 0
  /** The positions that were given, by identity: of one that was forgotten they are, too. */
  readonly positions: Map<string, Set<number>> = new Map<string, Set<number>>()
  /** Whether all of the log is surely there: nothing was pruned, and nothing came from a CAR. */
  whole = true

  constructor(name: string) {
    this.name = name
  }

  get newest(): Made {
    const newest = this.made.at(-1)
    if (newest === undefined) throw new Error(`no commit of ${this.name}`)
    return newest
  }

  get keptCommits(): Made[] {
    return this.made.filter(({ number }) => number >= this.oldest)
  }

  /** The kept list of an identity, as it was last. */
  listOf(identity: string): readonly Snap[] {
    return this.keptCommits.findLast((one) => one.identity === identity)?.kept ?? []
  }

  /** The kept list after a prune, and the oldest commit: all from it on have kept snapshots. */
  pruned(last: number, tags: readonly string[]): { kept: readonly Snap[]; oldest: number } {
    const { kept, state, identity } = this.newest
    const newestFirst = kept.toSorted((a, b) => b.ts - a.ts || b.seq - a.seq)
    const stays = new Set(newestFirst.slice(0, last).map(({ cid }) => cid))
    for (const { cid, tags: own } of kept) {
      if (cid === state.snap.cid || own.some((tag) => tags.includes(tag))) stays.add(cid)
    }
    const list = kept.filter(({ cid }) => stays.has(cid))
    const broken = this.keptCommits.findLast(
      (one) => one.identity !== identity || !stays.has(one.state.snap.cid),
    )
    return { kept: list, oldest: broken === undefined ? this.oldest : broken.number + 1 }
  }
}
