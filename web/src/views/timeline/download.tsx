/** A button that downloads a CAR, with the token in the request and never in an address. */
import { useSignal } from '@preact/signals'
import type { VNode } from 'preact'
import { useEffect } from 'preact/hooks'
import type { Download } from '../../../../src/client/index.ts'
import { ErrorNote } from '../../app/errors.tsx'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { bytesText } from '../../ui/format.ts'
import { saveStream } from './save-stream.ts'

interface DownloadButtonProps {
  readonly label: string
  readonly text: string
  readonly name: string
  readonly size: number | null
  readonly open: (signal: AbortSignal) => Promise<Download>
}

export function DownloadButton({ label, text, name, size, open }: DownloadButtonProps): VNode {
  const come = useSignal<number | undefined>(undefined)
  const failed = useSignal<unknown>(undefined)
  const stop = useSignal(new AbortController())
  useEffect(() => () => stop.peek().abort(), [])
  const download = async (): Promise<void> => {
    const { signal } = (stop.value = new AbortController())
    come.value = 0
    failed.value = undefined
    announce(`Downloading ${name}.`)
    try {
      const onBytes = (bytes: number): void => {
        come.value = bytes
      }
      const saved = await saveStream({ name, size, open: () => open(signal), onBytes, signal })
      if (saved) announce(`${name} was downloaded.`)
    } catch (error) {
      if (!signal.aborted) failed.value = error
    }
    come.value = undefined
  }
  const busy = come.value !== undefined
  return (
    <>
      <span class="row small moment-download">
        {busy && (
          <span key="come">
            {bytesText(come.value ?? 0)}
            {size !== null && ` of ${bytesText(size)}`}
          </span>
        )}
        {/* One button for both, so that it keeps the focus. */}
        <Button
          key="button"
          small
          label={busy ? `Stop: ${label}` : label}
          onClick={() => (busy ? stop.peek().abort() : void download())}
        >
          {busy ? 'Stop' : text}
        </Button>
      </span>
      {failed.value !== undefined && <ErrorNote error={failed.value} />}
    </>
  )
}
