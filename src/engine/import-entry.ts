/** Entries as programs hand them in: with their content's CID, or with the content itself. */
import { CairnError } from '../errors.ts'
import type { Block, CidBytes } from '../model/cid.ts'
import { EncodedContent } from './content-stager.ts'
import { draftOf, type AppendEntry, type Draft } from './draft.ts'

type WithoutTip = Omit<AppendEntry, 'tip'>

/**
 * An entry with its content as the block that its maker has encoded. The CID is taken for that of the
 * bytes, which must stay as they are until the write has resolved: nothing from outside becomes one.
 */
export type BlockEntry = WithoutTip & { readonly block: Block; readonly tip?: undefined }

/** An entry with its content's CID, or with the content itself: a value, or its block. */
export type ImportEntry = AppendEntry | (WithoutTip & { readonly value: unknown }) | BlockEntry

type Store = (content: unknown) => CidBytes | Promise<CidBytes>

/** An entry's draft; a content that comes with it is stored by `store`, which gives its CID. */
export function draftOfItem(item: ImportEntry, store: Store): Draft | Promise<Draft> {
  const given: unknown = item
  if (typeof given !== 'object' || given === null) {
    throw new CairnError('invalid_entry', `An entry was refused: ${String(given)}.`, {
      hint: 'An entry is an object with "pi", and "tip" or "value".',
    })
  }
  if ('block' in item) return draftOfBlock(item, store)
  if (!('value' in item)) return draftOf(item)
  const { value, ...rest } = item
  // Refuses a bad id or version before anything is stored.
  draftOf({ ...rest, tip: null })
  const tip = store(value)
  if (tip instanceof Promise) return tip.then((cid) => draftOf({ ...rest, tip: cid }))
  return draftOf({ ...rest, tip })
}

function draftOfBlock({ block, ...rest }: BlockEntry, store: Store): Draft | Promise<Draft> {
  const given: unknown = block
  const { cid, bytes } = (given ?? {}) as Partial<Record<keyof Block, unknown>>
  if (!(cid instanceof Uint8Array) || !(bytes instanceof Uint8Array)) {
    throw new CairnError('invalid_entry', 'An entry was refused: its block is none.', {
      hint: 'A block is a CID and bytes, both as Uint8Array.',
    })
  }
  const draft = draftOf({ ...rest, tip: cid })
  const stored = store(new EncodedContent({ cid, bytes }))
  return stored instanceof Promise ? stored.then(() => draft) : draft
}
