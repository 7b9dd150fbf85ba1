/** The frame around the views: where one is, where one can go, and whether the data is safe. */
import { useSignal } from '@preact/signals'
import type { ComponentType, VNode } from 'preact'
import { useEffect, useErrorBoundary, useRef } from 'preact/hooks'
import { Announcer } from '../ui/announcer.tsx'
import { Skeleton } from '../ui/card.tsx'
import { Time } from '../ui/value.tsx'
import { ErrorNote } from './errors.tsx'
import { Head } from './head.tsx'
import { hrefTo, route } from './router.ts'
import { disconnectedSince } from './session.ts'
import { VIEWS, type ViewEntry, type ViewProps } from './views.ts'

export function Shell({ dataset }: { dataset: string }): VNode {
  const { view } = route.value
  const entry = VIEWS.find(({ id }) => id === view)
  const main = useRef<HTMLElement>(null)
  const first = useRef(true)
  useEffect(() => {
    const where = entry?.free === true ? '' : ` · ${dataset}`
    document.title = `${entry?.name ?? 'Not found'}${where} · Cairn`
    // Who follows a link is told where it led; who opens the page begins at its top.
    if (!first.current) main.current?.focus()
    first.current = false
  }, [entry, dataset])
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(event) => skip(event, main.current)}>
        Skip to the content
      </a>
      <Head dataset={dataset} />
      <Nav dataset={dataset} current={view} />
      <main class="main" id="main" ref={main} tabIndex={-1}>
        <Offline />
        {entry === undefined ? (
          <NoView dataset={dataset} />
        ) : (
          <Loaded key={entry.id} entry={entry} dataset={dataset} />
        )}
      </main>
      <Announcer />
    </div>
  )
}

/** The address is taken by the router. */
function skip(event: Event, main: HTMLElement | null): void {
  event.preventDefault()
  main?.focus()
}

function Nav({ dataset, current }: { dataset: string; current: string }): VNode {
  const shown = VIEWS.find(({ id }) => id === current)?.under ?? current
  const nav = useRef<HTMLElement>(null)
  useEffect(() => {
    // On a phone the views are a strip, which may hide the current one.
    const link = nav.current?.querySelector<HTMLElement>('[aria-current]')
    if (link && nav.current) nav.current.scrollLeft = link.offsetLeft - nav.current.clientWidth / 3
  }, [shown])
  return (
    <nav class="nav" aria-label="Views" ref={nav}>
      <ul>
        {VIEWS.filter(({ under }) => under === undefined).map(({ id, name }) => (
          <li key={id}>
            <a
              href={hrefTo({ dataset, view: id })}
              aria-current={id === shown ? 'page' : undefined}
            >
              {name}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  )
}

function Offline(): VNode | null {
  const since = disconnectedSince.value
  if (since === undefined) return null
  return (
    <p class="offline" role="status">
      Not connected since <Time at={since} moment />. What you see is from before; it is tried again
      by itself.
    </p>
  )
}

function NoView({ dataset }: { dataset: string }): VNode {
  return (
    <div class="stack">
      <h1>There is no such view</h1>
      <p>
        The address leads nowhere. <a href={hrefTo({ dataset, view: 'safety' })}>Go to Safety</a>
      </p>
    </div>
  )
}

/** A view, once its code has come; what fails in it does not take the frame along. */
function Loaded({ entry, dataset }: { entry: ViewEntry; dataset: string }): VNode {
  const loaded = useSignal<ComponentType<ViewProps> | undefined>(undefined)
  const failed = useSignal<unknown>(undefined)
  const [broken, reset] = useErrorBoundary()
  const turn = useSignal(0)
  useEffect(() => {
    failed.value = undefined
    entry.load().then(
      ({ View }) => (loaded.value = View),
      (error: unknown) => (failed.value = error),
    )
  }, [entry, turn.value])
  const error = (broken as unknown) ?? failed.value
  if (error !== undefined && error !== null) {
    const again = (): void => {
      reset()
      turn.value++
    }
    return <ErrorNote error={error} onRetry={again} />
  }
  const View = loaded.value
  if (View === undefined) return <Skeleton lines={6} />
  const { args, query } = route.value
  return <View key={dataset} dataset={dataset} args={args} query={query} />
}
