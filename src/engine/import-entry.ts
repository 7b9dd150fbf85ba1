/** Entries as programs hand them in: with their content's CID, or with the content itself. */
import { CairnError } from '../errors.ts'
import { LeafBlock } from '../content/encode.ts'
import { cidParts, type Block } from '../model/cid.ts'
import type { StoredContent } from './content-stager.ts'
import { draftOf, type AppendEntry, type Draft } from './draft.ts'

type WithoutTip = Omit<AppendEntry, 'tip'>

/**
 * An entry with its content as the block that its maker has encoded, and gives away: CID and bytes stay as
 * they are. The CID is taken for that of the bytes: nothing from outside becomes one.
 */
export type BlockEntry = WithoutTip & {
  readonly block: Block
  readonly tip?: undefined
}

/** An entry with its content's CID, or with the content itself: a value, or its block. */
export type ImportEntry = AppendEntry | (WithoutTip & { readonly value: unknown }) | BlockEntry

/** Where the contents go that come with entries. */
export interface ContentSink {
  put(value: unknown): StoredContent | Promise<StoredContent>
  putBlock(block: Block): StoredContent | Promise<StoredContent>
}

/** An entry's draft; a content that comes with it goes to `contents`, unless the rest is refused. */
export function draftOfItem(item: ImportEntry, contents: ContentSink): Draft | Promise<Draft> {
  const given: unknown = item
  if (typeof given !== 'object' || given === null) {
    throw new CairnError('invalid_entry', `An entry was refused: ${String(given)}.`, {
      hint: 'An entry is an object with "pi", and "tip" or "value".',
    })
  }
  if ('block' in item) return draftOfBlock(item, contents)
  if (!('value' in item)) return draftOf(item, item.tip)
  return withContent(draftOf(item, null), contents.put(item.value))
}

function withContent(
  draft: Draft,
  stored: StoredContent | Promise<StoredContent>,
): Draft | Promise<Draft> {
  if (stored instanceof Promise) return stored.then((one) => withContent(draft, one))
  return { ...draft, tip: stored.cid, needsProof: !stored.isWhole }
}

function draftOfBlock(item: BlockEntry, contents: ContentSink): Draft | Promise<Draft> {
  const block = item.block instanceof LeafBlock ? item.block : givenBlock(item.block)
  return withContent(draftOf(item, null), contents.putBlock(block))
}

function givenBlock(given: unknown): Block {
  const { cid, bytes } = (given ?? {}) as Partial<Record<keyof Block, unknown>>
  if (!(cid instanceof Uint8Array) || !(bytes instanceof Uint8Array)) {
    throw new CairnError('invalid_entry', 'An entry was refused: its block is none.', {
      hint: 'A block is a CID and bytes, both as Uint8Array.',
    })
  }
  cidParts(cid)
  return { cid, bytes }
}
