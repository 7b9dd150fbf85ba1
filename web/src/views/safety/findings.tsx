/** The findings of the health checks: what is wrong in the answer itself, all of them at the end. */
import type { VNode } from 'preact'
import type { AutomationRecord, Finding, HealthReport } from '../../../../src/client/index.ts'
import { Card, LevelSign } from '../../ui/card.tsx'
import { pluralText } from '../../ui/format.ts'
import { Time } from '../../ui/value.tsx'
import { cureOf } from './verdict.ts'

interface TroubleProps {
  readonly finding: Finding
  readonly automation: AutomationRecord | undefined
}

/** What is wrong, what to do, and when it is done by itself. */
export function Trouble({ finding, automation }: TroubleProps): VNode {
  const cure = cureOf(finding, automation)
  return (
    <li class="trouble">
      <LevelSign level={finding.level} />
      <p>
        <strong>{finding.message}</strong>
      </p>
      <p>
        {finding.hint !== undefined && (
          <>
            What helps: <Hint text={finding.hint} />.
          </>
        )}
        {cure !== undefined && (
          <>
            {' '}
            It is tried by itself <Time at={cure.at} />.
          </>
        )}
      </p>
    </li>
  )
}

/** Commands look like commands. */
function Hint({ text }: { text: string }): VNode {
  const bare = text.replace(/\.$/, '')
  return /^cairn [a-z-]+(?: --[a-z-]+(?: [A-Z]+)?)*$/.test(bare) ? (
    <code>{bare}</code>
  ) : (
    <span>{bare}</span>
  )
}

const NAMES: Readonly<Record<string, string>> = {
  store: 'Store',
  chain: 'Recent chain',
  snapshot: 'Snapshot',
  car: 'CAR',
  offsite: 'Offsite copies',
  disk: 'Disk',
  drill: 'Drill',
  verify: 'Verification',
  build: 'Last build',
  export: 'Last export',
  backups: 'Folder of backups',
  growth: 'Growth',
  durability: 'Durability',
}

export function Findings({ health }: { health: HealthReport }): VNode {
  const good = health.checks.filter(({ level }) => level === 'ok')
  return (
    <Card
      title="What was checked"
      note={
        <>
          Looked at <Time at={health.checked_at} />.
        </>
      }
    >
      {health.alerts.length > 0 && <Checks findings={health.alerts} />}
      {good.length > 0 && (
        <details class="checks" open={health.alerts.length === 0}>
          <summary>{pluralText(good.length, 'check is', 'checks are')} good</summary>
          <Checks findings={good} />
        </details>
      )}
    </Card>
  )
}

function Checks({ findings }: { findings: readonly Finding[] }): VNode {
  return (
    <ul class="stack">
      {findings.map((finding, i) => (
        <li key={`${finding.check} ${i}`} class="trouble">
          <LevelSign level={finding.level} />
          <p>
            <strong>{NAMES[finding.check] ?? finding.check}</strong>{' '}
            <span class="aside">({finding.level})</span>
          </p>
          <p class="muted">{finding.message}</p>
        </li>
      ))}
    </ul>
  )
}
