/** Building a snapshot now, and how far it is. */
import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import type { Job, JobProgress } from '../../../../src/client/index.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { datasetClient } from '../../app/session.ts'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { pluralText } from '../../ui/format.ts'
import { Progress } from '../../ui/progress.tsx'

interface SaveNowProps {
  readonly dataset: string
  readonly waiting: number
  readonly onSaved: () => void
}

const STEPS: Readonly<Record<string, string>> = {
  merge: 'Merging what is new',
  prove: 'Reading back what was written',
}

export function SaveNow({ dataset, waiting, onSaved }: SaveNowProps): VNode {
  const busy = useSignal(false)
  const progress = useSignal<JobProgress | undefined>(undefined)
  const said = useSignal('')
  const failed = useSignal<unknown>(undefined)
  const save = async (): Promise<void> => {
    busy.value = true
    said.value = ''
    failed.value = undefined
    try {
      const client = datasetClient(dataset)
      const onProgress = (now: JobProgress): void => {
        progress.value = now
      }
      said.value = doneText(await client.run({ kind: 'build', reason: 'the page' }, { onProgress }))
      announce(said.value)
    } catch (error) {
      failed.value = error
    }
    busy.value = false
    progress.value = undefined
    onSaved()
  }
  return (
    <div class="stack save-now">
      <div class="row">
        <Button
          kind={waiting > 0 ? 'primary' : 'plain'}
          busy={busy.value}
          onClick={() => void save()}
        >
          {busy.value ? 'Building a snapshot' : 'Build a snapshot now'}
        </Button>
        <span class="muted">
          {said.value === '' || waiting > 0 ? waitingNote(waiting) : said.value}
        </span>
      </div>
      {progress.value !== undefined && (
        <Progress
          label={STEPS[progress.value.step] ?? progress.value.step}
          done={progress.value.done}
          total={progress.value.total}
        />
      )}
      {failed.value !== undefined && <ErrorNote error={failed.value} />}
    </div>
  )
}

function waitingNote(waiting: number): string {
  if (waiting === 0) return 'Nothing is waiting for one.'
  return `${pluralText(waiting, 'entry is', 'entries are')} saved already, and not in a snapshot yet.`
}

function doneText({ result }: Job): string {
  const seq = result?.['seq']
  return result?.['status'] === 'built' && typeof seq === 'number'
    ? `Snapshot ${seq} was built.`
    : 'Nothing was new: the newest snapshot has all of it.'
}
