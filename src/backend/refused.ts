/** What stores of several kinds refuse in the same words. */
import { CairnError } from '../errors.ts'

/** A commit names blocks of a staging that the store does not hold any more. */
export function stagingVoid(): CairnError {
  return new CairnError('conflict', 'The store has ended the staging of this commit.', {
    hint: 'Begin again: a staging that is not renewed for an hour ends, and what it wrote may be gone.',
  })
}

/** Asked for commits behind `expected`, the store has none newer than `actual`. */
export function storeChanged(dataset: string, expected: number, actual: number): CairnError {
  return new CairnError(
    'store_changed',
    `The store no longer has commit ${expected} of ${dataset}.`,
    { hint: 'It was emptied or replaced: restore it from a backup.', dataset, expected, actual },
  )
}
