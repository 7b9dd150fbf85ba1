/** Proving what the newest commit names at once: the kept list and the recent chain. */
import { checkSnapshot } from '../engine/state.ts'
import { CairnError, toCairnError } from '../errors.ts'
import { printCid, type CidBytes } from '../model/cid.ts'
import { POINTER_HINT, type Commit } from '../model/commit.ts'
import { decodeKeptPage, type KeptPage, type KeptSnapshot } from '../model/kept.ts'
import type { SnapshotHeader } from '../model/snapshot.ts'
import { problemOf, type Seen } from '../reach/met.ts'
import type { Backend } from '../store/backend.ts'
import type { Findings } from './finding.ts'
import { chainPart, isSame, stretchOf, type ChainPart } from './part.ts'
import { walkLog, type LogWalk } from './stretch.ts'

export interface KeptList {
  readonly snapshots: readonly KeptSnapshot[]
  readonly whole: boolean
}

export async function proveKeptList(
  backend: Backend,
  commit: Commit,
  seen: Seen,
  findings: Findings,
  signal: AbortSignal | undefined,
): Promise<KeptList> {
  const snapshots: KeptSnapshot[] = []
  for (let cid: CidBytes | null = commit.kept; cid !== null;) {
    const [bytes] = await backend.getBlocks([cid], { signal })
    const page = checkedPage(cid, bytes, findings)
    if (page === undefined || bytes === undefined) return { snapshots, whole: false }
    if (seen.add(cid)) findings.met(bytes)
    for (const snapshot of page.snapshots.toReversed()) snapshots.push(snapshot)
    if (snapshots.length > commit.keptCount) break
    cid = page.older
  }
  const names = snapshots.some(({ cid }) => isSame(cid, commit.snapshot))
  if (snapshots.length !== commit.keptCount || !names) {
    const error = disagrees(
      `The index pointer counts ${commit.keptCount} kept snapshots and names ${printCid(commit.snapshot)}; the kept list has ${snapshots.length}${names ? '' : ' without it'}.`,
    )
    findings.add(error, 'kept list', commit.kept)
  }
  return { snapshots, whole: true }
}

function checkedPage(
  cid: CidBytes,
  bytes: Uint8Array | undefined,
  findings: Findings,
): KeptPage | undefined {
  try {
    const problem = problemOf(cid, bytes, 'snapshot')
    if (problem === undefined && bytes !== undefined) return decodeKeptPage(bytes)
    findings.add(problem, 'kept list', cid)
  } catch (error) {
    findings.add(toCairnError(error), 'kept list', cid)
  }
  return undefined
}

/** What the commit says of its snapshot must be what the header says. */
export function provePointer(commit: Commit, header: SnapshotHeader, findings: Findings): void {
  try {
    checkSnapshot(commit, header)
  } catch (error) {
    findings.add(toCairnError(error), 'commit', null)
  }
}

export interface RecentChain {
  readonly parts: readonly ChainPart[]
  readonly whole: boolean
}

/** The recent chain as the commit counts it, in stretches; what it holds is proved with these. */
export async function proveRecentChain(
  walk: LogWalk,
  commit: Commit,
  findings: Findings,
): Promise<RecentChain> {
  const { head, base, next, chainFirst, recentCount } = commit
  const begins: { readonly cid: CidBytes; readonly follows: number }[] = []
  let broken = false
  let stretch: number | undefined
  let [count, follows] = [0, next]
  let at = head
  // A block that is missing or wrong is told by the stretch it ends.
  const silent = { ...walk, problem: () => void (broken = true) }
  for await (const { cid, block } of walkLog(silent, head, next, base)) {
    if (stretchOf(block.first) !== stretch) begins.push({ cid, follows })
    stretch = stretchOf(block.first)
    count += block.entries.length
    follows = block.first
    at = block.prev
  }
  if (broken && begins.length === 0 && head !== null) begins.push({ cid: head, follows })
  const parts = begins.map((one, i) =>
    chainPart(one.cid, one.follows, begins[i + 1]?.cid ?? (broken ? null : base)),
  )
  const first = head === null ? chainFirst : follows
  const whole = head === null || at === base || isSame(at, base)
  if (!broken && !(whole && count === recentCount && first === chainFirst)) {
    const error = disagrees(
      `The index pointer counts ${recentCount} recent entries from position ${chainFirst} on, the chain holds ${count} from ${first} on.`,
    )
    findings.add(error, 'commit', null)
  }
  return { parts, whole: !broken }
}

function disagrees(message: string): CairnError {
  return new CairnError('pointer_damaged', message, { hint: POINTER_HINT })
}
