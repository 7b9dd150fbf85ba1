/**
 * Puts a commit's file in place, and finds out what became of it.
 *
 * `files cp` is put-if-absent, so to ask again is to find out: either it succeeds, or the name is
 * taken and the bytes there tell whose it is. Only when no answer comes at all is a commit unknown.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CairnError, isCairnError } from '../../errors.ts'
import { bytesEqual, printCid, rawCidOf } from '../../model/cid.ts'
import type { CallOptions, CommitOutcome } from '../../store/backend.ts'
import type { Mfs } from './mfs.ts'
import { mayHaveRun, means } from './refusals.ts'

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1_000
const MOST_ASIDE = 8

export interface Placing {
  readonly mfs: Mfs
  /** How long a node that cannot be reached is tried again. */
  readonly retryMs: number
  /** Throws where what the commit names may be gone. */
  readonly mayGoOn: () => void
  /** Puts the commit's block on the node once more, and holds it until the commit has settled. */
  readonly putAgain: () => Promise<void>
}

/** `bytes` must have been put on the node; `path` is where they go. */
export async function placeCommit(
  { mfs, retryMs, mayGoOn, putAgain }: Placing,
  path: string,
  bytes: Uint8Array,
  options?: CallOptions,
): Promise<CommitOutcome> {
  const cid = printCid(rawCidOf(bytes))
  const giveUpAt = performance.now() + retryMs
  let collected = false
  let aside = 0
  /** Whether a try may have taken effect without telling. */
  let unsure = false
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    let placed = false
    try {
      await mfs.link(cid, path, { ...options, mayGoOn })
      placed = true
      unsure = true
      await mfs.flush(path, options)
      return 'committed'
    } catch (error) {
      if (means(error, 'nameTaken')) return ownerOf(mfs, path, bytes, options)
      const isAside = means(error, 'putAside') || (placed && means(error, 'pathMissing'))
      if (isAside && ++aside < MOST_ASIDE) {
        unsure = true
        continue
      }
      if (means(error, 'blockMissing') && !collected) {
        // In nobody's hold between its import and here, it was taken by a garbage collection.
        collected = true
        await putAgain().catch((reason: unknown) => {
          throw unsure ? commitUnknown(path, reason) : reason
        })
        continue
      }
      // A prune removed the directory: the number was given long ago. Or the store was emptied.
      if (means(error, 'directoryMissing') && !unsure) return 'forgotten'
      unsure ||= mayHaveRun(error) && !means(error, 'directoryMissing')
      const again = isCairnError(error, 'backend_unavailable') && performance.now() < giveUpAt
      if (!again && !unsure) throw error
      if (!again) return lookUp(mfs, path, bytes, error, options)
    }
    await sleep(pause)
  }
}

/** For a name that is taken. */
async function ownerOf(
  mfs: Mfs,
  path: string,
  bytes: Uint8Array,
  options?: CallOptions,
): Promise<CommitOutcome> {
  try {
    const there = await mfs.read(path, options)
    if (there === undefined) throw commitUnknown(path)
    if (!bytesEqual(there, bytes)) return 'conflict'
    // Ours, by an earlier try that may have ended before it was on disk.
    await mfs.flush(path, options)
    return 'committed'
  } catch (error) {
    throw commitUnknown(path, error)
  }
}

async function lookUp(
  mfs: Mfs,
  path: string,
  bytes: Uint8Array,
  cause: unknown,
  options?: CallOptions,
): Promise<CommitOutcome> {
  const found = await mfs.cidAt(path, options).catch(() => undefined)
  // Not there is no answer: the change may be waiting on the node, for a collection to end.
  if (found === undefined) throw commitUnknown(path, cause)
  return ownerOf(mfs, path, bytes, options)
}

export function commitUnknown(path: string, cause?: unknown): CairnError {
  if (isCairnError(cause, 'commit_unknown')) return cause
  return new CairnError('commit_unknown', `Whether the commit ${path} was made is not known.`, {
    hint: 'Make the same commit again, or read the newest one: it tells.',
    cause,
    path,
  })
}
