/** Tells screen readers what has changed, in one polite region. */
import { signal } from '@preact/signals'
import type { VNode } from 'preact'

const said = signal({ text: '', turn: 0 })

export function announce(text: string): void {
  said.value = { text, turn: said.peek().turn + 1 }
}

/** Once in the page. */
export function Announcer(): VNode {
  const { text, turn } = said.value
  return (
    <div class="aside" role="status" aria-live="polite">
      {/* The same words again are news, too. */}
      <span key={turn}>{text}</span>
    </div>
  )
}
