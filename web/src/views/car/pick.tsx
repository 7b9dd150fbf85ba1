/** Choosing files, or dropping them anywhere on the page. */
import type { VNode } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'

export interface PickProps {
  readonly onFiles: (files: readonly File[]) => void
}

export function Pick({ onFiles }: PickProps): VNode {
  const id = useId()
  const over = useDropped(onFiles)
  return (
    <div class={`drop${over ? ' drop-over' : ''}`}>
      <svg viewBox="0 0 48 48" aria-hidden="true" fill="none" stroke="currentColor">
        <path
          d="M24 8v22M15 21l9 9 9-9M8 34v4a3 3 0 0 0 3 3h26a3 3 0 0 0 3-3v-4"
          stroke-width="2.5"
          stroke-linecap="round"
          stroke-linejoin="round"
        />
      </svg>
      <p class="drop-title">{over ? 'Let go to open it' : 'Drop a CAR here'}</p>
      <p class="muted">or several: a base and its deltas</p>
      <FileInput id={id} label="Choose files" onFiles={onFiles} />
      <p class="small muted drop-note">
        It is read and proved on this device. Nothing is uploaded.
      </p>
    </div>
  )
}

interface FileInputProps extends PickProps {
  readonly id: string
  readonly label: string
  readonly quiet?: boolean
}

/** The field itself keeps the focus; the label is what is seen. */
export function FileInput({ id, label, quiet = false, onFiles }: FileInputProps): VNode {
  return (
    <span class="file">
      <input
        id={id}
        class="aside"
        type="file"
        multiple
        accept=".car,application/vnd.ipld.car"
        onChange={({ currentTarget }) => {
          const files = [...(currentTarget.files ?? [])]
          currentTarget.value = ''
          if (files.length > 0) onFiles(files)
        }}
      />
      <label for={id} class={`button ${quiet ? 'button-plain button-small' : 'button-primary'}`}>
        {label}
      </label>
    </span>
  )
}

/** True while something is held over the page. */
function useDropped(onFiles: (files: readonly File[]) => void): boolean {
  const [over, setOver] = useState(false)
  const newest = useRef(onFiles)
  newest.current = onFiles
  useEffect(() => {
    const stop = new AbortController()
    const { signal } = stop
    const isFile = ({ dataTransfer }: DragEvent): boolean =>
      dataTransfer?.types.includes('Files') === true
    const onOver = (event: DragEvent): void => {
      if (!isFile(event)) return
      event.preventDefault()
      setOver(true)
    }
    const onDrop = (event: DragEvent): void => {
      setOver(false)
      if (!isFile(event)) return
      event.preventDefault()
      const files = [...(event.dataTransfer?.files ?? [])]
      if (files.length > 0) newest.current(files)
    }
    const onLeave = (event: DragEvent): void => {
      if (event.relatedTarget === null) setOver(false)
    }
    window.addEventListener('dragover', onOver, { signal })
    window.addEventListener('drop', onDrop, { signal })
    window.addEventListener('dragleave', onLeave, { signal })
    return () => stop.abort()
  }, [])
  return over
}
