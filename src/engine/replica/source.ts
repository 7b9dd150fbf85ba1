/** Where a replica is copied from: a store, or a service that answers the same few questions. */
import { resolve } from 'node:path'
import type { CidBytes } from '../../model/cid.ts'
import type { EncodedCommit } from '../../model/commit.ts'
import type { Backend, CallOptions } from '../../store/backend.ts'
import type { Logger } from '../context.ts'
import { releaseLease, takeLease } from '../lease.ts'
import { checkedCommit } from '../pointer.ts'

export interface SyncSource {
  /** Without secrets. */
  readonly location: string
  /** The newest commit of a dataset, undefined where there is none. */
  newest(dataset: string, options: CallOptions): Promise<EncodedCommit | undefined>
  /** In the order of `cids`, unproved; undefined where it lacks one. */
  getBlocks(
    cids: readonly CidBytes[],
    options: CallOptions,
  ): Promise<readonly (Uint8Array | undefined)[]>
  /** Keeps a prune from what the commit names, until the answer is called; as far as the source can. */
  hold(stored: EncodedCommit, options: CallOptions): Promise<() => Promise<void>>
}

/** A folder means the same from wherever it is named. */
export function placeOf({ kind, location }: Pick<Backend, 'kind' | 'location'>): string {
  return kind === 'lmdb' ? `lmdb:${resolve(location.slice('lmdb:'.length))}` : location
}

export function storeAsSource(backend: Backend, log: Logger): SyncSource {
  return {
    location: placeOf(backend),
    async newest(dataset, options) {
      const stored = await backend.newest(dataset, -1, options)
      return stored && checkedCommit(dataset, stored.number, stored.bytes)
    },
    getBlocks: (cids, options) => backend.getBlocks(cids, options),
    async hold({ commit }, options) {
      const { dataset, number, snapshot } = commit
      const leased = { dataset, commit: number, snapshots: [snapshot], purpose: 'sync' }
      const lease = await takeLease({ backend }, leased, options)
      return () => releaseLease({ log }, lease)
    },
  }
}
