/** A commit as it comes from a store: read, and checked to be the one that was asked for. */
import { CairnError, isCairnError } from '../errors.ts'
import { POINTER_HINT, decodeCommit, type EncodedCommit } from '../model/commit.ts'
import type { Backend, CallOptions } from '../store/backend.ts'

export function checkedCommit(dataset: string, number: number, bytes: Uint8Array): EncodedCommit {
  const stored = decodeNamed(dataset, number, bytes)
  if (stored.commit.number === number && stored.commit.dataset === dataset) return stored
  throw damagedCommit(dataset, number, "it is another one's")
}

/** The newest commit of a dataset that must be there. */
export async function newestCommit(
  backend: Backend,
  dataset: string,
  { signal }: CallOptions,
): Promise<EncodedCommit> {
  const newest = await backend.newest(dataset, -1, { signal })
  if (newest !== undefined) return checkedCommit(dataset, newest.number, newest.bytes)
  throw new CairnError('dataset_not_found', `The store has no dataset "${dataset}".`, {
    hint: '`cairn datasets` lists those there are.',
    dataset,
  })
}

function decodeNamed(dataset: string, number: number, bytes: Uint8Array): EncodedCommit {
  try {
    return decodeCommit(bytes)
  } catch (error) {
    if (isCairnError(error, 'format_unsupported')) throw error
    throw damagedCommit(
      dataset,
      number,
      error instanceof Error ? error.message : 'unreadable',
      error,
    )
  }
}

function damagedCommit(dataset: string, number: number, why: string, cause?: unknown): CairnError {
  return new CairnError(
    'pointer_damaged',
    `Commit ${number} of "${dataset}" is damaged: ${why.replace(/\.$/, '')}.`,
    {
      hint: POINTER_HINT,
      dataset,
      number,
      cause,
    },
  )
}
