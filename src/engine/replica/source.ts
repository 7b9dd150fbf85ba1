/** Where a replica is copied from: a store, or a service that answers the same few questions. */
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { CidBytes } from '../../model/cid.ts'
import type { EncodedCommit } from '../../model/commit.ts'
import type { Backend, CallOptions } from '../../store/backend.ts'
import { checkedCommit } from '../checked-commit.ts'
import type { Logger } from '../logger.ts'
import { releaseLease, takeLease } from '../lease.ts'

export interface BlockOptions extends CallOptions {
  /** Of a block of the log: the blocks before it, down to this position, are asked for next. */
  readonly logFrom?: number | undefined
}

export interface SyncSource {
  /** Without secrets. */
  readonly location: string
  /** The newest commit of a dataset, undefined where there is none. */
  newest(dataset: string, options: CallOptions): Promise<EncodedCommit | undefined>
  /** In the order of `cids`, unproved; undefined where it lacks one. It may stop early, after the first. */
  getBlocks(
    cids: readonly CidBytes[],
    options: BlockOptions,
  ): Promise<readonly (Uint8Array | undefined)[]>
  /** Keeps a prune from what the commit names, until the answer is called; as far as the source can. */
  hold(stored: EncodedCommit, options: CallOptions): Promise<() => Promise<void>>
}

/** A source that can be waited for. */
export interface FollowedSource extends SyncSource {
  /** Resolves when its newest commit has another number, or may have; also where `signal` aborts. */
  changed(dataset: string, than: number, options: CallOptions): Promise<void>
}

/** How often a store is asked whether there is a newer commit. In a folder that is a look into memory. */
const LOOK_MS = 1000
const LOOK_INTO_FOLDER_MS = 100

/** A folder means the same from wherever it is named. */
export function placeOf({ kind, location }: Pick<Backend, 'kind' | 'location'>): string {
  return kind === 'lmdb' ? `lmdb:${resolve(location.slice('lmdb:'.length))}` : location
}

export function storeAsSource(backend: Backend, log: Logger): FollowedSource {
  const lookMs = backend.kind === 'lmdb' ? LOOK_INTO_FOLDER_MS : LOOK_MS
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
    async changed(dataset, than, { signal }) {
      while (signal?.aborted !== true) {
        if ((await backend.newest(dataset, than, { signal })) !== undefined) return
        await delay(lookMs, undefined, { signal }).catch(() => undefined)
      }
    },
  }
}
