/** One moment that is asked for: what would come back, from where, and how. */
import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import type { CoverageRecord } from '../../../../src/client/index.ts'
import { Card } from '../../ui/card.tsx'
import { Field } from '../../ui/field.tsx'
import { absoluteText, timeOf } from '../../ui/format.ts'
import { intervalAt, recoveryText } from './words.ts'

export function AskMoment({ coverage }: { coverage: CoverageRecord }): VNode {
  const text = useSignal('')
  const at = text.value === '' ? Number.NaN : new Date(text.value).getTime()
  return (
    <Card title="A moment of yours">
      <Field
        label="When was it as it should be?"
        type="datetime-local"
        value={text.value}
        onInput={(value) => (text.value = value)}
        hint={`In the time of this device, from ${absoluteText(timeOf(coverage.from))} on`}
      />
      <div role="status">{!Number.isNaN(at) && <Told coverage={coverage} at={at} />}</div>
    </Card>
  )
}

function Told({ coverage, at }: { coverage: CoverageRecord; at: number }): VNode {
  if (at > timeOf(coverage.to)) return <p>That has not come yet.</p>
  const found = intervalAt(coverage.intervals, at)
  if (found === undefined) return <p>Nothing from so long ago is kept.</p>
  return (
    <dl class="coverage-told">
      <dt>The store brings back</dt>
      <dd>{recoveryText(found.store)}</dd>
      <dt>The CARs alone bring back</dt>
      <dd>{recoveryText(found.cars)}</dd>
      <dt>To look at it</dt>
      <dd>
        <code>cairn list --at {new Date(at).toISOString()}</code>
      </dd>
    </dl>
  )
}
