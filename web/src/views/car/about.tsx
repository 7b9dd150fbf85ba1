/** What a CAR is, and whether it is sound. */
import type { ComponentChildren, VNode } from 'preact'
import { useRef, useState } from 'preact/hooks'
import { ErrorNote } from '../../app/errors.tsx'
import type {
  CarFileRecord,
  CarRootRecord,
  CarStateRecord,
  CarSummary,
} from '../../car/protocol.ts'
import { Button } from '../../ui/button.tsx'
import { Card, LevelSign, Stat, Tag } from '../../ui/card.tsx'
import { countText, pluralText } from '../../ui/format.ts'
import { Bytes, Cid, Time } from '../../ui/value.tsx'
import { blockHref, type Place } from '../entities/place.ts'
import { Visible } from '../entities/text.tsx'
import { GoingOn } from './going.tsx'
import { verified, verifyOpened } from './opened.ts'
import { Problems } from './problems.tsx'
import { verdictOf } from './verdict.ts'

export function About({ place, summary }: { place: Place; summary: CarSummary }): VNode {
  const { state, problem, files } = summary
  return (
    <div class="stack-l">
      <Answer />
      {problem !== null && <NoState problem={problem} />}
      {state !== null && <Facts place={place} summary={summary} state={state} />}
      <Card title={files.length === 1 ? 'The file' : pluralText(files.length, 'file')}>
        <ul class="car-files">
          {files.map((file) => (
            <File key={file.path} place={place} file={file} />
          ))}
        </ul>
      </Card>
    </div>
  )
}

function Answer(): VNode {
  const now = verified.value
  const title = useRef<HTMLHeadingElement>(null)
  const stopped = (stop: () => void): void => {
    stop()
    // The button goes away.
    title.current?.focus()
  }
  if (now.state === 'done') {
    const { level, headline, detail } = verdictOf(now.report)
    return (
      <section class={`verdict verdict-${level}`} aria-labelledby="verdict">
        <h2 id="verdict" class="verdict-title">
          <LevelSign level={level} />
          {headline}
        </h2>
        <p class="verdict-detail">{detail}</p>
        <Problems report={now.report} />
      </section>
    )
  }
  return (
    <section class="verdict" aria-labelledby="verdict">
      <h2 id="verdict" class="verdict-title" ref={title} tabIndex={-1}>
        {now.state === 'running' ? 'It is open, and is being proved' : 'It was not proved'}
      </h2>
      {now.state === 'running' && <GoingOn onStop={() => stopped(now.stop)} />}
      {now.state === 'failed' && <ErrorNote error={now.error} />}
      {now.state !== 'running' && (
        <div>
          <Button onClick={() => void verifyOpened()}>Prove it</Button>
        </div>
      )}
    </section>
  )
}

function NoState({ problem }: { problem: NonNullable<CarSummary['problem']> }): VNode {
  const { message, code } = problem
  const hint = code === 'base_missing' ? 'Open its base with it: “Add a file”.' : problem.hint
  return (
    <div class="note note-warning">
      <p class="note-title">Its entities cannot be shown.</p>
      <p>
        <Visible text={message} />
      </p>
      {hint !== undefined && <p>{hint}</p>}
      <p class="small">
        <code>{code}</code> · Its blocks can be looked at, from the roots below.
      </p>
    </div>
  )
}

const CONTENT: Readonly<Record<string, string>> = {
  full: 'All of it',
  tips: 'The first block of each',
  index: 'None: entities only',
}

interface FactsProps {
  readonly place: Place
  readonly summary: CarSummary
  readonly state: CarStateRecord
}

function Facts({ place, summary, state }: FactsProps): VNode {
  const { dataset, seq, ts, reason = '', tags = [], total_count, recent_count } = state
  const { snapshot, since, car_content, content } = state
  return (
    <Card title="What it is">
      <dl class="grid facts">
        <Stat name="Dataset">
          <Visible text={dataset ?? 'not named'} />
        </Stat>
        <Stat name="Snapshot" note={<Cid value={snapshot} href={blockHref(place, snapshot)} />}>
          {countText(seq)}
        </Stat>
        <Stat name="Made" note={<Time at={ts} moment />}>
          <Time at={ts} />
        </Stat>
        <Stat name="Entities" note={recentText(recent_count)}>
          {countText(total_count)}
        </Stat>
        <Stat name="Blocks">{countText(summary.blocks)}</Stat>
        <Stat name="Size">
          <Bytes value={summary.bytes} />
        </Stat>
        {car_content !== undefined && (
          <Stat name="Content" note={content === 'external' ? 'of tips elsewhere' : undefined}>
            {CONTENT[car_content] ?? car_content}
          </Stat>
        )}
        {typeof since === 'string' && (
          <Stat name="Delta since" note="what came after that snapshot">
            <Cid value={since} href={blockHref(place, since)} />
          </Stat>
        )}
        {reason !== '' && (
          <Stat name="Reason">
            <Visible text={reason} />
          </Stat>
        )}
        {tags.length > 0 && (
          <Stat name="Tags">
            <Visible text={tags.join(', ')} />
          </Stat>
        )}
      </dl>
    </Card>
  )
}

function recentText(count: number): ComponentChildren {
  if (count === 0) return 'all of them in the snapshot'
  return `with ${pluralText(count, 'entry', 'entries')} after the snapshot`
}

/** A CAR may name thousands. */
const STEP = 50

function File({ place, file }: { place: Place; file: CarFileRecord }): VNode {
  const { name, size, version, blocks, duplicates, roots } = file
  const [most, setMost] = useState(STEP)
  return (
    <li class="stack">
      <div class="row spread">
        <strong>
          <Visible text={name} />
        </strong>
        <span class="small muted">
          <Bytes value={size} /> · {pluralText(blocks, 'block')}
          {duplicates > 0 && `, ${countText(duplicates)} of them twice`} · CAR version {version}
        </span>
      </div>
      {roots.length === 0 ? (
        <p class="muted">It names no root.</p>
      ) : (
        <ul class="links">
          {roots.slice(0, most).map((root, i) => (
            <Root key={i} place={place} root={root} />
          ))}
        </ul>
      )}
      {roots.length > most && (
        <div>
          <Button small onClick={() => setMost(most + STEP)}>
            {countText(roots.length - most)} more
          </Button>
        </div>
      )}
    </li>
  )
}

function Root({ place, root }: { place: Place; root: CarRootRecord }): VNode {
  const { cid, kind, seq, since, problem } = root
  return (
    <li>
      <span>
        {kind === null ? 'A root' : kind === 'checkpoint' ? 'Checkpoint' : 'Snapshot'}
        {seq !== undefined && ` of snapshot ${countText(seq)}`}
        {typeof since === 'string' && (
          <>
            {' '}
            <Tag>delta</Tag>
          </>
        )}
      </span>
      <Cid value={cid} href={blockHref(place, cid)} />
      {problem !== undefined && (
        <p class="small muted root-problem">
          <Visible text={problem} />
        </p>
      )}
    </li>
  )
}
