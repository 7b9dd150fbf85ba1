/** The pages of a kept list that is written anew. */
import type { Block } from '../../model/cid.ts'
import { encodeKeptPage, keep, type KeptPage, type KeptSnapshot } from '../../model/kept.ts'

/** Of snapshots that are oldest first; the newest page comes last. */
export function keptPages(snapshots: readonly KeptSnapshot[]): Block[] {
  const blocks: Block[] = []
  let newest: { page: KeptPage; cid: Block['cid'] } | undefined
  for (const snapshot of snapshots) {
    const page = keep(newest, snapshot)
    const block = encodeKeptPage(page)
    // The page before, unless this is that page, grown.
    if (newest !== undefined && page.older === newest.page.older) blocks.pop()
    blocks.push(block)
    newest = { page, cid: block.cid }
  }
  return blocks
}
