/**
 * Which commits, of those that lie about as blocks, belong together, and which is the newest. Pure.
 *
 * A commit names the one before it by its CID, so commits form lines that cannot be mistaken. Several lines
 * of one dataset are two histories, or writers that wanted the same number: of these the one that another
 * commit follows was made, and the others were not. Nothing else tells, least of all time: what is left
 * is for people to choose from.
 */
import { cidKey, sameCid, type CidBytes } from '../../model/cid.ts'
import type { Commit } from '../../model/commit.ts'

/** What is remembered of a commit; there may be millions. */
export interface FoundCommit extends Pick<
  Commit,
  'dataset' | 'number' | 'prev' | 'identity' | 'ts' | 'oldest' | 'snapshotSeq' | 'totalCount'
> {
  readonly cid: CidBytes
}

/** Commits that follow each other, newest first, as far down as they are there and kept. */
export interface CommitLine {
  readonly newest: FoundCommit
  readonly commits: readonly FoundCommit[]
  /** The kept commits below them that are not there: history, which the newest state does not need. */
  readonly lost: number
}

/** The lines of one dataset that may be its history, the one with the highest number first. */
export function commitLines(found: readonly FoundCommit[]): CommitLine[] {
  const byCid = new Map(found.map((one) => [cidKey(one.cid), one]))
  const followed = new Set(found.flatMap(({ prev }) => (prev === null ? [] : [cidKey(prev)])))
  const lines = [...byCid.values()]
    .filter(({ cid }) => !followed.has(cidKey(cid)))
    .map((newest) => lineTo(newest, byCid))
    .toSorted((a, b) => b.newest.number - a.newest.number)
  return lines.filter(({ newest }) => !lines.some((line) => wonAgainst(line, newest)))
}

/** The line that ends with one commit, whatever follows it. */
export function lineEndingAt(found: readonly FoundCommit[], newest: FoundCommit): CommitLine {
  return lineTo(newest, new Map(found.map((one) => [cidKey(one.cid), one])))
}

function lineTo(newest: FoundCommit, byCid: ReadonlyMap<string, FoundCommit>): CommitLine {
  const commits: FoundCommit[] = []
  for (let at: FoundCommit | undefined = newest; at !== undefined && at.number >= newest.oldest;) {
    commits.push(at)
    const before: FoundCommit | undefined =
      at.prev === null ? undefined : byCid.get(cidKey(at.prev))
    at = before?.number === at.number - 1 ? before : undefined
  }
  return { newest, commits, lost: newest.number - newest.oldest + 1 - commits.length }
}

/** Whether `line` has another commit after the same one as `other`, and has gone on from it. */
function wonAgainst({ newest, commits }: CommitLine, other: FoundCommit): boolean {
  const rival = commits[newest.number - other.number]
  return (
    newest.number > other.number &&
    rival !== undefined &&
    other.prev !== null &&
    sameCid(rival.prev, other.prev) &&
    !sameCid(rival.cid, other.cid)
  )
}
