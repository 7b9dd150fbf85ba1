/** What is done by itself: what comes next, and how each ended last. */
import type { VNode } from 'preact'
import type { AutomationRecord, JobKind } from '../../../../src/client/index.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { useAutomation } from '../../app/status.ts'
import { Card, Empty, Skeleton, Tag } from '../../ui/card.tsx'
import { Time } from '../../ui/value.tsx'

const NAMES: Readonly<Record<JobKind, string>> = {
  build: 'Build a snapshot',
  export: 'Export a CAR',
  restore: 'Restore',
  prune: 'Prune snapshots',
  'prune-cars': 'Prune CARs',
  verify: 'Verify the store',
  drill: 'Drill: restore on trial',
}

export function NextRuns({ dataset }: { dataset: string }): VNode {
  const { data, error, refresh } = useAutomation(dataset)
  const automation = data.value
  return (
    <Card title="What runs next by itself">
      {automation === undefined ? (
        error.value === undefined ? (
          <Skeleton lines={4} />
        ) : (
          <ErrorNote error={error.value} onRetry={refresh} />
        )
      ) : (
        <Runs automation={automation} />
      )}
    </Card>
  )
}

function Runs({ automation }: { automation: AutomationRecord }): VNode {
  if (automation.next.length === 0)
    return (
      <Empty title="Nothing is planned now">
        Something is as soon as there is something to save.
      </Empty>
    )
  return (
    <ul class="lines">
      {automation.next.map(({ kind, at, reason }) => (
        <li key={`${kind} ${at} ${reason}`}>
          <span class="what">
            {NAMES[kind]} <Tag>{reason}</Tag>
          </span>
          <Time at={at} />
          <LastRun automation={automation} kind={kind} />
        </li>
      ))}
    </ul>
  )
}

function LastRun({
  automation,
  kind,
}: {
  automation: AutomationRecord
  kind: JobKind
}): VNode | null {
  const last = automation.runs[kind]?.last
  if (last === undefined || last === null) return null
  if (last.state === 'succeeded') {
    return (
      <span class="more small muted">
        Last done <Time at={last.finished_at} />
      </span>
    )
  }
  return (
    <span class="more small critical">
      {last.state === 'cancelled' ? 'Was stopped' : 'Failed'} <Time at={last.finished_at} />
      {last.error !== null && `: ${last.error.message}`}
    </span>
  )
}
