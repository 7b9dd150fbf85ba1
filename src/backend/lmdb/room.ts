/**
 * Whether the disk has room for a transaction, asked inside it, before anything is put.
 *
 * lmdb does not stand a disk that fills up under it: some of what can fail then ends the process
 * instead (an assertion of liblmdb). So a transaction that could need more than there is never begins.
 * What stores leaves a reserve besides, out of which a prune, which rewrites pages before it frees any,
 * can still be paid for. Opening and reading write nothing and are never refused.
 */
import { statfsSync } from 'node:fs'
import { CairnError } from '../../errors.ts'
import { statsOf } from './tables.ts'
import type { Tables } from './tables.ts'

/** What a transaction may write, at most, in bytes. */
export interface Need {
  readonly bytes: number
  /** It frees space, or is a step of what does, or a small record: it may use up the reserve. */
  readonly fromReserve: boolean
}

export const SMALL: Need = { bytes: 0, fromReserve: true }

/** What stores leaves this free. Small stores were pruned with 3 MiB left, full ones with this. */
const RESERVE = 8 * 2 ** 20
/** What every transaction leaves free: the pages of small records, and of lmdb's list of free pages. */
export const LEAST: number = 2 ** 20
/** lmdb's page, which is written whole. */
const PAGE = 4096
/** For one block: the rest of its last page, and the page of its digest, which is like no other's. */
const BLOCK_PAGES = 2 * PAGE

export function needOf(blocks: readonly { readonly bytes: Uint8Array }[]): Need {
  const bytes = blocks.reduce((sum, block) => sum + block.bytes.length + BLOCK_PAGES, 0)
  return { bytes, fromReserve: false }
}

/** For a transaction that removes so many entries, or marks them: each may lie in a page of its own. */
export function needOfChanges(entries: number): Need {
  return { bytes: entries * PAGE, fromReserve: true }
}

/** `pending`: what transactions that are not written yet may need besides. */
export function checkRoom(dir: string, tables: Tables, need: Need, pending: number): void {
  const free = freeBytesNow(dir)
  const needed = need.bytes + pending + (need.fromReserve ? LEAST : RESERVE)
  if (free >= needed) return
  // Not all of that is in one piece, as a large block needs it.
  if (free >= LEAST && free + unusedBytes(tables) / 2 >= needed) return
  const what = `${mib(free)} MiB are free, and a write must leave ${mib(needed - need.bytes - pending)}`
  throw new CairnError('no_space', `There is no space left for the store in ${dir}: ${what}.`, {
    hint: 'Free some space on its disk, or prune; nothing that was acknowledged is lost.',
    path: dir,
    needed,
    free,
  })
}

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)

function freeBytesNow(dir: string): number {
  const { bavail, blocks, bsize } = statfsSync(dir)
  // A file system that does not tell its size.
  return blocks === 0 ? Infinity : bavail * bsize
}

/** What lmdb's file has in pages that no table uses. */
function unusedBytes(tables: Tables): number {
  const { pageSize, lastPageNumber } = statsOf(tables.env)
  return Math.max(0, (lastPageNumber + 1) * pageSize - usedBytes(tables))
}

/** What the tables take of lmdb's file. */
export function usedBytes(tables: Tables): number {
  return Object.values(tables)
    .map(statsOf)
    .reduce(
      (sum, { pageSize, treeBranchPageCount, treeLeafPageCount, overflowPages }) =>
        sum + pageSize * (treeBranchPageCount + treeLeafPageCount + overflowPages),
      0,
    )
}
