/** Bytes as what they are: a picture, text, or the beginning of a dump. A picture is an <img> and nothing more. */
import type { VNode } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { Button } from '../../ui/button.tsx'
import { bytesText, countText } from '../../ui/format.ts'
import { hexDump, sniff } from './sniff.ts'
import { Visible } from './text.tsx'

export interface BytesViewProps {
  readonly bytes: Uint8Array
  /** There are more. */
  readonly cut: boolean
  readonly name: string
}

export function BytesView({ bytes, cut, name }: BytesViewProps): VNode {
  const found = useMemo(() => sniff(bytes, cut), [bytes, cut])
  const size = cut ? `More than ${bytesText(bytes.length)}` : bytesText(bytes.length)
  return (
    <div class="stack">
      <p class="small muted">
        {KINDS[found.kind]}
        {found.kind === 'image' && ` (${found.type})`}, {size}
        {cut && '; the beginning is shown'}
      </p>
      {found.kind === 'image' && <Picture bytes={bytes} type={found.type} name={name} />}
      {found.kind === 'text' && <PlainText text={found.text} />}
      {found.kind === 'other' && <Hex bytes={bytes} />}
    </div>
  )
}

const KINDS = { image: 'A picture', text: 'Text', other: 'Bytes' } as const

function Picture(props: { bytes: Uint8Array; type: string; name: string }): VNode {
  const { bytes, type, name } = props
  const [url, setUrl] = useState<string | undefined>(undefined)
  const [broken, setBroken] = useState(false)
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>], { type }))
    setUrl(made)
    setBroken(false)
    return () => URL.revokeObjectURL(made)
  }, [bytes, type])
  if (broken) {
    return (
      <>
        <p>It begins like a picture, but cannot be shown as one.</p>
        <Hex bytes={bytes} />
      </>
    )
  }
  if (url === undefined) return <p class="muted">…</p>
  return <img class="picture" src={url} alt={name} onError={() => setBroken(true)} />
}

const TEXT_STEP = 50_000

export function PlainText({ text }: { text: string }): VNode {
  const [most, setMost] = useState(TEXT_STEP)
  return (
    <>
      <pre class="box" tabIndex={0} role="region" aria-label="Text">
        <Visible text={text.slice(0, most)} lines />
      </pre>
      {text.length > most && (
        <div>
          <Button small onClick={() => setMost(most + TEXT_STEP)}>
            {countText(text.length - most)} characters more
          </Button>
        </div>
      )}
    </>
  )
}

const HEX_BYTES = 512

export function Hex({ bytes }: { bytes: Uint8Array }): VNode {
  const head = bytes.subarray(0, HEX_BYTES)
  if (bytes.length === 0) return <p class="muted">There are none.</p>
  return (
    <>
      <pre class="box hex" tabIndex={0} role="region" aria-label="Bytes in hexadecimal">
        {hexDump(head)}
      </pre>
      {bytes.length > HEX_BYTES && (
        <p class="small muted">The first {HEX_BYTES} bytes. Save them to have all.</p>
      )}
    </>
  )
}
