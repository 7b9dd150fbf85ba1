/** Pages of entities: by offset or cursor, by prefix or range, in either direction, all in one order. */
import { CairnError } from '../errors.ts'
import { parseCursor, printCursor } from '../model/cursor.ts'
import { keyOf, parseId, prefixEnd } from '../model/entity-id.ts'
import type { Entry } from '../model/entry.ts'
import type { KeyRange } from '../tree/tree.ts'
import type { View } from './view.ts'

const MAX_PAGE = 10_000
const DEFAULT_PAGE = 100

export interface ListOptions {
  /** 1 to 10,000; 100 unless given. */
  readonly limit?: number | undefined
  /** How many entities of the range to pass over. Not together with `cursor`. */
  readonly offset?: number | undefined
  /** `next_cursor` of the page before. */
  readonly cursor?: string | null | undefined
  /** `desc` unless given: newest first for ids that sort by time. */
  readonly order?: 'asc' | 'desc' | undefined
  readonly prefix?: string | undefined
  /** Ids from `from` (included) to `to` (not included), whatever the order. */
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Page {
  readonly items: readonly Entry[]
  /** Live entities of the dataset, not only of the range. */
  readonly totalCount: number
  readonly hasMore: boolean
  readonly nextCursor: string | null
}

export async function listPage(
  view: View,
  dataset: { readonly identity: string; readonly totalCount: number },
  options: ListOptions,
): Promise<Page> {
  const limit = checkedLimit(options.limit)
  const descending = options.order !== 'asc'
  const range = await startOf(view, rangeOf(options), descending, dataset, options)
  // One more than asked for tells whether there is more.
  const found =
    range === undefined ? [] : await take(view, range, descending, limit + 1, options.signal)
  const hasMore = found.length > limit
  const items = hasMore ? found.slice(0, limit) : found
  const last = items.at(-1)
  const nextCursor =
    hasMore && last !== undefined
      ? printCursor({ dataset: dataset.identity, descending, after: keyOf(last.pi) })
      : null
  return { items, totalCount: dataset.totalCount, hasMore, nextCursor }
}

async function take(
  view: View,
  range: KeyRange,
  descending: boolean,
  count: number,
  signal: AbortSignal | undefined,
): Promise<Entry[]> {
  const items: Entry[] = []
  for await (const batch of view.walk({ range, descending, signal })) {
    for (const entry of batch) {
      items.push(entry)
      if (items.length === count) return items
    }
  }
  return items
}

function checkedLimit(limit: number = DEFAULT_PAGE): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_PAGE) return limit
  throw new CairnError('usage', `A page of ${limit} entities cannot be given.`, {
    hint: `Use a limit from 1 to ${MAX_PAGE}.`,
  })
}

export function rangeOf({
  prefix,
  from,
  to,
}: Pick<ListOptions, 'prefix' | 'from' | 'to'>): KeyRange {
  const low = from === undefined ? undefined : parseId(from)
  const high = to === undefined ? undefined : parseId(to)
  if (prefix === undefined || prefix === '') return { from: low, to: high }
  const first = parseId(prefix)
  const end = prefixEnd(first)
  return {
    from: low === undefined || low < first ? first : low,
    to: high === undefined || (end !== undefined && high > end) ? end : high,
  }
}

/** The part of the range that a page begins in; undefined when the offset lies behind its end. */
async function startOf(
  view: View,
  range: KeyRange,
  descending: boolean,
  { identity, totalCount }: { readonly identity: string; readonly totalCount: number },
  { cursor, offset = 0 }: ListOptions,
): Promise<KeyRange | undefined> {
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new CairnError('usage', `An offset of ${offset} is not possible.`, {
      hint: 'Use 0 or more.',
    })
  }
  if (cursor !== undefined && cursor !== null) {
    if (offset > 0) {
      throw new CairnError('usage', 'A page begins at a cursor or at an offset, not at both.', {
        hint: 'Leave one of them out.',
      })
    }
    return behind(range, parseCursor(cursor, identity, descending).after, descending)
  }
  if (offset === 0) return range
  await checkTotal(view, totalCount)
  return skip(view, range, descending, offset)
}

/** Where entities are counted anyway, the commit's count is held to it (promise 7). */
async function checkTotal(view: View, totalCount: number): Promise<void> {
  const counted = await view.liveCount()
  if (counted === totalCount) return
  throw new CairnError(
    'pointer_damaged',
    `The index pointer counts ${totalCount} entities, snapshot and chain hold ${counted}.`,
    { hint: 'Build a snapshot, which counts anew; then find out what wrote the commit.' },
  )
}

function behind({ from, to }: KeyRange, key: string, descending: boolean): KeyRange {
  if (descending) return { from, to: to !== undefined && to < key ? to : key }
  // The first key that sorts behind `key` is `key` with the lowest byte added.
  const next = `${key}\u0000`
  return { from: from !== undefined && from > next ? from : next, to }
}

async function skip(
  view: View,
  { from, to }: KeyRange,
  descending: boolean,
  offset: number,
): Promise<KeyRange | undefined> {
  const low = from === undefined ? 0 : await view.rankOf(from)
  const high = to === undefined ? await view.liveCount() : await view.rankOf(to)
  const rank = descending ? high - 1 - offset : low + offset
  if (rank < low || rank >= high) return undefined
  const key = await view.keyAtRank(rank)
  if (key === undefined) return undefined
  return descending ? { from, to: `${key}\u0000` } : { from: key, to }
}
