/** Pruning: first what would go, then, when that was seen, for good. */
import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import type { Job } from '../../../../src/client/index.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Field } from '../../ui/field.tsx'
import { absoluteText, timeOf } from '../../ui/format.ts'
import type { StartProps } from './actions.tsx'
import { Action, useStarter } from './start.tsx'
import { outcomeText } from './words.ts'

interface PruneProps extends StartProps {
  readonly kind: 'prune' | 'prune-cars'
  readonly title: string
  readonly about: string
}

export function PruneAction({ dataset, onStarted, kind, title, about }: PruneProps): VNode {
  const starter = useStarter(dataset, 'admin', onStarted)
  const keep = useSignal('')
  const planned = useSignal<Job | undefined>(undefined)
  const request = { kind, ...(keep.value.trim() === '' ? {} : { keep: keep.value.trim() }) }
  const look = async (): Promise<void> => {
    planned.value = await starter.start({ ...request, dry_run: true })
  }
  const prune = (): void => {
    planned.value = undefined
    void starter.start(request)
  }
  return (
    <>
      <Action
        title={title}
        about={about}
        needs="admin"
        starter={starter}
        button="See what would go"
        onStart={() => void look()}
      >
        <Field
          label="Keep"
          placeholder="as the service is set up"
          value={keep.value}
          onInput={(text) => (keep.value = text)}
          hint={
            <>
              Rules such as <code>last=10,daily=30</code>
            </>
          }
        />
      </Action>
      <Dialog
        title={`${title}: what would go`}
        open={planned.value !== undefined}
        onClose={() => (planned.value = undefined)}
        actions={
          goingOf(planned.value).length > 0 && (
            <Button kind="danger" onClick={prune}>
              {title} for good
            </Button>
          )
        }
        closeText="Keep all"
      >
        {planned.value !== undefined && <Plan job={planned.value} />}
      </Dialog>
    </>
  )
}

interface Judged {
  readonly key: string
  readonly name: string
  readonly keep: boolean
}

function goingOf(job: Job | undefined): readonly Judged[] {
  return judgedOf(job).filter(({ keep }) => !keep)
}

/** Snapshots or CARs, by what the kind of job tells of them. */
function judgedOf(job: Job | undefined): readonly Judged[] {
  const list = job?.result?.[job.kind === 'prune' ? 'snapshots' : 'cars']
  if (!Array.isArray(list)) return []
  return (list as readonly Record<string, unknown>[]).map((one) => {
    const when = absoluteText(timeOf(one['ts'] as string | number))
    const name = job?.kind === 'prune' ? `Snapshot ${String(one['seq'])}` : String(one['path'])
    return { key: `${name} ${when}`, name: `${name}, ${when}`, keep: one['keep'] === true }
  })
}

const SHOWN = 12

function Plan({ job }: { job: Job }): VNode {
  const going = goingOf(job)
  return (
    <div class="stack">
      <p>{outcomeText(job)}</p>
      {going.length > 0 && (
        <>
          <ul class="job-going">
            {going.slice(0, SHOWN).map(({ key, name }) => (
              <li key={key}>{name}</li>
            ))}
            {going.length > SHOWN && <li class="muted">and {going.length - SHOWN} more</li>}
          </ul>
          <p class="muted">What is pruned does not come back, except from a CAR that holds it.</p>
        </>
      )}
    </div>
  )
}
