import type { ComponentChildren, VNode } from 'preact'

export interface ButtonProps {
  readonly children: ComponentChildren
  readonly kind?: 'plain' | 'primary' | 'danger'
  readonly type?: 'button' | 'submit'
  readonly small?: boolean
  /** Cannot be pressed again while what it began goes on; it keeps the focus. */
  readonly busy?: boolean
  readonly disabled?: boolean
  /** For buttons that show a sign alone. */
  readonly label?: string
  readonly pressed?: boolean
  readonly expanded?: boolean
  readonly onClick?: () => void
}

export function Button(props: ButtonProps): VNode {
  const { children, kind = 'plain', type = 'button', small = false, busy = false } = props
  const { disabled = false, label, pressed, expanded, onClick } = props
  return (
    <button
      class={`button button-${kind}${small ? ' button-small' : ''}`}
      type={type}
      disabled={disabled}
      aria-disabled={busy || undefined}
      aria-busy={busy || undefined}
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      aria-expanded={expanded}
      onClick={(event) => {
        if (busy) event.preventDefault()
        else onClick?.()
      }}
    >
      {children}
    </button>
  )
}
