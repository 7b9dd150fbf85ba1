/** A snapshot in the list: what it holds, which CARs hold it, and what can be done from here. */
import type { VNode } from 'preact'
import type { BackupRecord } from '../../../../src/client/index.ts'
import { hrefTo } from '../../app/router.ts'
import { datasetClient } from '../../app/session.ts'
import { Button } from '../../ui/button.tsx'
import { Badge, LevelSign, Tag } from '../../ui/card.tsx'
import { bytesText, countText, durationText, pluralText } from '../../ui/format.ts'
import { Cid, Time } from '../../ui/value.tsx'
import { Visible } from '../entities/text.tsx'
import { lacks } from '../work/rights.ts'
import { reasonText } from '../work/words.ts'
import { DownloadButton } from './download.tsx'
import type { Moment } from './history.ts'
import { selectorOf } from './snapshots.ts'

/** How restoring it on trial went last. */
export interface Drilled {
  readonly passed: boolean
  /** Null: not told. */
  readonly at: string | null
}

interface ItemProps {
  readonly dataset: string
  readonly moment: Moment
  /** Of the current snapshot; undefined where it is not known. */
  readonly chunksOfCurrent: number | undefined
  /** Of CARs, by their names. */
  readonly drilled: ReadonlyMap<string, Drilled>
  readonly onRollback: () => void
}

export function Item(props: ItemProps): VNode {
  const { dataset, moment, chunksOfCurrent, drilled, onRollback } = props
  const { snapshot, before, build, cars, left } = moment
  const { seq, ts, current, reason, tags, cid } = snapshot
  const chunks = build?.chunks ?? (current ? chunksOfCurrent : undefined)
  return (
    <li class={`moment${current ? ' moment-current' : ''}`} id={`snapshot-${seq}`} tabIndex={-1}>
      <header class="row spread">
        <h2 class="row moment-title">
          Snapshot {seq}
          {current && <Badge level="ok">Current</Badge>}
          {left && <Tag>left by a rollback or restore</Tag>}
          {tags.map((tag) => (
            <Tag key={tag}>
              <Visible text={tag} />
            </Tag>
          ))}
        </h2>
        <span class="small muted">
          <Time at={ts} moment /> · <Time at={ts} />
        </span>
      </header>
      <p>
        {pluralText(snapshot.live, 'entity', 'entities')}
        {before !== undefined && (
          <span class="muted"> ({changeText(snapshot.live - before.live, before.seq)})</span>
        )}
        {snapshot.entries > snapshot.live &&
          `, ${pluralText(snapshot.entries - snapshot.live, 'deletion')} remembered`}
        {chunks !== undefined && `, ${pluralText(chunks, 'chunk')}`}
      </p>
      <p class="small muted row moment-facts">
        <span>
          Why: <Visible text={reasonText(reason)} />
        </span>
        {build !== undefined && (
          <span>
            Built in {durationText(build.tookMs)}, {countText(build.written)} of{' '}
            {pluralText(build.chunks, 'chunk')} written
          </span>
        )}
        <Cid value={cid} />
      </p>
      {cars.length > 0 && (
        <ul class="moment-cars">
          {cars.map((car) => (
            <Car
              key={car.filename}
              dataset={dataset}
              car={car}
              drilled={drilled.get(car.filename)}
            />
          ))}
        </ul>
      )}
      <div class="row moment-actions">
        {before !== undefined && (
          <a
            href={hrefTo({
              view: 'diff',
              query: { from: selectorOf(before), to: selectorOf(snapshot) },
            })}
          >
            What changed
          </a>
        )}
        <a href={hrefTo({ view: 'chunks', query: { of: selectorOf(snapshot) } })}>Chunks</a>
        <DownloadButton
          label={`Download as a CAR: snapshot ${seq}`}
          text="Download as a CAR"
          name={`${dataset}-${seq}.car`}
          size={null}
          open={(signal) => datasetClient(dataset).car({ snapshot: cid }, { signal })}
        />
        {!current && (
          <Button
            small
            label={
              lacks('admin')
                ? 'Roll back: this needs a token with the right admin'
                : `Roll back to snapshot ${seq}`
            }
            disabled={lacks('admin')}
            onClick={onRollback}
          >
            Roll back
          </Button>
        )}
      </div>
    </li>
  )
}

function changeText(change: number, seq: number): string {
  if (change === 0) return `as many as in ${seq}`
  return `${change > 0 ? '+' : '−'}${countText(Math.abs(change))} against ${seq}`
}

interface CarProps {
  readonly dataset: string
  readonly car: BackupRecord
  readonly drilled: Drilled | undefined
}

export function Car({ dataset, car, drilled }: CarProps): VNode {
  const { filename, size_bytes, verified_at, since, encrypted, content, generation } = car
  return (
    <li class="moment-car">
      <span class="moment-car-name">
        <span class="mono">{filename}</span> <Tag>{since === null ? 'whole' : 'delta'}</Tag>
        {encrypted && <Tag>encrypted</Tag>}
        {content !== 'full' && <Tag>{content === 'tips' ? 'tips only' : 'without content'}</Tag>}
      </span>
      <span class="small muted">
        {bytesText(size_bytes)}, read back <Time at={verified_at} />
        {since !== null && (
          <>
            , needs <Cid value={since} />
          </>
        )}
        , generation {generation}
        {drilled !== undefined && (
          <span class="moment-drilled">
            , <LevelSign level={drilled.passed ? 'ok' : 'critical'} />{' '}
            {drilled.passed ? 'restored on trial' : 'the last trial of restoring it failed'}{' '}
            {drilled.at !== null && <Time at={drilled.at} />}
          </span>
        )}
      </span>
      <DownloadButton
        label={`Download ${filename}`}
        text="Download"
        name={filename}
        size={size_bytes}
        open={(signal) => datasetClient(dataset).backup(filename, { signal })}
      />
    </li>
  )
}
