/**
 * A backend whose every call waits for its turn, before and after; turns are given in an order that a seed
 * decides, and now and then one is kept waiting while the others do much.
 */
import type { Backend } from '../../src/store/backend.ts'
import { Random } from './random.ts'

export interface Scheduler {
  readonly wrap: (inner: Backend) => Backend
  readonly stop: () => void
}

export function schedulerOf(seed: number): Scheduler {
  const random = new Random(seed)
  const waiting: { readonly due: number; readonly go: () => void }[] = []
  let running = true
  let turns = 0
  const give = (): void => {
    turns += 1
    const ready = waiting.filter(({ due }) => due <= turns)
    const next = ready[random.int(0, Math.max(0, ready.length - 1))]
    if (next !== undefined) {
      waiting.splice(waiting.indexOf(next), 1)
      next.go()
    }
    if (running) setImmediate(give)
  }
  setImmediate(give)
  const turn = (): Promise<void> =>
    new Promise((go) => {
      if (!running) return go()
      const wait = random.int(0, 30) === 0 ? random.scaled(20, 2000) : 0
      waiting.push({ due: turns + wait, go })
    })
  const slowly = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(of, name) {
        const value: unknown = Reflect.get(of, name, of)
        if (typeof value !== 'function') return value
        return async (...given: unknown[]) => {
          await turn()
          const answer: unknown = await Reflect.apply(value, of, given)
          await turn()
          // Stagings, leases and sweeps wait as well.
          const isHandle =
            typeof answer === 'object' && answer !== null && !ArrayBuffer.isView(answer)
          const hasCalls =
            isHandle && Object.values(answer).some((one) => typeof one === 'function')
          return hasCalls ? slowly(answer) : answer
        }
      },
    })
  return {
    wrap: (inner) => slowly(inner),
    stop: () => {
      running = false
      for (const { go } of waiting.splice(0)) go()
    },
  }
}
