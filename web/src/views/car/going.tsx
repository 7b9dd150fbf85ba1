/** How far opening or verifying is, how fast it goes, and when it ends. */
import type { VNode } from 'preact'
import { Button } from '../../ui/button.tsx'
import { bytesText, countText, durationText } from '../../ui/format.ts'
import { Progress } from '../../ui/progress.tsx'
import { going, type Going } from './opened.ts'

const STEPS: Readonly<Record<string, string>> = {
  scan: 'Finding the blocks',
  walk: 'Following what the state is made of',
  hash: 'Proving each block',
}

export function GoingOn({ onStop }: { onStop: () => void }): VNode {
  const now = going.value
  const { step = 'scan', done = 0, total, unit } = now?.progress ?? {}
  return (
    <div class="stack">
      <Progress
        label={STEPS[step] ?? step}
        done={done}
        total={total ?? null}
        text={unit === 'bytes' ? bytesText : countText}
      />
      <div class="row spread">
        <span class="small muted">{now === undefined ? 'It begins.' : paceText(now)}</span>
        <Button small onClick={onStop}>
          Stop
        </Button>
      </div>
    </div>
  )
}

/** Before that, it says nothing true. */
const SURE_MS = 400

function paceText({ progress, since, at }: Going): string {
  const { done, total, unit } = progress
  const ms = at - since
  if (ms < SURE_MS || done === 0) return ''
  const perMs = done / ms
  const rate = unit === 'bytes' ? bytesText(perMs * 1000) : countText(Math.round(perMs * 1000))
  const leftMs = total === undefined ? undefined : (total - done) / perMs
  const left =
    leftMs === undefined ? '' : leftMs < 1000 ? ', almost done' : `, ${durationText(leftMs)} left`
  return `${rate} a second${left}`
}
