/**
 * Pages of entities as they stand in addresses. A page begins behind an id or ends before one, or begins at a
 * number: so it can be turned both ways, and an address stays good when entities come and go.
 */
import type { EntryRecord, PageQuery } from '../../../../src/client/records.ts'
import type { Source, SourceOptions } from '../../source.ts'

export const PAGE = 50

export interface PageState {
  readonly order: 'asc' | 'desc'
  readonly prefix: string
  /** The selector of a snapshot; empty: now. */
  readonly at: string
  readonly after: string | undefined
  readonly before: string | undefined
  /** How many entities come before the page; for a page that was turned to, as it was then. */
  readonly offset: number
}

export interface EntityPage {
  readonly items: readonly EntryRecord[]
  /** Of the whole dataset, whatever the prefix. */
  readonly total: number
  readonly hasBefore: boolean
  readonly hasAfter: boolean
  /** How many come before it. */
  readonly offset: number
}

type Query = Readonly<Record<string, string | undefined>>

export function pageStateOf(query: Query): PageState {
  const offset = Number(query['from'] ?? 0)
  return {
    order: query['order'] === 'desc' ? 'desc' : 'asc',
    prefix: query['prefix'] ?? '',
    at: query['at'] ?? '',
    after: query['after'],
    before: query['before'],
    offset: Number.isSafeInteger(offset) && offset > 0 ? offset : 0,
  }
}

export function queryOf({ order, prefix, at, after, before, offset }: PageState): Query {
  return {
    order: order === 'asc' ? undefined : order,
    prefix,
    at,
    after,
    before,
    from: offset === 0 ? undefined : String(offset),
  }
}

/** The first page of the same search. */
export const firstPage = (state: PageState): PageState => ({
  ...state,
  after: undefined,
  before: undefined,
  offset: 0,
})

export function pageAfter(state: PageState, page: EntityPage): PageState {
  const offset = page.offset + page.items.length
  return { ...firstPage(state), after: page.items.at(-1)?.pi, offset }
}

export function pageBefore(state: PageState, page: EntityPage): PageState {
  const offset = Math.max(0, page.offset - PAGE)
  return { ...firstPage(state), before: page.items[0]?.pi, offset }
}

export async function loadPage(
  source: Pick<Source, 'entities'>,
  state: PageState,
  options: SourceOptions = {},
): Promise<EntityPage> {
  const { after, before, offset } = state
  if (after !== undefined) {
    const { items, total, more } = await beyond(source, state, after, state.order, options)
    return { items, total, hasBefore: true, hasAfter: more, offset }
  }
  if (before === undefined) return fromNumber(source, state, options)
  const other = state.order === 'asc' ? 'desc' : 'asc'
  const { items, total, more } = await beyond(source, state, before, other, options)
  // The first page is a full one.
  if (!more) return fromNumber(source, firstPage(state), options)
  return { items: items.toReversed(), total, hasBefore: true, hasAfter: true, offset }
}

async function fromNumber(
  source: Pick<Source, 'entities'>,
  state: PageState,
  options: SourceOptions,
): Promise<EntityPage> {
  const { offset } = state
  const query = { ...common(state), order: state.order, limit: PAGE }
  const page = await source.entities(offset === 0 ? query : { ...query, offset }, options)
  const { items, total_count: total, has_more: hasAfter } = page
  return { items, total, hasBefore: offset > 0, hasAfter, offset }
}

/** The entities next to an id in an order, without itself. */
async function beyond(
  source: Pick<Source, 'entities'>,
  state: PageState,
  pi: string,
  order: PageState['order'],
  options: SourceOptions,
): Promise<{ items: readonly EntryRecord[]; total: number; more: boolean }> {
  const range = order === 'asc' ? { from: pi } : { to: pi }
  const query = { ...common(state), ...range, order, limit: PAGE + 1 }
  const page = await source.entities(query, options)
  const others = page.items.filter((item) => item.pi !== pi)
  const more = page.has_more || others.length > PAGE
  return { items: others.slice(0, PAGE), total: page.total_count, more }
}

function common({ prefix, at }: PageState): PageQuery {
  return {
    ...(prefix === '' ? {} : { prefix }),
    ...(at === '' ? {} : { at_snapshot: at }),
  }
}
