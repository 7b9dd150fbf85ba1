/**
 * Addresses within the page: `#/DATASET/VIEW/ARG...?NAME=VALUE`. Each part is escaped by itself, so that an id
 * may hold anything. What belongs to no dataset has `~` in its place, which no dataset can be called.
 */
import { signal, type ReadonlySignal } from '@preact/signals'

export interface Route {
  /** Undefined: of no dataset, or none is chosen yet. */
  readonly dataset: string | undefined
  readonly view: string
  readonly args: readonly string[]
  readonly query: Readonly<Record<string, string>>
}

const NO_DATASET = '~'
const FIRST_VIEW = 'safety'

export function parseRoute(hash: string): Route {
  const [path, query] = split(hash.replace(/^#?\/?/, ''), '?')
  const [dataset = '', view = '', ...args] = path.split('/').map(unescape)
  return {
    dataset: dataset === '' || dataset === NO_DATASET ? undefined : dataset,
    view: view === '' ? FIRST_VIEW : view,
    args: args.filter((arg) => arg !== ''),
    query: Object.fromEntries(new URLSearchParams(query)),
  }
}

export type Target = Partial<Omit<Route, 'view' | 'query'>> & {
  readonly view: string
  readonly query?: Readonly<Record<string, string | undefined>>
}

/** For `href`. Without a dataset: that of the current route; with `NO_DATASET`: none. */
export function hrefTo({
  dataset = route.value.dataset,
  view,
  args = [],
  query = {},
}: Target): string {
  const path = [dataset ?? NO_DATASET, view, ...args].map(escape).join('/')
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [[name, value]],
  )
  return `#/${path}${given.length === 0 ? '' : `?${String(new URLSearchParams(given))}`}`
}

/** `replace` leaves no step to go back to. */
export function navigate(target: Target, { replace = false } = {}): void {
  const href = hrefTo(target)
  if (replace) history.replaceState(null, '', href)
  else history.pushState(null, '', href)
  current.value = parseRoute(href)
}

const current = signal<Route>(parseRoute(typeof location === 'undefined' ? '' : location.hash))
export const route: ReadonlySignal<Route> = current

if (typeof window !== 'undefined') {
  const follow = (): void => {
    current.value = parseRoute(location.hash)
  }
  window.addEventListener('hashchange', follow)
  window.addEventListener('popstate', follow)
}

/** A dot alone would be a step of the path to some; half a character has no form in an address. */
function escape(part: string): string {
  return encodeURIComponent(part.replace(/\p{Cs}/gu, '\ufffd')).replace(/^\.{1,2}$/, (dots) =>
    '%2E'.repeat(dots.length),
  )
}

function unescape(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function split(text: string, at: string): [string, string] {
  const i = text.indexOf(at)
  return i < 0 ? [text, ''] : [text.slice(0, i), text.slice(i + 1)]
}
