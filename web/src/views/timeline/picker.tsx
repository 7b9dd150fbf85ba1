/** Choosing one of the kept snapshots. */
import type { VNode } from 'preact'
import type { SnapshotRecord } from '../../../../src/client/index.ts'
import { Select } from '../../ui/field.tsx'
import { selectorOf, snapshotText } from './snapshots.ts'

interface SnapshotPickerProps {
  readonly label: string
  readonly items: readonly SnapshotRecord[]
  readonly value: SnapshotRecord | undefined
  readonly onChange: (selector: string) => void
  /** What stands for none of them. */
  readonly none?: string
}

export function SnapshotPicker(props: SnapshotPickerProps): VNode {
  const { label, items, value, onChange, none } = props
  const options = items.map((one) => [selectorOf(one), snapshotText(one)] as const)
  return (
    <Select
      label={label}
      value={value === undefined ? '' : selectorOf(value)}
      options={none === undefined ? options : [['', none] as const, ...options]}
      onChange={onChange}
    />
  )
}
