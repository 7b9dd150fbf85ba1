/** Ctrl-C and SIGTERM: the first one asks the command to stop, a second one ends the process at once. */

export type Interrupt = 'SIGINT' | 'SIGTERM'

/** As shells report a process that a signal ended. */
export const INTERRUPT_EXIT: Readonly<Record<Interrupt, number>> = { SIGINT: 130, SIGTERM: 143 }

export interface Interrupts {
  readonly received: () => Interrupt | undefined
  readonly stop: () => void
}

export function watchInterrupts(abort: (reason: Interrupt) => void): Interrupts {
  let received: Interrupt | undefined
  const stop = (): void => {
    for (const one of ['SIGINT', 'SIGTERM'] as const) process.removeListener(one, onSignal)
  }
  const onSignal = (signal: NodeJS.Signals): void => {
    const interrupt = signal === 'SIGTERM' ? signal : 'SIGINT'
    if (received !== undefined) {
      stop()
      process.kill(process.pid, interrupt)
      return
    }
    received = interrupt
    abort(interrupt)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return { received: () => received, stop }
}
