/** A dataset of the service, to be browsed as a CAR is. */
import type { DatasetClient } from '../../src/client/index.ts'
import { blockViewOf } from './block-view.ts'
import { contentOf } from './content-view.ts'
import type { Source } from './source.ts'

/** As many as a list of snapshots is good for. */
const SNAPSHOTS = 1000

export function serviceSource(dataset: DatasetClient): Source {
  const { block: bytes } = dataset
  return {
    kind: 'service',
    describe: async (options) => {
      const { snapshot, seq, total_count, recent_count } = await dataset.checkpoint(options)
      const { ts } = await dataset.snapshot('latest', options)
      const { name } = dataset
      return { kind: 'service', name, dataset: name, snapshot, seq, ts, total_count, recent_count }
    },
    entities: dataset.list,
    entity: async (pi, options) => (await dataset.get(pi, options)) ?? null,
    history: dataset.history,
    snapshots: async (options) => (await dataset.snapshots({ ...options, limit: SNAPSHOTS })).items,
    chunks: dataset.chunks,
    diff: dataset.diff,
    bytes,
    block: async (cid, options) => blockViewOf(cid, await bytes(cid, options)),
    content: (cid, options) => contentOf(bytes, cid, options),
  }
}
