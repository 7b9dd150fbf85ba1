/** Live state needs a dataset that holds content: in one that keeps it elsewhere values would be lost. */
import type { Dataset } from '../engine/dataset.ts'
import { CairnError } from '../errors.ts'
import type { Commit } from '../model/commit.ts'

/** The commit that was looked at. */
export async function requireLinked(
  dataset: Dataset,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Commit> {
  const { commit } = await dataset.pointer(options)
  if (commit.settings.content === 'linked') return commit
  throw new CairnError(
    'conflict',
    `The dataset "${dataset.name}" keeps content elsewhere, and live state needs it here.`,
    { hint: 'Make a dataset with content "linked", which is the default, and use that one.' },
  )
}
