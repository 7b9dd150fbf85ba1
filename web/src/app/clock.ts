/** The time that the page goes by: that of the service, in one signal that ticks each second while it is seen. */
import { signal, type ReadonlySignal } from '@preact/signals'

const TICK_MS = 1000
/** The header Date has whole seconds, and answers take their time. */
const SLACK_MS = 3000

let ahead = 0
const ticking = signal(Date.now())
/** Milliseconds since 1970. */
export const now: ReadonlySignal<number> = ticking

/** The clocks of services and browsers differ: what is told of must not lie in the future. */
export function setServiceTime(date: string | null): void {
  const told = Date.parse(date ?? '')
  if (Number.isNaN(told)) return
  const differs = told - Date.now()
  ahead = Math.abs(differs) > SLACK_MS ? differs : 0
}

export function startClock(): void {
  setInterval(() => {
    if (document.visibilityState === 'visible') ticking.value = Date.now() + ahead
  }, TICK_MS)
  document.addEventListener('visibilitychange', () => {
    ticking.value = Date.now() + ahead
  })
}
