/** What can be started: building, exporting, verifying, a drill. */
import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { useStatus } from '../../app/status.ts'
import { Check, Field, Select } from '../../ui/field.tsx'
import { pluralText } from '../../ui/format.ts'
import { SnapshotPicker } from '../timeline/picker.tsx'
import { findSnapshot, useSnapshots } from '../timeline/snapshots.ts'
import { PruneAction } from './prune.tsx'
import { Action, useStarter } from './start.tsx'

export interface StartProps {
  readonly dataset: string
  readonly onStarted: () => void
}

export function Actions(props: StartProps): VNode {
  return (
    <section class="stack" aria-labelledby="start">
      <h2 id="start">Start something</h2>
      <div class="job-actions">
        <BuildAction {...props} />
        <ExportAction {...props} />
        <VerifyAction {...props} />
        <DrillAction {...props} />
        <PruneAction
          {...props}
          kind="prune"
          title="Prune snapshots"
          about="Forgets snapshots that the rules do not name, and frees what nothing else needs."
        />
        <PruneAction
          {...props}
          kind="prune-cars"
          title="Prune CARs"
          about="Removes CARs that the rules do not name from the folder of backups."
        />
      </div>
    </section>
  )
}

function BuildAction({ dataset, onStarted }: StartProps): VNode {
  const starter = useStarter(dataset, 'append', onStarted)
  const tag = useSignal('')
  const waiting = useStatus(dataset).data.value?.recent_count
  const start = (): void => {
    const tags = tag.value.trim()
    void starter.start({ kind: 'build', ...(tags === '' ? {} : { tags: [tags], force: true }) })
  }
  return (
    <Action
      title="Build a snapshot"
      about={
        waiting === undefined || waiting === 0
          ? 'Nothing waits for one: the newest snapshot has all of it.'
          : `${pluralText(waiting, 'entry waits', 'entries wait')} for one. Saved they are already.`
      }
      needs="append"
      starter={starter}
      button="Build"
      primary={(waiting ?? 0) > 0}
      onStart={start}
    >
      <Field
        label="Tag"
        placeholder="none"
        value={tag.value}
        onInput={(text) => (tag.value = text)}
        hint="To find it by, such as release-2. With a tag it is built also when nothing is new."
      />
    </Action>
  )
}

function ExportAction({ dataset, onStarted }: StartProps): VNode {
  const starter = useStarter(dataset, 'admin', onStarted)
  const items = useSnapshots(dataset).data.value?.items ?? []
  const since = useSignal('')
  const force = useSignal(false)
  const start = (): void => {
    const given = since.value === '' ? undefined : since.value
    void starter.start({ kind: 'export', since: given, force: force.value })
  }
  return (
    <Action
      title="Export a CAR"
      about="A copy of the state now in one file, read back and proved. Carry it to another place."
      needs="admin"
      starter={starter}
      button="Export"
      onStart={start}
    >
      <SnapshotPicker
        label="Only what is new since"
        none="Whole: it needs no other CAR"
        items={items}
        value={findSnapshot(items, since.value)}
        onChange={(selector) => (since.value = selector)}
      />
      <Check
        label="Also if nothing is new"
        checked={force.value}
        onChange={(checked) => (force.value = checked)}
      />
    </Action>
  )
}

const MODES = [
  ['full', 'All of it: every block is read and proved'],
  ['quick', 'Quick: that every block is there'],
  ['budget', 'What was proved longest ago, within the time set'],
] as const

function VerifyAction({ dataset, onStarted }: StartProps): VNode {
  const starter = useStarter(dataset, 'admin', onStarted)
  const mode = useSignal<(typeof MODES)[number][0]>('full')
  return (
    <Action
      title="Verify the store"
      about="Reads what the store holds and proves it by its hashes. Says what is missing or damaged."
      needs="admin"
      starter={starter}
      button="Verify"
      onStart={() => void starter.start({ kind: 'verify', mode: mode.value })}
    >
      <Select
        label="How much"
        value={mode.value}
        options={MODES}
        onChange={(chosen) => (mode.value = chosen)}
      />
    </Action>
  )
}

function DrillAction({ dataset, onStarted }: StartProps): VNode {
  const starter = useStarter(dataset, 'admin', onStarted)
  return (
    <Action
      title="Drill: restore on trial"
      about="Restores the newest CAR into a store that is thrown away, and compares it with what is here. The only proof that a backup works."
      needs="admin"
      starter={starter}
      button="Start the drill"
      onStart={() => void starter.start({ kind: 'drill' })}
    />
  )
}
