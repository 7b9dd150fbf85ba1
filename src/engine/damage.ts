/**
 * Damage, and how what was found damaged is remembered: by tags in the kept list, which live as long as it.
 *
 *   damaged@57        a snapshot that was found damaged when the dataset fell back from commit 57
 *   fell-back@42-57   the snapshot it fell back to; none of the commits from 42 to 57 could be relied on
 *
 * What bears such a tag stays, and what it lacks stops no prune, until the mark is taken away: by a rollback
 * to one of those commits, which proves it first, or by a prune that is told to let go of it.
 */
import { isCairnError, type CairnError, type ErrorCode } from '../errors.ts'
import { cidKey, type CidBytes } from '../model/cid.ts'
import type { KeptSnapshot } from '../model/kept.ts'

const CODES: ReadonlySet<ErrorCode> = new Set([
  'block_missing',
  'block_mismatch',
  'invalid_block',
  'content_missing',
  'invalid_content',
  'invalid_entry',
  'too_large',
])

/** Whether an error says that what is stored is damaged, and not that it could not be asked for. */
export function isDamage(error: unknown): error is CairnError {
  return isCairnError(error) && CODES.has(error.code)
}

/** Commits none of which can be relied on, both ends included; the dataset fell back from `to`. */
export interface DamagedCommits {
  readonly from: number
  readonly to: number
}

type Tagged = Pick<KeptSnapshot, 'tags'>

const DAMAGED = /^damaged@(\d{1,15})$/
const FELL_BACK = /^fell-back@(\d{1,15})-(\d{1,15})$/

export function isMarkedDamaged({ tags }: Tagged): boolean {
  return tags.some((tag) => DAMAGED.test(tag))
}

export function bearsMark({ tags }: Tagged): boolean {
  return tags.some((tag) => DAMAGED.test(tag) || FELL_BACK.test(tag))
}

/** The commits that a dataset fell back from and has not let go of. */
export function damagedCommits(snapshots: Iterable<Tagged>): DamagedCommits[] {
  const found: DamagedCommits[] = []
  for (const { tags } of snapshots) {
    for (const tag of tags) {
      const [, from, to] = FELL_BACK.exec(tag) ?? []
      if (from !== undefined && to !== undefined) found.push({ from: Number(from), to: Number(to) })
    }
  }
  return found
}

/** What a kept list says was damaged. */
export interface Marks {
  readonly commits: readonly DamagedCommits[]
  readonly snapshots: readonly CidBytes[]
}

export function marksOf(snapshots: readonly KeptSnapshot[]): Marks {
  return {
    commits: damagedCommits(snapshots),
    snapshots: snapshots.filter(isMarkedDamaged).map(({ cid }) => cid),
  }
}

/** A kept list with the marks of a falling back. */
export function marked(
  snapshots: readonly KeptSnapshot[],
  { from, to }: DamagedCommits,
  { damaged, good }: { readonly damaged: ReadonlySet<string>; readonly good: CidBytes },
): KeptSnapshot[] {
  return snapshots.map((one) => {
    const key = cidKey(one.cid)
    const more = [
      ...(damaged.has(key) ? [`damaged@${to}`] : []),
      ...(key === cidKey(good) ? [`fell-back@${from}-${to}`] : []),
    ]
    return more.length === 0 ? one : { ...one, tags: [...one.tags, ...more] }
  })
}

/** A kept list without the marks of one falling back. */
export function unmarked(
  snapshots: readonly KeptSnapshot[],
  { from, to }: DamagedCommits,
): KeptSnapshot[] {
  const gone = new Set([`damaged@${to}`, `fell-back@${from}-${to}`])
  return snapshots.map((one) => ({ ...one, tags: one.tags.filter((tag) => !gone.has(tag)) }))
}

/** A kept snapshot without any mark. */
export function withoutMarks(one: KeptSnapshot): KeptSnapshot {
  return { ...one, tags: one.tags.filter((tag) => !DAMAGED.test(tag) && !FELL_BACK.test(tag)) }
}
