import { CairnError } from '../errors.ts'

export function noEntity(pi: string, dataset: string): CairnError {
  return new CairnError(
    'not_found',
    `The dataset "${dataset}" has no entity "${pi.slice(0, 100)}".`,
    {
      hint: '`cairn history PI` shows whether it was deleted; `cairn list --prefix` finds ids.',
      pi,
    },
  )
}
