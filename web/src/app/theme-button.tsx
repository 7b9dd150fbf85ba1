/** Light, dark, or as the device says. */
import type { VNode } from 'preact'
import { Button } from '../ui/button.tsx'
import { theme, THEMES, type Theme } from './theme.ts'

const NEXT: Readonly<Record<Theme, Theme>> = Object.fromEntries(
  THEMES.map((one, i) => [one, THEMES[(i + 1) % THEMES.length]]),
) as Record<Theme, Theme>

const THEME_NAMES = { auto: 'as the device', light: 'light', dark: 'dark' } as const

export function ThemeButton(): VNode {
  const chosen = theme.value
  return (
    <Button
      small
      label={`Colours: ${THEME_NAMES[chosen]}. Change to ${THEME_NAMES[NEXT[chosen]]}`}
      onClick={() => (theme.value = NEXT[chosen])}
    >
      <svg
        viewBox="0 0 16 16"
        width="16"
        height="16"
        aria-hidden="true"
        stroke="currentColor"
        fill="none"
      >
        <circle cx="8" cy="8" r="5.5" stroke-width="1.5" />
        {chosen === 'auto' && (
          <path d="M8 2.5a5.5 5.5 0 0 1 0 11z" fill="currentColor" stroke="none" />
        )}
        {chosen === 'dark' && <circle cx="8" cy="8" r="5" fill="currentColor" stroke="none" />}
      </svg>
    </Button>
  )
}
