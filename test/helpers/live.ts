/** What tests of live maps share: a store with a clock, that can be opened again, and made to fail. */
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { CairnError } from '../../src/errors.ts'
import type { Backend } from '../../src/store/backend.ts'
import { START, type Clock } from './engine.ts'

export interface LiveStore {
  readonly clock: Clock
  /** Another program that uses the store. */
  readonly open: () => Cairn
  /** While true, nothing is committed. */
  failing: boolean
  /** Commits that took effect. */
  commits: number
}

export function liveStore(inner: Backend = openMemory()): LiveStore {
  const store: LiveStore = {
    clock: { now: START },
    failing: false,
    commits: 0,
    open: () => new Cairn(bound(inner), { now: () => store.clock.now }),
  }
  function bound(backend: Backend): Backend {
    return new Proxy(backend, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target)
        if (name === 'close') return async () => {}
        if (typeof value !== 'function') return value
        if (name !== 'commit') return value.bind(target) as unknown
        return async (...given: Parameters<Backend['commit']>) => {
          if (store.failing)
            throw new CairnError('no_space', 'The disk is full.', { hint: 'Free some.' })
          const outcome = await target.commit(...given)
          if (outcome === 'committed') store.commits += 1
          return outcome
        }
      },
    })
  }
  return store
}
