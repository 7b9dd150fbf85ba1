/** What a caller may write on a snapshot: a reason, tags, metadata. Checked before any work is done. */
import { CairnError } from '../errors.ts'
import { isPlain, type IpldMap } from '../model/ipld.ts'

export interface Notes {
  readonly reason?: string | undefined
  readonly tags?: readonly string[] | undefined
  readonly meta?: IpldMap | undefined
}

/** What names a snapshot without a tag could never be selected; and what the engine marks damage by is its own. */
const TAKEN = /^(latest(~\d+)?|seq:\d+|damaged@\d+|fell-back@\d+-\d+)$/

/** Programs without types pass anything; what is written must be what can be read again. */
export function checkNotes({ reason, tags, meta }: Notes): void {
  if (reason !== undefined && typeof reason !== 'string') throw refused('reason', 'a text')
  if (
    tags !== undefined &&
    !(Array.isArray(tags) && tags.every((tag) => typeof tag === 'string' && tag !== ''))
  ) {
    throw refused('tags', 'a list of texts')
  }
  const taken = tags?.find((tag) => TAKEN.test(tag))
  if (taken !== undefined)
    throw refused(`tag "${taken}"`, 'one that does not mean a snapshot by itself')
  if (meta === undefined) return
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta) || !isPlain(meta)) {
    throw refused('metadata', 'a map of texts, numbers, booleans, null, lists and maps')
  }
}

function refused(what: string, expected: string): CairnError {
  return new CairnError('usage', `The ${what} of a snapshot cannot be stored.`, {
    hint: `It must be ${expected}.`,
  })
}
