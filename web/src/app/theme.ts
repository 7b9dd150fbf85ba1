/** Light or dark: as the device says, unless chosen here. */
import { effect, signal } from '@preact/signals'

export const THEMES = ['auto', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

const KEY = 'cairn.theme'

export const theme = signal<Theme>(read())

export function startTheme(): void {
  effect(() => {
    const chosen = theme.value
    const { dataset } = document.documentElement
    if (chosen === 'auto') delete dataset['theme']
    else dataset['theme'] = chosen
    try {
      if (chosen === 'auto') localStorage.removeItem(KEY)
      else localStorage.setItem(KEY, chosen)
    } catch {
      // Then it lasts as long as the page.
    }
  })
}

function read(): Theme {
  try {
    const stored = localStorage.getItem(KEY)
    return THEMES.find((one) => one === stored) ?? 'auto'
  } catch {
    return 'auto'
  }
}
