/** One entity: what it is now, or was in a snapshot; what it holds; and how it came to be so. */
import type { VNode } from 'preact'
import type { EntryRecord } from '../../../../src/client/records.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { Card, Empty, Skeleton, Stat } from '../../ui/card.tsx'
import { Cid, Copy, Time } from '../../ui/value.tsx'
import { Content } from './content.tsx'
import { History } from './history.tsx'
import { useLoaded } from './loaded.ts'
import { MomentNote } from './moment.tsx'
import { blockHref, entitiesHref, entityHref, type Place } from './place.ts'
import { Visible } from './text.tsx'
import { visibleText } from './visible.ts'

export interface EntityPageProps {
  readonly place: Place
  readonly pi: string
  /** The selector of a snapshot; empty: now. */
  readonly at: string
}

const LONG = 80

export function EntityPage({ place, pi, at }: EntityPageProps): VNode {
  const { data, error, retry } = useLoaded(`${place.key} ${pi} ${at} ${place.turn}`, (signal) =>
    place.source.entity(pi, { signal, at_snapshot: at === '' ? undefined : at }),
  )
  return (
    <div class="stack-l">
      <div class="stack">
        <nav aria-label="The way here">
          <ol class="crumbs small">
            <li>
              <a href={entitiesHref(place, { at })}>Entities</a>
            </li>
            <li aria-current="page">Entity</li>
          </ol>
        </nav>
        <div class="entity-head">
          <h1 class={`entity-id${pi.length > LONG ? ' entity-id-long' : ''}`} tabIndex={-1}>
            <Visible text={pi} />
          </h1>
          <Copy text={pi} label="Copy the id" />
        </div>
      </div>
      {at !== '' && <MomentNote at={at} href={entityHref(place, pi)} />}
      {error !== undefined && <ErrorNote error={error} onRetry={retry} />}
      {data === undefined && error === undefined && <Skeleton lines={5} />}
      {data === null && <Absent at={at} />}
      {data !== undefined && data !== null && <Present place={place} entry={data} />}
      <History place={place} pi={pi} />
    </div>
  )
}

function Absent({ at }: { at: string }): VNode {
  return (
    <Card>
      <Empty title={at === '' ? 'It is not there' : 'It was not there'}>
        <p>It was never written, was deleted, or has expired. Its history may tell.</p>
      </Empty>
    </Card>
  )
}

function Present({ place, entry }: { place: Place; entry: EntryRecord }): VNode {
  const { pi, ver, tip, ts, exp } = entry
  return (
    <>
      <dl class="grid facts">
        <Stat name="Version">{ver}</Stat>
        <Stat name="Written" note={<Time at={ts} moment />}>
          <Time at={ts} />
        </Stat>
        {exp !== null && (
          <Stat name="Expires" note={<Time at={exp} moment />}>
            <Time at={exp} />
          </Stat>
        )}
        {tip !== null && (
          <Stat name="Tip" note={<a href={blockHref(place, tip, { of: pi })}>Walk the DAG</a>}>
            <Cid value={tip} href={blockHref(place, tip, { of: pi })} />
          </Stat>
        )}
      </dl>
      {tip !== null && (
        <Card title="Content">
          <Content key={tip} place={place} cid={tip} name={visibleText(pi)} of={pi} />
        </Card>
      )}
    </>
  )
}
