/** A CAR, read where the page is: opened, proved, and browsed as a dataset is. */
import type { VNode } from 'preact'
import { useId, useMemo } from 'preact/hooks'
import { ErrorNote } from '../../app/errors.tsx'
import { hrefTo, type Target } from '../../app/router.ts'
import type { ViewProps } from '../../app/views.ts'
import { Button } from '../../ui/button.tsx'
import { Card } from '../../ui/card.tsx'
import { useArrived } from '../entities/arrived.ts'
import { BlockPage } from '../entities/block.tsx'
import { EntityPage } from '../entities/entity.tsx'
import { EntityList } from '../entities/list.tsx'
import type { Place, Query } from '../entities/place.ts'
import { Visible } from '../entities/text.tsx'
import { About } from './about.tsx'
import { GoingOn } from './going.tsx'
import { closeCar, opened, openFiles, type Opened } from './opened.ts'
import { FileInput, Pick } from './pick.tsx'
import { Chunks, Snapshots } from './snapshots.tsx'
import '../entities/view.css'
import './view.css'

export function View({ dataset, args, query }: ViewProps): VNode {
  const now = opened.value
  useArrived(`${now.state} ${args.join('/')}`)
  if (now.state === 'open') return <Browse dataset={dataset} now={now} args={args} query={query} />
  return (
    <div class="stack-l">
      <div class="stack">
        <h1 tabIndex={-1}>Open a CAR</h1>
        <p class="muted lead">
          A backup of Cairn is a file. Look into it, and have every block of it proved.
        </p>
      </div>
      {now.state === 'opening' ? (
        <Card title={namesOf(now.files)}>
          <GoingOn onStop={now.stop} />
          <p class="small muted">It is read on this device. Nothing is uploaded.</p>
        </Card>
      ) : (
        <>
          {now.state === 'failed' && (
            <div class="stack">
              <p>
                <strong>
                  <Visible text={namesOf(now.files)} />
                </strong>{' '}
                could not be opened.
              </p>
              <ErrorNote error={now.error} />
            </div>
          )}
          <Pick onFiles={(files) => void openFiles(files)} />
        </>
      )}
    </div>
  )
}

const namesOf = (files: readonly File[]): string => files.map(({ name }) => name).join(', ')

interface BrowseProps extends ViewProps {
  readonly now: Extract<Opened, { state: 'open' }>
}

function Browse({ dataset, now, args, query }: BrowseProps): VNode {
  const { car, files, turn } = now
  const place = useMemo((): Place => {
    return {
      source: car,
      key: `car ${turn}`,
      turn: '',
      target: (what, arg, asked) =>
        targetOf(dataset, [what, ...(arg === undefined ? [] : [arg])], asked),
      findBlock: car.place,
    }
  }, [car, turn, dataset])
  const [what = '', arg] = args
  return (
    <div class="stack-l">
      <Bar dataset={dataset} files={files} what={what} browsable={car.summary.state !== null} />
      <Shown place={place} now={now} dataset={dataset} what={what} arg={arg} query={query} />
    </div>
  )
}

function targetOf(dataset: string, args: readonly string[], query: Query = {}): Target {
  return { ...(dataset === '' ? {} : { dataset }), view: 'car', args, query }
}

interface ShownProps {
  readonly place: Place
  readonly now: BrowseProps['now']
  readonly dataset: string
  readonly what: string
  readonly arg: string | undefined
  readonly query: Query
}

function Shown({ place, now, dataset, what, arg, query }: ShownProps): VNode {
  const key = `${place.key} ${what} ${arg ?? ''}`
  if (what === 'entities' && arg !== undefined)
    return <EntityPage key={key} place={place} pi={arg} at={query['at'] ?? ''} />
  if (what === 'entities') return <EntityList key={key} place={place} query={query} />
  if (what === 'block' && arg !== undefined)
    return <BlockPage key={key} place={place} cid={arg} query={query} />
  if (what === 'snapshots') {
    const chunksHref = (at: string): string => hrefTo(targetOf(dataset, ['chunks', at]))
    return <Snapshots key={key} place={place} chunksHref={chunksHref} />
  }
  if (what === 'chunks') return <Chunks key={key} place={place} selector={arg ?? 'latest'} />
  return (
    <div class="stack-l">
      <h1 class="car-name" tabIndex={-1}>
        <Visible text={namesOf(now.files)} />
      </h1>
      <About place={place} summary={now.car.summary} />
    </div>
  )
}

interface BarProps {
  readonly dataset: string
  readonly files: readonly File[]
  readonly what: string
  /** It has entities that can be read. */
  readonly browsable: boolean
}

const PLACES = [
  ['', 'Overview'],
  ['entities', 'Entities'],
  ['snapshots', 'Snapshots'],
  ['chunks', 'Chunks'],
] as const

/** Where to go within the CAR; adding a file to it, and closing it. */
function Bar({ dataset, files, what, browsable }: BarProps): VNode {
  const id = useId()
  return (
    <div class="car-bar">
      <nav aria-label="In the CAR">
        <ul class="car-places">
          {PLACES.filter(([place]) => browsable || place === '').map(([place, name]) => (
            <li key={place}>
              <a
                href={hrefTo(targetOf(dataset, place === '' ? [] : [place]))}
                aria-current={place === what ? 'page' : undefined}
              >
                {name}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="row">
        <FileInput
          id={id}
          label="Add a file"
          quiet
          onFiles={(more) => void openFiles([...files, ...more])}
        />
        <Button small onClick={closeCar}>
          Close the CAR
        </Button>
      </div>
    </div>
  )
}
