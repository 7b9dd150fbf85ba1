/**
 * Waiting for a dataset that is reserved: by a bulk load, of this program or another one, or by one that died in
 * the midst of it. Such a reservation is void two minutes later, so who keeps state waits, and is refused only
 * where it lasts for longer than that.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { isCairnError } from '../errors.ts'

export const PATIENCE_MS = 150_000
const LOOK_MS = 200

export async function whenFree<T>(run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const began = performance.now()
  for (;;) {
    try {
      return await run()
    } catch (error) {
      if (!isCairnError(error, 'busy') || performance.now() - began > PATIENCE_MS) throw error
    }
    await pause(LOOK_MS, undefined, { signal })
  }
}
