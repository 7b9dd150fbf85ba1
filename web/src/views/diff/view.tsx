/** What changed between two snapshots: counted as it comes, and line by line. */
import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { ChangeRecord, EntryRecord } from '../../../../src/client/index.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { hrefTo, navigate } from '../../app/router.ts'
import type { ViewProps } from '../../app/views.ts'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { Card, Empty, Skeleton } from '../../ui/card.tsx'
import { countText, pluralText } from '../../ui/format.ts'
import { Time } from '../../ui/value.tsx'
import { Visible } from '../entities/text.tsx'
import { SnapshotPicker } from '../timeline/picker.tsx'
import { findSnapshot, useSnapshots } from '../timeline/snapshots.ts'
import { KINDS, type Kind } from './kinds.ts'
import { MOST_LINES, useDiff, type Diff, type Range } from './stream.ts'
import './view.css'

export function View({ dataset, query }: ViewProps): VNode {
  const { data, error, refresh } = useSnapshots(dataset)
  const items = data.value?.items
  if (items === undefined) {
    return (
      <div class="stack-l">
        <h1>What changed</h1>
        {error.value === undefined ? (
          <Skeleton lines={5} />
        ) : (
          <ErrorNote error={error.value} onRetry={refresh} />
        )}
      </div>
    )
  }
  const to = findSnapshot(items, query['to']) ?? findSnapshot(items, 'latest') ?? items[0]
  const from = findSnapshot(items, query['from']) ?? (to && items[items.indexOf(to) + 1]) ?? to
  const choose = (chosen: { from?: string; to?: string }): void =>
    navigate({ view: 'diff', query: { ...query, ...chosen } }, { replace: true })
  return (
    <div class="stack-l">
      <h1>What changed</h1>
      <div class="grid-wide">
        <SnapshotPicker
          label="From"
          items={items}
          value={from}
          onChange={(selector) => choose({ from: selector })}
        />
        <SnapshotPicker
          label="To"
          items={items}
          value={to}
          onChange={(selector) => choose({ to: selector })}
        />
      </div>
      {missing(query['from'], items) ?? missing(query['to'], items)}
      {from === undefined || to === undefined || from === to ? (
        <Empty title="There is nothing to compare">Choose two different snapshots.</Empty>
      ) : (
        <Changes key={`${from.cid} ${to.cid}`} dataset={dataset} range={{ from, to }} />
      )}
    </div>
  )
}

function missing(
  asked: string | undefined,
  items: Parameters<typeof findSnapshot>[0],
): VNode | undefined {
  if (asked === undefined || findSnapshot(items, asked) !== undefined) return undefined
  return (
    <p class="note note-warning">
      <code>{asked}</code> is not among the snapshots that are kept. Others are shown.
    </p>
  )
}

function Changes({ dataset, range }: { dataset: string; range: Range }): VNode {
  const { diff, stop } = useDiff(dataset, range)
  const filter = useSignal<Kind | 'all'>('all')
  const told = useRef<HTMLParagraphElement>(null)
  const { counts, state, error } = diff.value
  const all = KINDS.reduce((sum, kind) => sum + counts[kind], 0)
  useEffect(() => {
    if (state === 'whole') announce(`${pluralText(all, 'change')}.`)
  }, [state])
  const choices = [
    ['all', 'All', all],
    ...KINDS.filter((kind) => kind !== 'expired' || counts.expired > 0).map(
      (kind) => [kind, NAMES[kind], counts[kind]] as const,
    ),
  ] as const
  return (
    <>
      <p class="diff-sentence" ref={told} tabIndex={-1}>
        {sentence(diff.value, range)}
      </p>
      <div class="row spread">
        <div class="row diff-filter" role="group" aria-label="Which changes are shown">
          {choices.map(([kind, name, count]) => (
            <Button
              key={kind}
              small
              pressed={filter.value === kind}
              onClick={() => (filter.value = kind)}
            >
              {name} <span class="diff-count">{countText(count)}</span>
            </Button>
          ))}
        </div>
        {state === 'running' && (
          <Button
            small
            onClick={() => {
              stop()
              // The button goes away; what came of it is here.
              told.current?.focus()
            }}
          >
            Stop
          </Button>
        )}
      </div>
      {state === 'failed' && <ErrorNote error={error} />}
      {all > 0 && <Lines diff={diff.value} filter={filter.value} />}
    </>
  )
}

