import type { VNode } from 'preact'

/** The sign of Cairn: a few stones on each other. */
export function Stones(): VNode {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true" fill="currentColor">
      <rect x="3" y="22" width="26" height="7" rx="3.5" />
      <rect x="7" y="13.5" width="18" height="6.5" rx="3.25" />
      <rect x="11.5" y="5" width="10" height="6.5" rx="3.25" />
    </svg>
  )
}
