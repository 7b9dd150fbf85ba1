/** Coverage: which moments could be brought back, from what, and when that was last proved. */
import type { VNode } from 'preact'
import type { CoverageRecord, HealthReport } from '../../../../src/client/index.ts'
import { now } from '../../app/clock.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { useHealth } from '../../app/health.ts'
import type { ViewProps } from '../../app/views.ts'
import { hrefTo } from '../../app/router.ts'
import { Card, LevelSign, Skeleton, Stat } from '../../ui/card.tsx'
import { durationText } from '../../ui/format.ts'
import { Table, type Column } from '../../ui/table.tsx'
import { Time } from '../../ui/value.tsx'
import { Bands } from './bands.tsx'
import { useCoverage, type Interval, type Recovery } from './data.ts'
import { AskMoment } from './moment.tsx'
import { answerOf, proverText, recoveryText } from './words.ts'
import '../safety/view.css'
import './view.css'

export function View({ dataset }: ViewProps): VNode {
  const { data, error, refresh } = useCoverage(dataset)
  const health = useHealth(dataset).data.value
  const coverage = data.value
  if (coverage === undefined) {
    return (
      <div class="stack-l">
        <h1>What can be brought back</h1>
        {error.value === undefined ? (
          <Skeleton lines={6} />
        ) : (
          <ErrorNote error={error.value} onRetry={refresh} />
        )}
      </div>
    )
  }
  return (
    <div class="stack-l">
      <Answer coverage={coverage} health={health} />
      {error.value !== undefined && <ErrorNote error={error.value} onRetry={refresh} />}
      <Card
        title="Over time"
        note="What the store brings back, and what the CARs would if the store were lost."
      >
        <Bands coverage={coverage} />
      </Card>
      <div class="grid-wide">
        <Proofs coverage={coverage} />
        <AskMoment coverage={coverage} />
      </div>
      <Stretches coverage={coverage} />
    </div>
  )
}

/** The checks that say whether what is to be brought back from is any good. */
const ABOUT_RECOVERY = ['car', 'drill', 'verify', 'export', 'backups']

interface AnswerProps {
  readonly coverage: CoverageRecord
  readonly health: HealthReport | undefined
}

function Answer({ coverage, health }: AnswerProps): VNode {
  const alerts = (health?.alerts ?? []).filter(({ check }) => ABOUT_RECOVERY.includes(check))
  const { level, headline, detail } = answerOf(coverage, alerts, now.value)
  return (
    <section class={`answer answer-${level}`} aria-labelledby="answer">
      <h1 id="answer" class="answer-title">
        <LevelSign level={level} />
        {headline}
      </h1>
      <p class="answer-detail">{detail}</p>
      {coverage.findings.length + alerts.length > 0 && (
        <ul class="stack">
          {coverage.findings.map(({ kind, level: how, from, to, message, hint }) => (
            <Problem key={`${kind} ${from}`} level={how} message={message} hint={hint}>
              {kind === 'hole' && (
                <>
                  <Time at={from} moment /> to <Time at={to} moment />
                </>
              )}
            </Problem>
          ))}
          {alerts.map(({ check, level: how, message, hint }) => (
            <Problem key={`${check} ${message}`} level={how} message={message} hint={hint} />
          ))}
        </ul>
      )}
    </section>
  )
}

interface ProblemProps {
  readonly level: 'ok' | 'warning' | 'critical'
  readonly message: string
  readonly hint: string | undefined
  readonly children?: VNode | false
}

function Problem({ level, message, hint, children }: ProblemProps): VNode {
  return (
    <li class="trouble">
      <LevelSign level={level} />
      <p>
        <strong>{message}</strong>
        {children !== undefined && children !== false && <>: {children}</>}
      </p>
      {hint !== undefined && <p>What helps: {hint.replace(/\.$/, '')}.</p>}
    </li>
  )
}

function Proofs({ coverage }: { coverage: CoverageRecord }): VNode {
  const last = coverage.intervals.at(-1)
  return (
    <Card
      title="When that was last proved"
      actions={<a href={hrefTo({ view: 'work' })}>Prove it now</a>}
    >
      <dl class="grid">
        <Proof name="The store" recovery={last?.store ?? null} />
        <Proof name="The newest CAR" recovery={last?.cars ?? null} />
        <Stat
          name="A copy elsewhere"
          note="Cairn sees the folder of backups only. Whether its CARs were carried off this machine is for you to know."
        >
          Not known here
        </Stat>
      </dl>
    </Card>
  )
}

function Proof({ name, recovery }: { name: string; recovery: Recovery | null }): VNode {
  if (recovery === null) {
    return (
      <Stat name={name} level="critical" note="Nothing comes back from it">
        None
      </Stat>
    )
  }
  const { proved_at, name: source } = recovery
  if (proved_at === null) {
    return (
      <Stat
        name={name}
        level="warning"
        note={
          source === null
            ? 'It was never proved as a whole, or is damaged'
            : `${source}: the last drill with it failed`
        }
      >
        Not proved
      </Stat>
    )
  }
  return (
    <Stat name={name} note={[proverText(recovery), source].filter(Boolean).join(': ')}>
      <Time at={proved_at} />
    </Stat>
  )
}

const COLUMNS: readonly Column<Interval>[] = [
  {
    name: 'From',
    head: true,
    cell: ({ from }) => <Time at={from} moment />,
  },
  { name: 'To', cell: ({ to }) => <Time at={to} moment /> },
  { name: 'The store brings back', cell: ({ store }) => <Way recovery={store} /> },
  { name: 'The CARs alone', cell: ({ cars }) => <Way recovery={cars} /> },
]

function Way({ recovery }: { recovery: Recovery | null }): VNode {
  if (recovery === null) return <strong class="critical">nothing</strong>
  const { exact, loses_ms } = recovery
  return (
    <span>
      {recoveryText(recovery)}
      {!exact && loses_ms > 0 && <span class="muted">, at most {durationText(loses_ms)} lost</span>}
    </span>
  )
}

function Stretches({ coverage }: { coverage: CoverageRecord }): VNode {
  return (
    <Card title="In words">
      <div class="coverage-table">
        <Table
          caption="Stretches of time, newest first, and what could be brought back of each"
          columns={COLUMNS}
          rows={coverage.intervals.toReversed()}
          rowKey={({ from }) => from}
        />
      </div>
    </Card>
  )
}