const NAMES: Readonly<Record<Kind, string>> = {
  added: 'Added',
  changed: 'Changed',
  removed: 'Removed',
  expired: 'Expired',
}

function sentence({ counts, state }: Diff, { from, to }: Range): string {
  const parts = KINDS.filter((kind) => counts[kind] > 0).map(
    (kind) => `${countText(counts[kind])} ${kind}`,
  )
  const found = parts.length === 0 ? 'nothing changed' : parts.join(', ')
  const between = `From snapshot ${from.seq} to ${to.seq}: `
  if (state === 'running')
    return `${between}${parts.length === 0 ? 'looking' : `${found} so far`} …`
  if (state === 'whole') return `${between}${found}.`
  return `${between}${found} until it was stopped; there may be more.`
}

/** By id within what is kept, as they came. */
function Lines({ diff: { lines, counts }, filter }: { diff: Diff; filter: Kind | 'all' }): VNode {
  const kinds: readonly Kind[] = filter === 'all' ? KINDS : [filter]
  const kept = kinds.flatMap((kind) => lines[kind].map((change) => ({ kind, change })))
  if (kinds.length > 1) kept.sort((a, b) => compareIds(a.change.pi, b.change.pi))
  const shown = kept.slice(0, MOST_LINES)
  const rest = kinds.reduce((sum, kind) => sum + counts[kind], 0) - shown.length
  return (
    <Card>
      <ul class="diff-lines" aria-label="Changes">
        {shown.map(({ kind, change }) => (
          <Line key={change.pi} kind={kind} change={change} />
        ))}
      </ul>
      {rest > 0 && (
        <p class="muted">
          The first {countText(shown.length)} are shown; {pluralText(rest, 'more was', 'more were')}{' '}
          counted. <code>cairn diff</code> lists all.
        </p>
      )}
    </Card>
  )
}

/** As the service sorts: by the bytes of UTF-8, which is the order of code points. */
function compareIds(a: string, b: string): number {
  for (let i = 0; ;) {
    const [left, right] = [a.codePointAt(i), b.codePointAt(i)]
    if (left === undefined || left !== right) return (left ?? -1) - (right ?? -1)
    i += left > 0xffff ? 2 : 1
  }
}

const SIGNS: Readonly<Record<Kind, string>> = {
  added: '+',
  changed: '~',
  removed: '−',
  expired: '×',
}

function Line({ kind, change }: { kind: Kind; change: ChangeRecord }): VNode {
  const { pi, before, after } = change
  return (
    <li class={`diff-line diff-${kind}`}>
      <span class="diff-sign" aria-hidden="true">
        {SIGNS[kind]}
      </span>
      <span class="diff-id">
        <span class="aside">{NAMES[kind]}: </span>
        <a class="mono" href={hrefTo({ view: 'entities', args: [pi] })}>
          <Visible text={pi} />
        </a>
      </span>
      <span class="small muted">{versions(before, after)}</span>
      <span class="small muted">
        {after !== null ? <Time at={after.ts} /> : before !== null && <Time at={before.ts} />}
      </span>
    </li>
  )
}

function versions(before: EntryRecord | null, after: EntryRecord | null): string {
  const was = before === null || before.tip === null ? undefined : before.ver
  const is = after === null || after.tip === null ? undefined : after.ver
  if (was !== undefined && is !== undefined) return `version ${was} to ${is}`
  return `version ${is ?? was ?? ''}`
}
