/** The chunks of a snapshot beside those of another: which were kept, which are new. Pure. */
import type { ChunkRecord } from '../../../../src/client/index.ts'

export interface ChunkView {
  readonly cid: string
  /** The last id of the chunk before it; undefined for the first. */
  readonly after: string | undefined
  readonly last: string
  readonly entries: number
  readonly bytes: number
  /** The other snapshot does not have it. */
  readonly isNew: boolean
}

export interface Comparison {
  readonly chunks: readonly ChunkView[]
  readonly bytes: number
  readonly entries: number
  readonly rewritten: number
  readonly rewrittenBytes: number
  /** Of the other one, and not in this one. */
  readonly replaced: number
}

/** Without another one every chunk counts as kept. */
export function compareChunks(
  chunks: readonly ChunkRecord[],
  other: readonly ChunkRecord[] | undefined,
): Comparison {
  const known = other && new Set(other.map(({ cid }) => cid))
  const own = new Set(chunks.map(({ cid }) => cid))
  const views = chunks.map(({ cid, last, entries, bytes }, i) => ({
    cid,
    after: chunks[i - 1]?.last,
    last,
    entries,
    bytes,
    isNew: known?.has(cid) === false,
  }))
  const rewritten = views.filter(({ isNew }) => isNew)
  return {
    chunks: views,
    bytes: sumOf(views, 'bytes'),
    entries: sumOf(views, 'entries'),
    rewritten: rewritten.length,
    rewrittenBytes: sumOf(rewritten, 'bytes'),
    replaced: (other ?? []).filter(({ cid }) => !own.has(cid)).length,
  }
}

function sumOf(chunks: readonly ChunkView[], field: 'bytes' | 'entries'): number {
  return chunks.reduce((sum, chunk) => sum + chunk[field], 0)
}

/** Neighbours in the order of ids that are drawn as one. */
export interface Cell {
  /** The place of the first of them. */
  readonly first: number
  readonly chunks: readonly ChunkView[]
  readonly entries: number
  readonly bytes: number
  /** How many of them are new. */
  readonly fresh: number
}

/** No more than `most` cells, each of equally many chunks, but the last. */
export function cellsOf(chunks: readonly ChunkView[], most: number): readonly Cell[] {
  const each = Math.max(1, Math.ceil(chunks.length / most))
  return Array.from({ length: Math.ceil(chunks.length / each) }, (_, i) => {
    const group = chunks.slice(i * each, (i + 1) * each)
    return {
      first: i * each,
      chunks: group,
      entries: sumOf(group, 'entries'),
      bytes: sumOf(group, 'bytes'),
      fresh: group.filter(({ isNew }) => isNew).length,
    }
  })
}

export interface Box {
  readonly x: number
  readonly row: number
  readonly width: number
}

/**
 * Cells in rows of `width`, each as wide as it has entries. About as many rows as make cells `wanted` wide on
 * average; every row is filled to its end.
 */
export function layout(
  cells: readonly Pick<Cell, 'entries'>[],
  width: number,
  wanted: number,
): readonly Box[] {
  const weights = cells.map(({ entries }) => Math.max(1, entries))
  const all = weights.reduce((sum, weight) => sum + weight, 0)
  const rows = Math.max(1, Math.ceil((cells.length * wanted) / Math.max(1, width)))
  const byRow: number[][] = Array.from({ length: rows }, () => [])
  let before = 0
  weights.forEach((weight, i) => {
    // The row in which its middle lies.
    const row = Math.min(rows - 1, Math.floor(((before + weight / 2) / all) * rows))
    byRow[row]?.push(i)
    before += weight
  })
  const boxes: Box[] = []
  const filled = byRow.filter((members) => members.length > 0)
  filled.forEach((members, row) => {
    const sum = members.reduce((total, i) => total + (weights[i] ?? 0), 0)
    let x = 0
    for (const i of members) {
      const own = ((weights[i] ?? 0) / sum) * width
      boxes[i] = { x, row, width: own }
      x += own
    }
  })
  return boxes
}
