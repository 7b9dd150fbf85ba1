/** Rolling back: what happens is said, it has to be typed, and how to undo it stays in sight. */
import { signal, useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import type { RollbackRecord, SnapshotRecord } from '../../../../src/client/index.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { datasetClient } from '../../app/session.ts'
import { useStatus } from '../../app/status.ts'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Check, Field } from '../../ui/field.tsx'
import { countText, pluralText } from '../../ui/format.ts'
import { Time } from '../../ui/value.tsx'
import { noteRefusal } from '../work/rights.ts'
import { REASON } from '../work/start.tsx'

/** The last one that was done here, to be undone; it outlives the view. */
const last = signal<{ readonly dataset: string; readonly record: RollbackRecord } | undefined>(
  undefined,
)

interface RollbackProps {
  readonly dataset: string
  /** Undefined: closed. */
  readonly to: SnapshotRecord | undefined
  readonly current: SnapshotRecord | undefined
  readonly onClose: () => void
  readonly onDone: () => void
}

export function RollbackDialog({ dataset, to, current, onClose, onDone }: RollbackProps): VNode {
  const typed = useSignal('')
  const keep = useSignal(false)
  const busy = useSignal(false)
  const failed = useSignal<unknown>(undefined)
  const waiting = useStatus(dataset).data.value?.recent_count ?? 0
  const close = (): void => {
    typed.value = ''
    keep.value = false
    failed.value = undefined
    onClose()
  }
  const rollBack = async (): Promise<void> => {
    if (to === undefined || typed.value.trim() !== dataset) return
    busy.value = true
    failed.value = undefined
    try {
      const request = { to: to.cid, keep_chain: keep.value, reason: REASON }
      const record = await datasetClient(dataset).rollback(request)
      last.value = { dataset, record }
      announce(`Rolled back to snapshot ${record.seq}.`)
      close()
      onDone()
    } catch (error) {
      noteRefusal(error, 'admin')
      failed.value = error
    }
    busy.value = false
  }
  return (
    <Dialog
      title={to === undefined ? '' : `Roll back to snapshot ${to.seq}`}
      open={to !== undefined}
      onClose={close}
      closeText="Leave it as it is"
      actions={
        <Button
          kind="danger"
          busy={busy.value}
          disabled={typed.value.trim() !== dataset}
          onClick={() => void rollBack()}
        >
          Roll back
        </Button>
      }
    >
      {to !== undefined && (
        <>
          <Consequences to={to} current={current} waiting={waiting} />
          {waiting > 0 && (
            <Check
              label={`Write the ${pluralText(waiting, 'entry that is', 'entries that are')} in no snapshot yet again, on top of it`}
              checked={keep.value}
              onChange={(checked) => (keep.value = checked)}
            />
          )}
          <Field
            label={`Type ${dataset} to go on`}
            value={typed.value}
            autoComplete="off"
            onInput={(value) => (typed.value = value)}
          />
          {failed.value !== undefined && <ErrorNote error={failed.value} />}
        </>
      )}
    </Dialog>
  )
}

interface ConsequencesProps {
  readonly to: SnapshotRecord
  readonly current: SnapshotRecord | undefined
  readonly waiting: number
}

function Consequences({ to, current, waiting }: ConsequencesProps): VNode {
  return (
    <ul class="moment-consequences">
      <li>
        The dataset is again as it was <Time at={to.ts} moment />, with{' '}
        {pluralText(to.live, 'entity', 'entities')}
        {current !== undefined &&
          ` instead of the ${countText(current.live)} of snapshot ${current.seq}`}
        .
      </li>
      {waiting > 0 && (
        <li>
          {pluralText(waiting, 'entry', 'entries')} written since the newest snapshot no longer
          count.
        </li>
      )}
      <li>Nothing is deleted: all snapshots and CARs stay.</li>
      <li>A new generation begins; whoever follows the changes reads everything anew.</li>
      <li>It can be undone at once: afterwards this page has a button for it.</li>
    </ul>
  )
}

/** What was rolled back here last, and its way back. */
export function RolledBack({
  dataset,
  onDone,
}: {
  dataset: string
  onDone: () => void
}): VNode | null {
  const busy = useSignal(false)
  const failed = useSignal<unknown>(undefined)
  const done = last.value
  if (done?.dataset !== dataset) return null
  const { seq, generation, undo } = done.record
  const goBack = async (): Promise<void> => {
    busy.value = true
    failed.value = undefined
    try {
      await datasetClient(dataset).rollback({ to: undo, reason: `${REASON}: undo` })
      last.value = undefined
      announce('The rollback was undone.')
      onDone()
    } catch (error) {
      noteRefusal(error, 'admin')
      failed.value = error
    }
    busy.value = false
  }
  return (
    <div class="note note-warning" role="status">
      <p class="note-title">
        Rolled back to snapshot {seq}. Generation {generation} has begun.
      </p>
      <p>
        To undo it later: <code>cairn rollback --commit {undo}</code>
      </p>
      <p class="row">
        <Button small busy={busy.value} onClick={() => void goBack()}>
          Undo the rollback
        </Button>
        <Button small onClick={() => (last.value = undefined)}>
          Keep it
        </Button>
      </p>
      {failed.value !== undefined && <ErrorNote error={failed.value} />}
    </div>
  )
}
