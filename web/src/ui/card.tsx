/** Boxes: a section with its heading, one figure with its name, a state in a word, nothing, and not yet. */
import type { ComponentChildren, VNode } from 'preact'
import { useId } from 'preact/hooks'

export interface CardProps {
  readonly title?: string
  /** Beside the title, such as a button. */
  readonly actions?: ComponentChildren
  readonly note?: ComponentChildren
  readonly children: ComponentChildren
}

export function Card({ title, actions, note, children }: CardProps): VNode {
  const id = useId()
  return (
    <section class="card" aria-labelledby={title === undefined ? undefined : id}>
      {(title !== undefined || actions !== undefined) && (
        <header class="card-head">
          {title !== undefined && <h2 id={id}>{title}</h2>}
          {actions !== undefined && <div class="row">{actions}</div>}
        </header>
      )}
      {note !== undefined && <p class="card-note">{note}</p>}
      {children}
    </section>
  )
}

export interface StatProps {
  readonly name: string
  readonly children: ComponentChildren
  /** A small line below. */
  readonly note?: ComponentChildren
  readonly level?: Level
}

/** Put several into a `<dl class="grid">`. */
export function Stat({ name, children, note, level }: StatProps): VNode {
  return (
    <div class={`stat${level === undefined ? '' : ` stat-${level}`}`}>
      <dt>{name}</dt>
      <dd class="stat-value">{children}</dd>
      {note !== undefined && <dd class="stat-note">{note}</dd>}
    </div>
  )
}

export type Level = 'ok' | 'warning' | 'critical'

const LEVEL_WORDS: Readonly<Record<Level, string>> = {
  ok: 'Good',
  warning: 'Look at this',
  critical: 'Act now',
}

/** A level in colour, sign and word: never in colour alone. */
export function Badge({ level, children }: { level: Level; children?: ComponentChildren }): VNode {
  return (
    <span class={`badge badge-${level}`}>
      <LevelSign level={level} />
      {children ?? LEVEL_WORDS[level]}
    </span>
  )
}

export function LevelSign({ level }: { level: Level }): VNode {
  const path = {
    ok: 'M3.5 8.5l3 3 6-7',
    warning: 'M8 3.5v5.5M8 12v.5',
    critical: 'M4 4l8 8M12 4l-8 8',
  }[level]
  return (
    <svg class={`sign sign-${level}`} viewBox="0 0 16 16" aria-hidden="true">
      <path d={path} fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" />
    </svg>
  )
}

/** A short word for a kind or a name. */
export function Tag({ children }: { children: ComponentChildren }): VNode {
  return <span class="tag">{children}</span>
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }): VNode {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  )
}

/** Keeps the place of what is on its way. */
export function Skeleton({ lines = 3 }: { lines?: number }): VNode {
  return (
    <div class="skeleton" role="status">
      <span class="aside">Loading</span>
      {Array.from({ length: lines }, (_, i) => (
        <span key={i} class="skeleton-line" aria-hidden="true" />
      ))}
    </div>
  )
}
