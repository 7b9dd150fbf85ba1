/** In place of src/util/digest-file.ts: there is no folder to spill to, so what cannot fit is refused. */
import { CairnError } from '../../../../src/errors.ts'

/** About 200 MB; reading and proving a CAR takes two such tables. */
export const MEMORY_ENTRIES = 4_000_000

export class FileTable {
  readonly pages = { close: (): void => {} }

  constructor() {
    throw new CairnError('too_large', `The CAR has more than ${MEMORY_ENTRIES} blocks.`, {
      hint: 'A page cannot hold the places of so many; `cairn car verify` and `cairn car list` can.',
    })
  }

  find(): undefined {
    return undefined
  }

  add(): boolean {
    return false
  }
}
