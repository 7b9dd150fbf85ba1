/** Backends around backends: to count what the engine asks of a store, and to make a store misbehave. */
import type { Backend, CommitRequest, Staging } from '../../src/store/backend.ts'

/** `inner` with some of its calls replaced. */
export function wrapBackend(inner: Backend, replaced: Partial<Backend>): Backend {
  return {
    kind: inner.kind,
    location: inner.location,
    getBlocks: (cids, options) => inner.getBlocks(cids, options),
    hasBlocks: (cids, options) => inner.hasBlocks(cids, options),
    heal: (blocks, options) => inner.heal(blocks, options),
    stage: (dataset, label, options) => inner.stage(dataset, label, options),
    newest: (dataset, than, options) => inner.newest(dataset, than, options),
    getCommit: (dataset, number, options) => inner.getCommit(dataset, number, options),
    oldest: (dataset, options) => inner.oldest(dataset, options),
    datasets: (options) => inner.datasets(options),
    commit: (request, options) => inner.commit(request, options),
    forget: (dataset, below, options) => inner.forget(dataset, below, options),
    lease: (note, options) => inner.lease(note, options),
    leases: (options) => inner.leases(options),
    sweeps: (options) => inner.sweeps(options),
    sweep: (options) => inner.sweep(options),
    compact: (options) => inner.compact(options),
    status: (options) => inner.status(options),
    close: () => inner.close(),
    ...replaced,
  }
}

/** `inner` whose stagings behave otherwise in some calls. */
export function withStaging(
  inner: Backend,
  replaced: (real: Staging) => Partial<Staging>,
): Backend {
  return wrapBackend(inner, {
    stage: async (dataset, label, options) => {
      const real = await inner.stage(dataset, label, options)
      return {
        ...real, // by which the store knows it again
        put: (blocks, callOptions) => real.put(blocks, callOptions),
        flush: (callOptions) => real.flush(callOptions),
        end: (outcome) => real.end(outcome),
        ...replaced(real),
      }
    },
  })
}

export interface CountingBackend extends Backend {
  /** Every commit that took effect, in order. */
  readonly commits: CommitRequest[]
  /** Commits that lost a race. */
  lost: number
  /** Blocks read. */
  reads: number
  /** Blocks written ahead of a commit. */
  staged: number
}

export function countingBackend(inner: Backend): CountingBackend {
  const counts = { commits: [] as CommitRequest[], lost: 0, reads: 0, staged: 0 }
  const wrapped = wrapBackend(inner, {
    getBlocks: async (cids, options) => {
      counts.reads += cids.length
      return inner.getBlocks(cids, options)
    },
    stage: async (dataset, label, options) => {
      const staging = await inner.stage(dataset, label, options)
      return {
        ...staging, // by which the store knows it again
        put: async (blocks, callOptions) => {
          counts.staged += blocks.length
          await staging.put(blocks, callOptions)
        },
        flush: (callOptions) => staging.flush(callOptions),
        end: (outcome) => staging.end(outcome),
      }
    },
    commit: async (request, options) => {
      const outcome = await inner.commit(request, options)
      if (outcome === 'committed') counts.commits.push(request)
      else counts.lost += 1
      return outcome
    },
  })
  return Object.assign(counts, wrapped)
}
