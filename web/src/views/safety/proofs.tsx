/** What the answer rests on: the newest save, snapshot, CAR and drill, and what waits. */
import type { VNode } from 'preact'
import type { HealthReport } from '../../../../src/client/index.ts'
import { useBackups, type DatasetStatus } from '../../app/status.ts'
import { Card, Stat, type Level } from '../../ui/card.tsx'
import { pluralText } from '../../ui/format.ts'
import { Meter } from '../../ui/progress.tsx'
import { Bytes, Count, Time } from '../../ui/value.tsx'
import { provedAt, waitingText } from './verdict.ts'

interface ProofsProps {
  readonly dataset: string
  readonly status: DatasetStatus
  readonly health: HealthReport
}

export function Proofs({ dataset, status, health }: ProofsProps): VNode {
  const chain = levelOf(health, 'chain')
  const drilled = provedAt(health)
  return (
    <Card title="What that rests on">
      <dl class="grid proofs">
        <Stat name="Last saved" note={`Commit ${status.number}`}>
          <Time at={status.ts} />
        </Stat>
        <Stat
          name="Last snapshot"
          note={`Number ${status.snapshot_seq}, ${pluralText(status.snapshot_count, 'entry', 'entries')}`}
          level={levelOf(health, 'snapshot')}
        >
          <Time at={status.snapshot_ts} />
        </Stat>
        <LastCar dataset={dataset} level={levelOf(health, 'car')} />
        <Stat
          name="Last drill"
          note={
            drilled === undefined ? 'Not restored on trial yet' : 'Restored on trial, and compared'
          }
          level={levelOf(health, 'drill')}
        >
          {drilled === undefined ? 'Never' : <Time at={drilled} />}
        </Stat>
        <Stat
          name="Entities"
          note={status.settings.content === 'linked' ? 'Content in the store' : 'Content elsewhere'}
        >
          <Count value={status.total_count} />
        </Stat>
        <Stat name="Waiting for a snapshot" note={waitingText(status)} level={chain}>
          <Count value={status.recent_count} />
          <Meter
            label="Recent chain"
            value={status.recent_count}
            most={status.settings.chain_limit}
            level={chain}
          />
        </Stat>
      </dl>
    </Card>
  )
}

function LastCar({ dataset, level }: { dataset: string; level: Level }): VNode {
  const newest = useBackups(dataset).data.value?.[0]
  if (newest === undefined) {
    return (
      <Stat name="Last CAR" note="A copy in one file, for another place" level={level}>
        None
      </Stat>
    )
  }
  return (
    <Stat
      name="Last CAR"
      level={level}
      note={
        <>
          <Bytes value={newest.size_bytes} />, {newest.encrypted ? 'encrypted, ' : ''}
          {newest.since === null ? 'whole' : 'what was new'}
        </>
      }
    >
      <Time at={newest.verified_at} />
    </Stat>
  )
}

function levelOf({ checks }: HealthReport, name: string): Level {
  return checks.find(({ check }) => check === name)?.level ?? 'ok'
}
