/** What an entity holds: a value as a tree or as text, a picture, text, or bytes; and all of it as a file. */
import type { VNode } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { CairnClientError } from '../../../../src/client/error.ts'
import { ErrorNote } from '../../app/errors.tsx'
import type { ContentView } from '../../content-view.ts'
import { Button } from '../../ui/button.tsx'
import { Skeleton } from '../../ui/card.tsx'
import { bytesText } from '../../ui/format.ts'
import { Tabs } from '../../ui/tabs.tsx'
import { BytesView, PlainText } from './bytes.tsx'
import { jsonText } from './json-text.ts'
import { JsonTree } from './json-tree.tsx'
import { useLoaded } from './loaded.ts'
import { blockHref, type Place } from './place.ts'
import { saveBytes } from './save.ts'

export interface ContentProps {
  readonly place: Place
  readonly cid: string
  /** What it is the content of. */
  readonly name: string
  /** The entity whose content it is. */
  readonly of?: string
}

const MOST_SAVED = 256 << 20

export function Content({ place, cid, name, of }: ContentProps): VNode {
  const { source } = place
  const { data, error, retry } = useLoaded(`${place.key} ${cid}`, (signal) =>
    source.content(cid, { signal }),
  )
  if (error !== undefined) return <ErrorNote error={error} onRetry={retry} />
  if (data === undefined) return <Skeleton lines={4} />
  return (
    <div class="stack">
      {data.kind === 'value' ? (
        <ValueView value={data.value} hrefOf={(link) => blockHref(place, link, { of, way: cid })} />
      ) : (
        <BytesView bytes={data.bytes} cut={data.cut} name={name} />
      )}
      <Save place={place} content={data} name={name} />
    </div>
  )
}

export function ValueView(props: { value: unknown; hrefOf: (cid: string) => string }): VNode {
  const { value, hrefOf } = props
  const [shown, setShown] = useState<'tree' | 'text'>('tree')
  const text = useMemo(() => (shown === 'text' ? prettyText(value) : ''), [value, shown])
  return (
    <Tabs label="How it is shown" tabs={LOOKS} selected={shown} onSelect={setShown}>
      {shown === 'tree' ? <JsonTree value={value} hrefOf={hrefOf} /> : <PlainText text={text} />}
    </Tabs>
  )
}

const MOST_INDENTED = 8

const LOOKS = [
  { id: 'tree', name: 'Tree' },
  { id: 'text', name: 'Text' },
] as const

/** In lines, unless they would be mostly indents; what is nested by the thousands has no text. */
function prettyText(value: unknown): string {
  try {
    const [short, long] = [jsonText(value), jsonText(value, 2)]
    return long.length > MOST_INDENTED * short.length ? short : long
  } catch (error) {
    if (error instanceof RangeError) return 'It is nested too deep to be shown as text.'
    throw error
  }
}

function Save(props: { place: Place; content: ContentView; name: string }): VNode {
  const { place, content, name } = props
  const [busy, setBusy] = useState(false)
  const [failed, setFailed] = useState<unknown>(undefined)
  const save = async (): Promise<void> => {
    setBusy(true)
    setFailed(undefined)
    try {
      saveBytes(await allOf(place, content), content.kind === 'value' ? `${name}.json` : name)
    } catch (error) {
      setFailed(error)
    }
    setBusy(false)
  }
  return (
    <div class="stack">
      <div class="row">
        <Button small busy={busy} onClick={() => void save()}>
          Save as a file
        </Button>
      </div>
      {failed !== undefined && <ErrorNote error={failed} />}
    </div>
  )
}

async function allOf({ source }: Place, content: ContentView): Promise<Uint8Array> {
  if (content.kind === 'value') return new TextEncoder().encode(jsonText(content.value, 2))
  if (!content.cut) return content.bytes
  const whole = await source.content(content.cid, { maxBytes: MOST_SAVED })
  if (whole.kind === 'value') return new Uint8Array()
  if (!whole.cut) return whole.bytes
  throw new CairnClientError(`It has more than ${bytesText(MOST_SAVED)}.`, {
    code: 'too_large',
    hint: 'The command line has no such limit: cairn cat, or cairn car get.',
  })
}
