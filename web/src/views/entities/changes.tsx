/** What differs between two contents: values field by field, anything else in a word. */
import type { VNode } from 'preact'
import { ErrorNote } from '../../app/errors.tsx'
import type { ContentView } from '../../content-view.ts'
import { Skeleton } from '../../ui/card.tsx'
import { bytesText, pluralText } from '../../ui/format.ts'
import { diffValues, type JsonChange } from './json-diff.ts'
import { jsonText } from './json-text.ts'
import { useLoaded } from './loaded.ts'
import type { Place } from './place.ts'
import { Visible } from './text.tsx'

export interface ChangesProps {
  readonly place: Place
  /** CIDs of content. */
  readonly before: string
  readonly after: string
}

export function Changes({ place, before, after }: ChangesProps): VNode {
  const { source } = place
  const { data, error, retry } = useLoaded(`${place.key} ${before} ${after}`, (signal) =>
    Promise.all([source.content(before, { signal }), source.content(after, { signal })]),
  )
  if (error !== undefined) return <ErrorNote error={error} onRetry={retry} />
  if (data === undefined) return <Skeleton lines={2} />
  const [old, now] = data
  if (old.kind !== 'value' || now.kind !== 'value') {
    return (
      <p class="changes">
        {sizeOf(old)} became {sizeOf(now)}.
      </p>
    )
  }
  const found = unlessDeep(() => diffValues(old.value, now.value))
  if (found === undefined)
    return <p class="changes muted">They are nested too deep to be compared.</p>
  const { changes, cut } = found
  if (changes.length === 0) return <p class="changes muted">The values are the same.</p>
  return (
    <div class="changes">
      <p class="small muted">
        {pluralText(changes.length, 'change')}
        {cut && ', and more that are not listed'}
      </p>
      <ul>
        {changes.map((change, i) => (
          <Change key={i} change={change} />
        ))}
      </ul>
    </div>
  )
}

const sizeOf = (content: ContentView): string =>
  content.kind === 'value'
    ? 'A value'
    : `${content.cut ? 'more than ' : ''}${bytesText(content.bytes.length)} of bytes`

const SIGNS = { added: '+', removed: '−', changed: '~' } as const

function Change({ change: { kind, path, before, after } }: { change: JsonChange }): VNode {
  return (
    <li class={`change change-${kind}`}>
      <span class="change-sign" aria-hidden="true">
        {SIGNS[kind]}
      </span>
      <span class="aside">{kind} </span>
      <code class="change-path">
        <Visible text={path.length === 0 ? 'the value' : path.join('.')} />
      </code>
      <span class="change-values">
        {kind !== 'added' && (
          <del>
            <Visible text={shortText(before)} />
          </del>
        )}
        {kind === 'changed' && <span class="muted"> → </span>}
        {kind !== 'removed' && (
          <ins>
            <Visible text={shortText(after)} />
          </ins>
        )}
      </span>
    </li>
  )
}

const MOST = 200

function shortText(value: unknown): string {
  const text = unlessDeep(() => jsonText(value)) ?? 'nested too deep to be shown'
  return text.length > MOST ? `${text.slice(0, MOST)}…` : text
}

/** Undefined where the stack did not reach down to the bottom of a value. */
function unlessDeep<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}
