/** The kept snapshots of a dataset: listing them, newest first, and finding one by a selector. */
import { CairnError } from '../errors.ts'
import { bytesEqual, printCid, type CidBytes } from '../model/cid.ts'
import type { Commit } from '../model/commit.ts'
import { decodeKeptPage, type KeptSnapshot } from '../model/kept.ts'
import type { SnapshotHeader } from '../model/snapshot.ts'
import { readProvedBlock } from '../store/proved.ts'
import type { Context } from './context.ts'
import { readHeader } from './state.ts'

export async function* keptSnapshots(
  context: Pick<Context, 'backend'>,
  commit: Pick<Commit, 'kept'>,
  signal?: AbortSignal,
): AsyncGenerator<KeptSnapshot> {
  for (let page = commit.kept; ;) {
    const { older, snapshots } = decodeKeptPage(
      await readProvedBlock(context.backend, page, 'the kept list', { signal }),
    )
    yield* snapshots.toReversed()
    if (older === null) return
    page = older
  }
}

/**
 * A selector is `latest` (the current snapshot), `latest~N` (the N-th kept before it), `seq:N`, a tag, or a snapshot's CID or an
 * unambiguous beginning of it (8 characters or more).
 */
export async function findSnapshot(
  context: Context,
  commit: Commit,
  selector: string,
  signal?: AbortSignal,
): Promise<KeptSnapshot> {
  const matches = matcherOf(selector)
  const found: KeptSnapshot[] = []
  // After a rollback newer snapshots than the current one are kept: `latest` passes over them.
  let back: number | undefined
  for await (const snapshot of keptSnapshots(context, commit, signal)) {
    if (back !== undefined) back += 1
    else if (bytesEqual(snapshot.cid, commit.snapshot)) back = 0
    const match = matches(snapshot, back)
    if (match === 'this') return snapshot
    if (match === 'maybe') found.push(snapshot)
  }
  const [only, another] = found
  if (only !== undefined && another === undefined) return only
  throw new CairnError(
    'not_found',
    another === undefined
      ? `No kept snapshot of "${commit.dataset}" is "${selector}".`
      : `"${selector}" fits more than one snapshot of "${commit.dataset}".`,
    { hint: '`cairn snapshots` lists them; select by latest, latest~2, seq:7, a tag or a CID.' },
  )
}

export interface FoundHeader {
  readonly cid: CidBytes
  readonly header: SnapshotHeader
}

/** The header of a kept snapshot. */
export async function findHeader(
  context: Context,
  commit: Commit,
  selector: string,
  signal?: AbortSignal,
): Promise<FoundHeader> {
  const { cid } = await findSnapshot(context, commit, selector, signal)
  return { cid, header: await readHeader(context, { ...commit, snapshot: cid }, signal) }
}

/** `back`: how many snapshots before the current one; undefined for those that are newer. */
type Matcher = (snapshot: KeptSnapshot, back: number | undefined) => 'this' | 'maybe' | 'no'

function matcherOf(selector: string): Matcher {
  const latest = /^latest(?:~(\d{1,9}))?$/.exec(selector)
  if (latest !== null) {
    const nth = Number(latest[1] ?? 0)
    return (_, back) => (back === nth ? 'this' : 'no')
  }
  const seq = /^seq:(\d{1,15})$/.exec(selector)
  if (seq !== null) return (snapshot) => (snapshot.seq === Number(seq[1]) ? 'this' : 'no')
  return (snapshot) => {
    // A tag that was given again means the newest snapshot that bears it.
    if (snapshot.tags.includes(selector)) return 'this'
    const cid = printCid(snapshot.cid)
    if (cid === selector) return 'this'
    return selector.length >= 8 && cid.startsWith(selector) ? 'maybe' : 'no'
  }
}
