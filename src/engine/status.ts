/** What `status` tells of a dataset and its store. */
import { printCid } from '../model/cid.ts'
import { commitRecord, type CommitRecord } from '../model/commit.ts'
import type { StoreStatus } from '../store/backend.ts'
import type { Context } from './context.ts'
import type { State } from './state.ts'

export interface DatasetStatus {
  /** The fields of the index pointer, as they are stored. */
  readonly pointer: CommitRecord
  readonly dataset: string
  /** The CID of the newest commit. */
  readonly commit: string
  /** The CID of the snapshot's tree. */
  readonly root: string
  readonly chunkCount: number
  /** Bytes of the blocks of the snapshot's tree. */
  readonly treeBytes: number
  readonly meta: Readonly<Record<string, unknown>>
  readonly location: string
  readonly store: StoreStatus
}

export async function datasetStatus(
  context: Context,
  { stored, commit, header, overlay }: State,
  signal?: AbortSignal,
): Promise<DatasetStatus> {
  return {
    pointer: commitRecord(commit),
    dataset: commit.dataset,
    commit: printCid(stored.cid),
    root: printCid(header.root),
    chunkCount: header.chunkCount,
    treeBytes: overlay.tree.root.bytes,
    meta: header.meta,
    location: context.backend.location,
    store: await context.backend.status({ signal }),
  }
}
