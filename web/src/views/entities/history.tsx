/** The versions of an entity, newest first, and what each of them changed. */
import type { ComponentChildren, VNode } from 'preact'
import { useState } from 'preact/hooks'
import type { LoggedRecord } from '../../../../src/client/records.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { Button } from '../../ui/button.tsx'
import { Card, Skeleton, Tag } from '../../ui/card.tsx'
import { Cid, Time } from '../../ui/value.tsx'
import { Changes } from './changes.tsx'
import { useLoaded } from './loaded.ts'
import { blockHref, type Place } from './place.ts'

/** As many as are asked for. */
const KEPT = 100

export function History({ place, pi }: { place: Place; pi: string }): VNode {
  const { data, error, retry } = useLoaded(`${place.key} ${pi} ${place.turn}`, (signal) =>
    place.source.history(pi, { signal }),
  )
  return (
    <Card title="History" note={noteOf(place, data?.length)}>
      {error !== undefined && <ErrorNote error={error} onRetry={retry} />}
      {data === undefined && error === undefined && <Skeleton />}
      {data !== undefined && (
        <ol class="versions">
          {data.map((version, i) => (
            <Version
              key={`${version.ver} ${version.tip ?? ''}`}
              place={place}
              version={version}
              older={data[i + 1]}
            />
          ))}
        </ol>
      )}
    </Card>
  )
}

function noteOf(place: Place, count: number | undefined): string | undefined {
  if (count === 0) return 'No version is known.'
  if (count !== undefined && count >= KEPT) return `The newest ${KEPT} versions.`
  const rest =
    place.source.kind === 'car'
      ? 'Those that the CAR has: the one in its snapshot, and what came after it.'
      : 'Older versions are in earlier snapshots.'
  return `Newest first. ${rest}`
}

interface VersionProps {
  readonly place: Place
  readonly version: LoggedRecord
  readonly older: LoggedRecord | undefined
}

function Version({ place, version, older }: VersionProps): VNode {
  const { ver, tip, ts, pi } = version
  const [open, setOpen] = useState(false)
  const both = tip !== null && typeof older?.tip === 'string' && older.tip !== tip
  return (
    <li>
      <div class="row spread">
        <span class="row">
          <strong>Version {ver}</strong>
          <What version={version} older={older} />
          <span class="muted">
            <Time at={ts} />
          </span>
        </span>
        <span class="row">
          {tip !== null && <Cid value={tip} href={blockHref(place, tip, { of: pi })} />}
          {both && (
            <Button small expanded={open} onClick={() => setOpen(!open)}>
              What changed
            </Button>
          )}
        </span>
      </div>
      {open && both && <Changes place={place} before={older.tip ?? ''} after={tip} />}
    </li>
  )
}

function What({ version, older }: Omit<VersionProps, 'place'>): ComponentChildren {
  if (version.tip === null) return <Tag>deleted</Tag>
  if (older?.tip === null) return <Tag>written again</Tag>
  return version.ver === 1 ? <Tag>first</Tag> : null
}
