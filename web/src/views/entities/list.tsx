/** Entities page by page: searched by how ids begin, from a number on, now or in a snapshot. */
import type { VNode } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { EntryRecord } from '../../../../src/client/records.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { hrefTo, navigate } from '../../app/router.ts'
import { announce } from '../../ui/announcer.tsx'
import { Card, Empty, Skeleton } from '../../ui/card.tsx'
import { countText, pluralText } from '../../ui/format.ts'
import { Table, type Column } from '../../ui/table.tsx'
import { Cid, Time } from '../../ui/value.tsx'
import { Controls } from './controls.tsx'
import { useLoaded } from './loaded.ts'
import { MomentNote } from './moment.tsx'
import { blockHref, entitiesHref, entityHref, type Place, type Query } from './place.ts'
import {
  firstPage,
  loadPage,
  pageAfter,
  pageBefore,
  pageStateOf,
  queryOf,
  type EntityPage,
  type PageState,
} from './paging.ts'
import { Visible } from './text.tsx'
import { visibleText } from './visible.ts'

export interface EntityListProps {
  readonly place: Place
  readonly query: Query
  /** Of a smaller level where the view has a heading of its own. */
  readonly title?: string
}

export function EntityList({ place, query, title = 'Entities' }: EntityListProps): VNode {
  const state = pageStateOf(query)
  const asked = JSON.stringify(queryOf(state))
  const { data, error, loading, retry } = useLoaded(
    `${place.key} ${asked} ${state.at === '' ? place.turn : ''}`,
    async (signal) => ({ asked, page: await loadPage(place.source, state, { signal }) }),
  )
  useAnnounced(data)
  const go = (next: PageState, options?: { readonly replace?: boolean }): void =>
    navigate(place.target('entities', undefined, queryOf(next)), options)
  return (
    <div class="stack-l">
      <div class="row spread">
        <h1 tabIndex={-1}>{title}</h1>
        {data !== undefined && (
          <p class="total" aria-live="off">
            <strong>{countText(data.page.total)}</strong>{' '}
            {state.at === '' ? 'now' : 'in the snapshot'}
          </p>
        )}
      </div>
      {state.at !== '' && (
        <MomentNote at={state.at} href={entitiesHref(place, queryOf({ ...state, at: '' }))} />
      )}
      <Card>
        <Controls place={place} state={state} onChange={go} />
        {error !== undefined && <ErrorNote error={error} onRetry={retry} />}
        {data === undefined && error === undefined && <Skeleton lines={8} />}
        {data !== undefined && (
          <div class="stack" aria-busy={loading}>
            <Rows place={place} state={state} page={data.page} />
            <Pager place={place} state={state} page={data.page} />
          </div>
        )}
      </Card>
    </div>
  )
}

/** Says which page has come, but not that it was made anew. */
function useAnnounced(data: { asked: string; page: EntityPage } | undefined): void {
  const said = useRef<string | undefined>(undefined)
  useEffect(() => {
    if (data === undefined || said.current === data.asked) return
    if (said.current !== undefined) announce(rangeText(data.page))
    said.current = data.asked
  }, [data])
}

function rangeText({ items, offset }: EntityPage): string {
  if (items.length === 0) return 'No entities'
  return `Entities ${countText(offset + 1)} to ${countText(offset + items.length)}`
}

interface PageProps {
  readonly place: Place
  readonly state: PageState
  readonly page: EntityPage
}

function Rows({ place, state, page }: PageProps): VNode {
  if (page.items.length === 0) return <Nothing place={place} state={state} page={page} />
  const { at } = state
  const columns: readonly Column<EntryRecord>[] = [
    {
      name: 'Id',
      head: true,
      cell: ({ pi }) => (
        <a class="row-id" href={entityHref(place, pi, { at })}>
          <Visible text={pi} />
        </a>
      ),
    },
    { name: 'Version', cell: ({ ver }) => countText(ver) },
    {
      name: 'Tip',
      cell: ({ pi, tip }) =>
        tip === null ? '' : <Cid value={tip} href={blockHref(place, tip, { of: pi })} />,
    },
    { name: 'Written', cell: ({ ts }) => <Time at={ts} /> },
  ]
  return (
    <div class="entities">
      <Table caption="Entities" columns={columns} rows={page.items} rowKey={({ pi }) => pi} />
    </div>
  )
}

function Nothing({ place, state, page }: PageProps): VNode {
  const { prefix, at } = state
  if (page.offset > 0) {
    return (
      <Empty title={`There is no number ${countText(page.offset + 1)}`}>
        <p>
          There {page.total === 1 ? 'is' : 'are'} {pluralText(page.total, 'entity', 'entities')}.{' '}
          <a href={entitiesHref(place, queryOf(firstPage(state)))}>From the beginning</a>
        </p>
      </Empty>
    )
  }
  if (prefix === '')
    return <Empty title={at === '' ? 'There are no entities yet' : 'It was empty'} />
  return (
    <Empty title={`No id begins with “${visibleText(prefix)}”`}>
      <p>
        Capital and small letters differ. <a href={entitiesHref(place, { at })}>Show all</a>
      </p>
    </Empty>
  )
}

/** Links that stay where they are, so that the focus does. */
function Pager({ place, state, page }: PageProps): VNode | null {
  const { items, hasBefore, hasAfter, offset, total } = page
  if (items.length === 0) return null
  const hrefOf = (to: PageState): string => hrefTo(place.target('entities', undefined, queryOf(to)))
  const ofAll = state.prefix === '' ? ` of ${countText(total)}` : ''
  return (
    <nav class="row spread pager" aria-label="Pages">
      <PageLink href={hasBefore ? hrefOf(pageBefore(state, page)) : undefined}>← Before</PageLink>
      <span class="small muted">
        {countText(offset + 1)}–{countText(offset + items.length)}
        {ofAll}
      </span>
      <PageLink href={hasAfter ? hrefOf(pageAfter(state, page)) : undefined}>Next →</PageLink>
    </nav>
  )
}

function PageLink({ href, children }: { href: string | undefined; children: string }): VNode {
  return (
    <a
      class="button button-small"
      tabIndex={0}
      {...(href === undefined ? { role: 'link', 'aria-disabled': true } : { href })}
    >
      {children}
    </a>
  )
}
