/** A block: what it is, what it holds, and the links that lead on. So a DAG is walked, and back. */
import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import { ErrorNote } from '../../app/errors.tsx'
import type { BlockLink, BlockView } from '../../block-view.ts'
import { Button } from '../../ui/button.tsx'
import { Card, Skeleton, Stat, Tag } from '../../ui/card.tsx'
import { countText, pluralText } from '../../ui/format.ts'
import { Bytes, Cid, Copy } from '../../ui/value.tsx'
import { BytesView, Hex } from './bytes.tsx'
import { Content, ValueView } from './content.tsx'
import { useLoaded } from './loaded.ts'
import { blockHref, entityHref, type Place } from './place.ts'
import { saveBytes } from './save.ts'
import { Visible } from './text.tsx'
import { wayBack, wayOf, wayOn, wayQuery, type Way } from './way.ts'

export interface BlockPageProps {
  readonly place: Place
  readonly cid: string
  readonly query: Readonly<Record<string, string | undefined>>
}

export function BlockPage({ place, cid, query }: BlockPageProps): VNode {
  const way = wayOf(query)
  const { data, error, retry } = useLoaded(`${place.key} ${cid}`, (signal) =>
    place.source.block(cid, { signal }),
  )
  return (
    <div class="stack-l">
      <div class="stack">
        <Crumbs place={place} way={way} cid={cid} />
        <h1 tabIndex={-1}>{data === undefined ? 'Block' : nameOf(data)}</h1>
        <p class="row whole-cid">
          <code>{cid}</code>
          <Copy text={cid} label="Copy the CID" />
        </p>
      </div>
      {error !== undefined && <ErrorNote error={error} onRetry={retry} />}
      {data === undefined && error === undefined && <Skeleton lines={5} />}
      {data !== undefined && <Block place={place} block={data} way={way} />}
    </div>
  )
}

const KINDS: Readonly<Record<string, string>> = {
  'cairn/checkpoint': 'Checkpoint',
  'cairn/snapshot': 'Snapshot',
  'cairn/node': 'Node of the tree of entities',
  'cairn/chain': 'Block of the recent chain',
  'cairn/chain-list': 'List of the recent chain',
}

const CODECS: Readonly<Record<BlockView['codec'], string>> = {
  'dag-cbor': 'Value',
  'dag-json': 'Value',
  'dag-pb': 'File or directory',
  raw: 'Bytes',
  other: 'Block',
}

const nameOf = ({ schema, codec }: BlockView): string =>
  KINDS[schema?.replace(/@.*$/, '') ?? ''] ?? CODECS[codec]

function Crumbs({ place, way, cid }: { place: Place; way: Way; cid: string }): VNode | null {
  const { pi, cids } = way
  if (pi === undefined && cids.length === 0) return null
  return (
    <nav aria-label="The way here">
      <ol class="crumbs small">
        {pi !== undefined && (
          <li>
            <a href={entityHref(place, pi)}>
              <Visible text={pi.length > 40 ? `${pi.slice(0, 40)}…` : pi} />
            </a>
          </li>
        )}
        {cids.map((one, i) => (
          <li key={one}>
            <a href={blockHref(place, one, wayQuery(wayBack(way, i)))} title={one}>
              <code>{shortCid(one)}</code>
            </a>
          </li>
        ))}
        <li aria-current="page">
          <code>{shortCid(cid)}</code>
        </li>
      </ol>
    </nav>
  )
}

const shortCid = (cid: string): string => `…${cid.slice(-6)}`

interface BlockProps {
  readonly place: Place
  readonly block: BlockView
  readonly way: Way
}

function Block({ place, block, way }: BlockProps): VNode {
  const { cid, codec, data, value, problem, links } = block
  const on = wayQuery(wayOn(way, cid))
  const hrefOf = (link: string): string => blockHref(place, link, on)
  return (
    <>
      <Facts place={place} block={block} />
      {problem !== null && (
        <div class="note note-warning">
          <p class="note-title">Its value cannot be shown.</p>
          <p>{problem}</p>
        </div>
      )}
      <Card
        title={value === undefined ? 'Bytes' : 'Value'}
        actions={
          <Button small onClick={() => saveBytes(data, `${cid}.bin`)}>
            Save the block
          </Button>
        }
      >
        {value !== undefined && <ValueView value={value} hrefOf={hrefOf} />}
        {value === undefined &&
          (codec === 'raw' ? (
            <BytesView bytes={data} cut={false} name={cid} />
          ) : (
            <Hex bytes={data} />
          ))}
      </Card>
      {(links.length > 0 || codec === 'dag-cbor') && <Links block={block} hrefOf={hrefOf} />}
      {codec === 'dag-pb' && problem === null && <AsFile place={place} cid={cid} />}
    </>
  )
}

function Facts({ place, block }: { place: Place; block: BlockView }): VNode {
  const { cid, codec, length, schema, links, more_links } = block
  const { data: found } = useLoaded(`${place.key} place ${cid}`, async () => {
    return (await place.findBlock?.(cid)) ?? null
  })
  return (
    <dl class="grid facts">
      <Stat name="Size">
        <Bytes value={length} />
      </Stat>
      <Stat name="Codec" note={schema ?? undefined}>
        {codec}
      </Stat>
      <Stat name="Links">
        {countText(links.length)}
        {more_links && ' and more'}
      </Stat>
      {found !== undefined && found !== null && (
        <Stat name="In the file" note={<Visible text={found.path} />}>
          offset {countText(found.offset)}
        </Stat>
      )}
    </dl>
  )
}

const STEP = 100

function Links({ block, hrefOf }: { block: BlockView; hrefOf: (cid: string) => string }): VNode {
  const { links, more_links } = block
  const [most, setMost] = useState(STEP)
  if (links.length === 0) {
    return (
      <Card title="Links">
        <p class="muted">It leads nowhere: a block at the end.</p>
      </Card>
    )
  }
  return (
    <Card title={pluralText(links.length, 'link')}>
      <ul class="links">
        {links.slice(0, most).map((link, i) => (
          <Link key={i} link={link} hrefOf={hrefOf} />
        ))}
      </ul>
      {links.length > most && (
        <div>
          <Button small onClick={() => setMost(most + STEP)}>
            {countText(links.length - most)} more
          </Button>
        </div>
      )}
      {more_links && <p class="small muted">The block has more links than are listed here.</p>}
    </Card>
  )
}

function Link({ link, hrefOf }: { link: BlockLink; hrefOf: (cid: string) => string }): VNode {
  const { cid, path, weak } = link
  return (
    <li>
      <span class="links-path">
        <Visible text={path.length > 120 ? `${path.slice(0, 120)}…` : path || 'the value itself'} />
        {weak && (
          <span title="Held as bytes: no part of the DAG, and it may be gone.">
            {' '}
            <Tag>only named</Tag>
          </span>
        )}
      </span>
      <Cid value={cid} href={hrefOf(cid)} />
    </li>
  )
}

/** A file of many blocks, put together; asked for, as it may be long. */
function AsFile({ place, cid }: { place: Place; cid: string }): VNode {
  const [open, setOpen] = useState(false)
  return (
    <Card title="The file that begins here">
      {open ? (
        <Content place={place} cid={cid} name={cid} />
      ) : (
        <div>
          <Button small onClick={() => setOpen(true)}>
            Show it
          </Button>
        </div>
      )}
    </Card>
  )
}
