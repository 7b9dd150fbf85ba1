/** Values as they are read: times, sizes, numbers, CIDs. */
import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import { now } from '../app/clock.ts'
import { announce } from './announcer.tsx'
import {
  absoluteText,
  bytesText,
  countText,
  isDate,
  momentText,
  relativeText,
  timeOf,
} from './format.ts'

/** How long ago, with the moment itself as its title. `moment`: the other way round. */
export function Time({ at, moment = false }: { at: string | number; moment?: boolean }): VNode {
  const ms = timeOf(at)
  if (Number.isNaN(ms)) return <span>{at}</span>
  const [relative, absolute] = [relativeText(ms, now.value), absoluteText(ms)]
  return (
    <time dateTime={isoOf(ms)} title={moment ? relative : absolute}>
      {moment ? momentText(ms, now.value) : relative}
    </time>
  )
}

/** Beyond what a date can be there is no text. */
const isoOf = (ms: number): string | undefined =>
  isDate(ms) ? new Date(ms).toISOString() : undefined

export function Bytes({ value }: { value: number }): VNode {
  return <span title={`${countText(value)} bytes`}>{bytesText(value)}</span>
}

export function Count({ value }: { value: number }): VNode {
  return <span>{countText(value)}</span>
}

const HEAD = 8
const TAIL = 6

/** Shortened; the button copies all of it. */
export function Cid({ value, href }: { value: string; href?: string }): VNode {
  const short =
    value.length > HEAD + TAIL + 1 ? `${value.slice(0, HEAD)}…${value.slice(-TAIL)}` : value
  return (
    <span class="cid">
      {href === undefined ? (
        <code title={value}>{short}</code>
      ) : (
        <a href={href} title={value}>
          <code>{short}</code>
        </a>
      )}
      <Copy text={value} label={`Copy ${short}`} />
    </span>
  )
}

const SHOWN_MS = 1500

export function Copy({ text, label = 'Copy' }: { text: string; label?: string }): VNode {
  const [copied, setCopied] = useState(false)
  const copy = async (): Promise<void> => {
    const done = await copyText(text)
    announce(done ? 'Copied.' : 'It could not be copied.')
    if (!done) return
    setCopied(true)
    setTimeout(() => setCopied(false), SHOWN_MS)
  }
  return (
    <button class="copy" type="button" aria-label={label} title={label} onClick={() => void copy()}>
      <svg viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor">
        {copied ? (
          <path d="M3.5 8.5l3 3 6-7" stroke-width="2" stroke-linecap="round" />
        ) : (
          <path
            d="M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z"
            stroke-width="1.25"
            stroke-linejoin="round"
          />
        )}
      </svg>
    </button>
  )
}

/** Where a page has no clipboard (plain http), the old way. */
async function copyText(text: string): Promise<boolean> {
  const { clipboard } = navigator as Partial<Navigator>
  try {
    if (clipboard !== undefined) {
      await clipboard.writeText(text)
      return true
    }
  } catch {
    // It is not allowed; the old way may be.
  }
  const field = document.createElement('textarea')
  field.value = text
  field.className = 'aside'
  const focused = document.activeElement
  document.body.append(field)
  field.select()
  const done = document.execCommand('copy')
  field.remove()
  if (focused instanceof HTMLElement) focused.focus()
  return done
}
