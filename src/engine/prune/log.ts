/**
 * The commits of a dataset, looked at where they change: by halving, since generations never go back,
 * and there may be millions of commits between two changes.
 */
import type { Commit } from '../../model/commit.ts'
import { bytesEqual, type CidBytes } from '../../model/cid.ts'
import { checkedCommit } from '../checked-commit.ts'
import type { Context } from '../context.ts'

export interface CommitLog {
  /** Undefined where the store has none (any more). */
  read(number: number): Promise<Commit | undefined>
  readonly newest: Commit
  readonly oldest: number
}

/** The commits from `oldest` to `newest`, each read once. */
export function commitLog(
  { backend }: Pick<Context, 'backend'>,
  newest: Commit,
  oldest: number,
  signal?: AbortSignal,
): CommitLog {
  const known = new Map<number, Commit>([[newest.number, newest]])
  return {
    newest,
    oldest,
    async read(number) {
      const there = known.get(number)
      if (there !== undefined) return there
      const bytes = await backend.getCommit(newest.dataset, number, { signal })
      if (bytes === undefined) return undefined
      const { commit } = checkedCommit(newest.dataset, number, bytes)
      known.set(number, commit)
      return commit
    },
  }
}

/** The commits of one generation, as far as they are in the log. */
export interface Generation {
  readonly first: Commit
  readonly last: Commit
}

/** Newest first. */
export async function* generations(log: CommitLog): AsyncGenerator<Generation> {
  let last: Commit | undefined = log.newest
  while (last !== undefined) {
    const { number } = last.generation
    const from = log.oldest
    const at = await firstWhere(log, from, last.number, (one) => one.generation.number >= number)
    const first: Commit = (await log.read(at)) ?? last
    yield { first, last }
    last = first.number > log.oldest ? await log.read(first.number - 1) : undefined
  }
}

/** The lowest number in [from, to] whose commit `holds`; it holds for `to`, and stays so from there on. */
export async function firstWhere(
  log: CommitLog,
  from: number,
  to: number,
  holds: (commit: Commit) => boolean,
): Promise<number> {
  let low = from
  let high = to
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const commit = await log.read(middle)
    // A commit that is gone counts as too old.
    if (commit !== undefined && holds(commit)) high = middle
    else low = middle + 1
  }
  return low
}

/** One commit for every kept list that the log has named, newest first. */
export function keptLists(log: CommitLog): Promise<Commit[]> {
  return changesOf(log, (a, b) => bytesEqual(a.kept, b.kept))
}

/**
 * Of commits that are the same in something the newest, newest first. Between two that are the same all are
 * taken to be.
 */
export async function changesOf(
  log: CommitLog,
  isSame: (a: Commit, b: Commit) => boolean,
): Promise<Commit[]> {
  const found: Commit[] = [log.newest]
  const between = async (older: number, newer: Commit): Promise<void> => {
    if (older >= newer.number) return
    const commit = await log.read(older)
    if (commit !== undefined && isSame(commit, newer)) return
    const middle = Math.floor((older + newer.number) / 2)
    if (middle === older) {
      if (commit !== undefined) found.push(commit)
      return
    }
    const half = await log.read(middle)
    if (half === undefined) return between(middle + 1, newer)
    await between(middle, newer)
    await between(older, half)
  }
  await between(log.oldest, log.newest)
  return found
}

/** The newest commit of an identity; undefined where the log has none. */
export async function newestOf(log: CommitLog, identity: string): Promise<Commit | undefined> {
  for await (const { last } of generations(log)) if (last.identity === identity) return last
  return undefined
}

/**
 * The position down to which the log of a commit is surely there: a prune in a newer generation may have
 * taken what lies below that one's floor.
 */
export async function floorAt(log: CommitLog, { identity, number }: Commit): Promise<number> {
  let floor = 0
  for await (const { first, last } of generations(log)) {
    if (last.identity === identity) floor = Math.max(floor, last.floor)
    if (first.number <= number) break
  }
  return floor
}

/** A commit in which a snapshot was current; undefined where the log has none. */
export async function commitWith(
  log: CommitLog,
  { cid, seq }: { readonly cid: CidBytes; readonly seq: number },
): Promise<Commit | undefined> {
  for await (const { first, last } of generations(log)) {
    if (last.identity !== log.newest.identity) continue
    if (bytesEqual(first.snapshot, cid)) return first
    if (last.nextSeq <= seq) continue
    // What is built in a generation is numbered from `nextSeq` of its first commit on.
    const at = await firstWhere(log, first.number, last.number, (one) => one.nextSeq > seq)
    const built = await log.read(at)
    if (built !== undefined && bytesEqual(built.snapshot, cid)) return built
  }
  return undefined
}
