/**
 * Judging a group of batches that are to share a commit: what of them becomes entries, in which order, and what each
 * batch is told. A batch is all or nothing, and sees what those before it enter; one that is refused leaves no trace.
 */
import { CairnError, toCairnError } from '../errors.ts'
import { indexFrom, type LoadedBlock } from '../chain/walk.ts'
import type { CidBytes } from '../model/cid.ts'
import { liveOf, type Entry } from '../model/entry.ts'
import { OrderedLookup } from '../tree/ordered-lookup.ts'
import { judge, type Draft, type Verdict } from './draft.ts'
import type { State } from './state.ts'

export interface Appended {
  readonly pi: string
  readonly ver: number
  /** Its place in the dataset's log; null when it was there before and is folded into the snapshot. */
  readonly position: number | null
  /** The chain block that carries it; null where `position` is. */
  readonly block: CidBytes | null
  readonly status: 'appended' | 'already'
}

/** The entries of a group that were accepted, and what each batch is told. */
export interface Accepted {
  readonly entries: readonly Entry[]
  /** By how much the count of live entities changes. */
  readonly liveChange: number
  /** False when a batch was refused or found its entries there already. */
  readonly plain: boolean
  readonly answers: readonly (readonly Answer[] | CairnError)[]
}

interface Answer {
  readonly verdict: Verdict
  /** Index in the group's entries, or the position it has had before. */
  readonly index: number | undefined
  readonly position: number | null
}

interface Drafts {
  readonly drafts: readonly Draft[]
}

/** `at`: the moment of the commit. */
export async function judgeGroup(
  batches: readonly Drafts[],
  state: State,
  at: number,
): Promise<Accepted> {
  const rules = { at, deletedMs: state.commit.settings.deletedMs }
  const newest = await newestEntries(state, batches)
  const entries: Entry[] = []
  let liveChange = 0
  let plain = true
  const answers = batches.map(({ drafts }) => {
    const before: [string, Known][] = []
    const answer: Answer[] = []
    const first = entries.length
    const liveBefore = liveChange
    try {
      for (const draft of drafts) {
        const known = newest.get(draft.key) ?? NOTHING
        const verdict = judge(draft, known.entry, rules)
        before.push([draft.key, known])
        if (verdict.status === 'already') {
          plain = false
          answer.push({ verdict, index: known.index, position: known.position })
          continue
        }
        liveChange += liveOf(verdict.entry) - liveOf(known.entry)
        newest.set(draft.key, { entry: verdict.entry, index: entries.length, position: null })
        answer.push({ verdict, index: entries.length, position: null })
        entries.push(verdict.entry)
      }
      return answer
    } catch (error) {
      // All or nothing: what this batch had entered is taken back, from the last to the first.
      plain = false
      entries.length = first
      liveChange = liveBefore
      for (const [key, known] of before.toReversed()) newest.set(key, known)
      return toCairnError(error)
    }
  })
  return { entries, liveChange, plain, answers }
}

/** An entity's newest entry, in the state or in the group under way. */
interface Known {
  readonly entry: Entry | undefined
  readonly index: number | undefined
  readonly position: number | null
}

const NOTHING: Known = { entry: undefined, index: undefined, position: null }

/** The newest entries of all entities that a group touches, looked up in the order of their keys. */
async function newestEntries(
  state: State,
  batches: readonly Drafts[],
): Promise<Map<string, Known>> {
  const keys: string[] = []
  for (const { drafts } of batches) for (const { key } of drafts) keys.push(key)
  const newest = new Map<string, Known>()
  const lookup = new OrderedLookup(state.overlay.tree)
  for (const key of keys.sort()) {
    const over = state.overlay.get(key)
    if (over === undefined) {
      const found = lookup.seek(key)
      const { entry } = found instanceof Promise ? await found : found
      newest.set(key, { entry, index: undefined, position: null })
    } else {
      newest.set(key, { entry: over.entry, index: undefined, position: over.position })
    }
  }
  return newest
}

/** What each batch is told, once the group's entries stand in these chain blocks. */
export function answersOf(
  accepted: Accepted,
  { commit, chain }: State,
  appended: readonly LoadedBlock[],
): readonly (readonly Appended[] | CairnError)[] {
  const answerOf = ({ verdict, index, position: before }: Answer): Appended => {
    const { status, entry } = verdict
    const [blocks, position] =
      index === undefined ? [chain, before] : [appended, commit.next + index]
    const block = position === null ? null : (blocks[indexFrom(blocks, position)]?.cid ?? null)
    return { pi: entry.pi, ver: entry.ver, position, block, status }
  }
  return accepted.answers.map((answer) =>
    answer instanceof CairnError ? answer : answer.map(answerOf),
  )
}
