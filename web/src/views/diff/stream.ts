/** What changed between two snapshots, as it comes: all of it counted, some of it kept to be shown. */
import { useSignal, type ReadonlySignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { ChangeRecord, SnapshotRecord } from '../../../../src/client/index.ts'
import { datasetClient } from '../../app/session.ts'
import { timeOf } from '../../ui/format.ts'
import { selectorOf } from '../timeline/snapshots.ts'
import { kindOf, type Kind } from './kinds.ts'

/** Of each kind so many are kept; further ones are counted. */
export const MOST_LINES = 500
/** The picture follows so often. */
const SHOW_MS = 150

export interface Diff {
  readonly counts: Readonly<Record<Kind, number>>
  readonly lines: Readonly<Record<Kind, readonly ChangeRecord[]>>
  readonly state: 'running' | 'whole' | 'stopped' | 'failed'
  readonly error: unknown
}

export interface Range {
  readonly from: SnapshotRecord
  readonly to: SnapshotRecord
}

export interface Differing {
  readonly diff: ReadonlySignal<Diff>
  readonly stop: () => void
}

/** Streams anew for each range. */
export function useDiff(dataset: string, { from, to }: Range): Differing {
  const diff = useSignal<Diff>(NOTHING)
  const stopping = useSignal<AbortController | undefined>(undefined)
  useEffect(() => {
    const stop = new AbortController()
    stopping.value = stop
    void read(dataset, { from, to }, stop.signal, (now) => (diff.value = now))
    return () => stop.abort(GONE)
  }, [dataset, from.cid, to.cid])
  return { diff, stop: () => stopping.peek()?.abort() }
}

const GONE = 'gone'

const NOTHING: Diff = {
  counts: { added: 0, changed: 0, removed: 0, expired: 0 },
  lines: { added: [], changed: [], removed: [], expired: [] },
  state: 'running',
  error: undefined,
}

async function read(
  dataset: string,
  { from, to }: Range,
  signal: AbortSignal,
  show: (diff: Diff) => void,
): Promise<void> {
  const counts = { added: 0, changed: 0, removed: 0, expired: 0 }
  const lines: Record<Kind, ChangeRecord[]> = { added: [], changed: [], removed: [], expired: [] }
  const tell = (state: Diff['state'], error?: unknown): void => {
    if (signal.reason !== GONE) show({ counts: { ...counts }, lines: { ...lines }, state, error })
  }
  let shown = Date.now()
  tell('running')
  try {
    const query = { from: selectorOf(from), to: selectorOf(to) }
    for await (const change of datasetClient(dataset).diff(query, { signal })) {
      const kind = kindOf(change, timeOf(to.ts))
      counts[kind]++
      if (lines[kind].length < MOST_LINES) lines[kind].push(change)
      if (Date.now() - shown < SHOW_MS) continue
      tell('running')
      await turn()
      shown = Date.now()
    }
    tell('whole')
  } catch (error) {
    if (signal.aborted) tell('stopped')
    else tell('failed', error)
  }
}

/** A stream that comes faster than it is read would leave no time to draw, nor to take a click. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0))
