/** Is my data safe? One sentence, then what it rests on. */
import type { VNode } from 'preact'
import type { HealthReport } from '../../../../src/client/index.ts'
import { now } from '../../app/clock.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { useHealth } from '../../app/health.ts'
import { useAutomation, useStatus, type DatasetStatus } from '../../app/status.ts'
import type { ViewProps } from '../../app/views.ts'
import { LevelSign, Skeleton } from '../../ui/card.tsx'
import { Findings, Trouble } from './findings.tsx'
import { Lately } from './lately.tsx'
import { NextRuns } from './next-runs.tsx'
import { Proofs } from './proofs.tsx'
import { SaveNow } from './save-now.tsx'
import { verdictOf } from './verdict.ts'
import './view.css'

export function View({ dataset }: ViewProps): VNode {
  const status = useStatus(dataset)
  const health = useHealth(dataset)
  const [stands, report] = [status.data.value, health.data.value]
  const error = status.error.value ?? health.error.value
  if (stands === undefined || report === undefined) {
    return (
      <div class="stack-l">
        <h1>Is my data safe?</h1>
        {error === undefined ? (
          <Skeleton lines={5} />
        ) : (
          <ErrorNote
            error={error}
            onRetry={() => {
              status.refresh()
              health.refresh()
            }}
          />
        )}
      </div>
    )
  }
  const refresh = (): void => {
    status.refresh()
    health.refresh()
  }
  return (
    <div class="stack-l">
      <Answer status={stands} health={report} onSaved={refresh} />
      {error !== undefined && <ErrorNote error={error} onRetry={refresh} />}
      <Proofs dataset={dataset} status={stands} health={report} />
      <div class="grid-wide">
        <NextRuns dataset={dataset} />
        <Lately dataset={dataset} />
      </div>
      <Findings health={report} />
    </div>
  )
}

interface AnswerProps {
  readonly status: DatasetStatus
  readonly health: HealthReport
  readonly onSaved: () => void
}

function Answer({ status, health, onSaved }: AnswerProps): VNode {
  const { level, headline, detail, trouble } = verdictOf({ status, health }, now.value)
  const automation = useAutomation(status.dataset).data.value
  return (
    <section class={`answer answer-${level}`} aria-labelledby="answer">
      <h1 id="answer" class="answer-title">
        <LevelSign level={level} />
        {headline}
      </h1>
      <p class="answer-detail">{detail}</p>
      {trouble.length > 0 && (
        <ul class="stack">
          {trouble.map((finding) => (
            <Trouble
              key={finding.check + finding.message}
              finding={finding}
              automation={automation}
            />
          ))}
        </ul>
      )}
      <SaveNow dataset={status.dataset} waiting={status.recent_count} onSaved={onSaved} />
    </section>
  )
}
