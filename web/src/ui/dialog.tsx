/** A modal dialog: the browser's own, which keeps the focus and gives it back. */
import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import { Button } from './button.tsx'

export interface DialogProps {
  readonly title: string
  readonly open: boolean
  readonly onClose: () => void
  readonly children: ComponentChildren
  /** Buttons at its end, before "Close". */
  readonly actions?: ComponentChildren
  readonly closeText?: string
}

export function Dialog(props: DialogProps): VNode {
  const { title, open, onClose, children, actions, closeText = 'Close' } = props
  const id = useId()
  const ref = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const dialog = ref.current
    if (open && dialog?.open === false) dialog.showModal()
    if (!open && dialog?.open === true) dialog.close()
  }, [open])
  return (
    <dialog class="dialog" ref={ref} aria-labelledby={id} onClose={onClose}>
      {open && (
        <div class="stack">
          <h2 id={id}>{title}</h2>
          {children}
          <div class="row dialog-end">
            {actions}
            <Button onClick={onClose}>{closeText}</Button>
          </div>
        </div>
      )}
    </dialog>
  )
}
