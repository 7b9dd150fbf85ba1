/** The commit after another one: made from it, and handed to the store until it is known what came of it. */
import { CairnError, isCairnError } from '../errors.ts'
import { encodeCommit, type Commit, type EncodedCommit } from '../model/commit.ts'
import type { CommitOutcome, CommitRequest } from '../store/backend.ts'
import type { Context } from './context.ts'

const UNKNOWN_RETRIES = 5
const UNKNOWN_DELAY_MS = 200

/** The commit after another one, with other fields. */
export function successorOf(
  context: Pick<Context, 'now' | 'writer'>,
  { commit, cid }: EncodedCommit,
  changes: Partial<Commit>,
): EncodedCommit {
  const same = changes.identity === undefined || changes.identity === commit.identity
  return encodeCommit({
    ...commit,
    ...(same ? {} : { failovers: undefined }),
    ...changes,
    number: commit.number + 1,
    prev: cid,
    ts: Math.max(context.now(), commit.ts, changes.ts ?? 0),
    writer: context.writer,
  })
}

/**
 * A commit whose outcome is unknown is asked for again, which finds out; never assumed. Where its number was
 * forgotten meanwhile nobody can tell any more: to make it anew might be to make it twice.
 */
export async function commitSurely(
  context: Context,
  request: CommitRequest,
): Promise<Exclude<CommitOutcome, 'forgotten'>> {
  for (let attempt = 1; ; attempt++) {
    const outcome = await context.backend.commit(request).catch((error: unknown) => {
      const unknown = isCairnError(error, 'commit_unknown')
      // An earlier try may have taken effect, so no other error of a later one says that none did.
      if (!unknown && attempt > 1) throw outcomeUnknown(request, error)
      if (!unknown || attempt > UNKNOWN_RETRIES) throw error
    })
    if (outcome === 'forgotten' && attempt > 1) throw outcomeUnknown(request)
    if (outcome !== undefined) return outcome === 'forgotten' ? 'conflict' : outcome
    const { dataset, number } = request
    context.log.info('commit.unknown', { dataset, number, attempt })
    await context.timers.delay(UNKNOWN_DELAY_MS * attempt)
  }
}

function outcomeUnknown({ dataset, number }: CommitRequest, cause?: unknown): CairnError {
  return new CairnError(
    'commit_unknown',
    `Whether commit ${number} of "${dataset}" took effect is not known.`,
    {
      hint: 'Look at the newest state before trying again; a retry with versions is safe.',
      cause,
    },
  )
}
