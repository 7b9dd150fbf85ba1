/** Now, or a snapshot: choosing it, and saying that it is not now. */
import type { VNode } from 'preact'
import type { SnapshotRecord } from '../../../../src/client/records.ts'
import { now } from '../../app/clock.ts'
import { Select } from '../../ui/field.tsx'
import { momentText, timeOf } from '../../ui/format.ts'
import { useLoaded } from './loaded.ts'
import type { Place } from './place.ts'
import { visibleText } from './visible.ts'

export function MomentNote({ at, href }: { at: string; href: string }): VNode {
  return (
    <p class="note">
      <span>
        As it was in the snapshot <strong>{visibleText(at.replace(/^seq:/, ''))}</strong>.{' '}
        <a href={href}>See it now</a>
      </span>
    </p>
  )
}

export interface MomentSelectProps {
  readonly place: Place
  readonly at: string
  readonly onChange: (at: string) => void
}

export function MomentSelect({ place, at, onChange }: MomentSelectProps): VNode {
  const { data = [] } = useLoaded(`${place.key} snapshots`, (signal) =>
    place.source.snapshots({ signal }),
  )
  const known = data.map((one) => [selectorOf(one), nameOf(one)] as const)
  const isKnown = at === '' || known.some(([selector]) => selector === at)
  return (
    <Select
      label="At"
      value={at}
      options={[['', 'Now'], ...(isKnown ? [] : [[at, visibleText(at)] as const]), ...known]}
      onChange={onChange}
    />
  )
}

const selectorOf = ({ seq }: SnapshotRecord): string => `seq:${seq}`

function nameOf({ seq, ts, tags }: SnapshotRecord): string {
  const tag = tags.length === 0 ? '' : `, ${visibleText(tags.join(', '))}`
  const at = timeOf(ts)
  return `Snapshot ${seq}${tag}${Number.isNaN(at) ? '' : `, ${momentText(at, now.peek())}`}`
}
