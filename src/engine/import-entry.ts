/** Entries as programs hand them in: with their content's CID, or with the content itself. */
import { CairnError } from '../errors.ts'
import type { CidBytes } from '../model/cid.ts'
import { draftOf, type AppendEntry, type Draft } from './draft.ts'

/** An entry with its content's CID, or with the content itself. */
export type ImportEntry = AppendEntry | (Omit<AppendEntry, 'tip'> & { readonly value: unknown })

/** An entry's draft; a content that comes with it is stored by `store`, which gives its CID. */
export function draftOfItem(
  item: ImportEntry,
  store: (value: unknown) => CidBytes | Promise<CidBytes>,
): Draft | Promise<Draft> {
  const given: unknown = item
  if (typeof given !== 'object' || given === null) {
    throw new CairnError('invalid_entry', `An entry was refused: ${String(given)}.`, {
      hint: 'An entry is an object with "pi", and "tip" or "value".',
    })
  }
  if (!('value' in item)) return draftOf(item)
  const { value, ...rest } = item
  // Refuses a bad id or version before anything is stored.
  draftOf({ ...rest, tip: null })
  const tip = store(value)
  if (tip instanceof Promise) return tip.then((cid) => draftOf({ ...rest, tip: cid }))
  return draftOf({ ...rest, tip })
}
