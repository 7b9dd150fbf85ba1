/** What several routes refuse in the same words. */
import type { AppendEntry } from '../../engine/draft.ts'
import { CairnError } from '../../errors.ts'

export function noEntity(pi: string, dataset: string): CairnError {
  return new CairnError(
    'not_found',
    `The dataset "${dataset}" has no entity "${pi.slice(0, 100)}".`,
    { hint: 'Its history shows whether it was deleted; a page with a prefix finds ids.', pi },
  )
}

/** A condition stands in a header or in a field. */
export function refuseBoth({
  expectVer,
  expectTip,
}: Pick<AppendEntry, 'expectVer' | 'expectTip'>): void {
  if (expectVer === undefined && expectTip === undefined) return
  throw new CairnError('usage', 'What is expected stands in a header and in a field.', {
    hint: 'Give If-Match, or expect_ver and expect_tip.',
  })
}
