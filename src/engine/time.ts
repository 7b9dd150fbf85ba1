/** Finding what was current at another moment: a kept snapshot, a kept commit, or a time. */
import { CairnError } from '../errors.ts'
import { bytesEqual, type CidBytes } from '../model/cid.ts'
import type { Commit, EncodedCommit } from '../model/commit.ts'
import { Overlay } from '../chain/overlay.ts'
import { checkedCommit } from './checked-commit.ts'
import type { Context } from './context.ts'
import { completeState, openTree, prepareState, type State } from './state.ts'
import { findHeader } from './snapshots.ts'

/** A moment of a dataset's past: one of these. */
export interface At {
  /** A snapshot by selector (`latest~1`, `seq:7`, a tag, a CID): its entities, without any chain. */
  readonly snapshot?: string | undefined
  /** A commit by number. */
  readonly commit?: number | undefined
  /** Milliseconds since 1970: the newest commit that was not later. */
  readonly time?: number | undefined
}

/** The last moment that a Date can be. */
const LAST_TIME = 8_640_000_000_000_000

/** What a reader of the past needs: an overlay, and the moment by which expiry is judged. */
export interface PastState {
  readonly commit: Commit
  readonly overlay: Overlay
  readonly at: number
  readonly totalCount: number
}

/** Remembers the commit that was looked at last: who reads of one moment mostly reads on, and chains are long. */
export class PastStates {
  readonly #context: Context
  #last: { readonly cid: CidBytes; readonly state: WeakRef<PastState> } | undefined

  constructor(context: Context) {
    this.#context = context
  }

  async at(now: State, at: At, signal?: AbortSignal): Promise<PastState> {
    checkMoment(at)
    const { snapshot, commit, time } = at
    if (snapshot !== undefined) return snapshotState(this.#context, now.commit, snapshot, signal)
    const stored =
      commit === undefined
        ? await commitAtTime(this.#context, now.stored, time ?? 0, signal)
        : await readCommit(this.#context, now.commit, commit, signal)
    const { cid } = stored
    const known = this.#last !== undefined && bytesEqual(this.#last.cid, cid)
    const last = known ? this.#last?.state.deref() : undefined
    if (last !== undefined) return last
    const state = await commitState(this.#context, stored, signal)
    this.#last = { cid, state: new WeakRef(state) }
    return state
  }
}

async function commitState(
  context: Context,
  stored: EncodedCommit,
  signal: AbortSignal | undefined,
): Promise<PastState> {
  const { commit, overlay } = completeState(await prepareState(context, stored, undefined, signal))
  return { commit, overlay, at: commit.ts, totalCount: commit.totalCount }
}

function checkMoment({ snapshot, commit, time }: At): void {
  if ([snapshot, commit, time].filter((one) => one !== undefined).length !== 1) {
    throw new CairnError('usage', 'A moment is one snapshot, one commit or one time.', {
      hint: 'Give just one of snapshot, commit and time.',
    })
  }
  if (time !== undefined && !(Math.abs(time) <= LAST_TIME)) {
    throw new CairnError('usage', `A time of ${time} is not possible.`, {
      hint: 'Use milliseconds since 1970.',
    })
  }
}

async function snapshotState(
  context: Context,
  commit: Commit,
  selector: string,
  signal: AbortSignal | undefined,
): Promise<PastState> {
  const { header } = await findHeader(context, commit, selector, signal)
  const overlay = new Overlay(await openTree(context, header, signal))
  return { commit, overlay, at: header.ts, totalCount: header.live }
}

export async function readCommit(
  context: Context,
  now: Commit,
  number: number,
  signal?: AbortSignal,
): Promise<EncodedCommit> {
  // One of another identity was current before a restore put this one in its place.
  const kept = number >= now.oldest && number <= now.number
  const bytes = kept ? await context.backend.getCommit(now.dataset, number, { signal }) : undefined
  if (bytes !== undefined) return checkedCommit(now.dataset, number, bytes)
  throw new CairnError('not_found', `Commit ${number} of "${now.dataset}" is not kept.`, {
    hint: `The newest one is ${now.number}; older ones may have been pruned.`,
  })
}

/** The newest commit that is not later than `time`: times never go back, so halving finds it. */
async function commitAtTime(
  context: Context,
  now: EncodedCommit,
  time: number,
  signal: AbortSignal | undefined,
): Promise<EncodedCommit> {
  if (now.commit.ts <= time) return now
  let found: EncodedCommit | undefined
  let low = now.commit.oldest
  let high = now.commit.number - 1
  while (low <= high) {
    const middle = Math.floor((low + high) / 2)
    const stored = await readCommit(context, now.commit, middle, signal)
    if (stored.commit.ts <= time) {
      found = stored
      low = middle + 1
    } else {
      high = middle - 1
    }
  }
  if (found !== undefined) return found
  throw new CairnError('not_found', `Nothing of "${now.commit.dataset}" is kept from that time.`, {
    hint: 'The oldest kept commit is later.',
    time: new Date(time).toISOString(),
  })
}
