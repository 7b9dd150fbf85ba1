/** A dataset behind another service, as the source of a replica here. */
import { blocksOfCar } from '../car/blocks-of.ts'
import type { Transport } from '../client/transport.ts'
import { Along } from '../engine/replica/log-ahead.ts'
import type { FollowedSource } from '../engine/replica/source.ts'
import { CairnError, isCairnError } from '../errors.ts'
import { cidKey, printCid } from '../model/cid.ts'
import { decodeCommit, type EncodedCommit } from '../model/commit.ts'
import { CommitStream } from './commit-stream.ts'
import { translated } from './service-errors.ts'

/** A service holds nothing for who reads of it: where a prune comes between, the sync begins anew. */
export function serviceSource(location: string, name: string, http: Transport): FollowedSource {
  const path = pathOf(name)
  const along = new Along()
  const stream = new CommitStream(http, `${path}/commits`)
  return {
    location,
    newest: (dataset, { signal }) => newestAt(location, http, dataset, signal),
    getBlocks: (cids, { signal, logFrom }) =>
      along.read(cids, async (lacking) => {
        const isLog = logFrom !== undefined && lacking.length === 1
        const json = { cids: lacking.map(printCid), ...(isLog ? { log_from: logFrom } : {}) }
        const call = {
          method: 'POST',
          path: `${path}/blocks`,
          json,
          retry: 'always',
          signal,
        } as const
        const blocks = await translated(async () => blocksOfCar((await http.bytes(call)).bytes))
        if (isLog) along.keep(blocks)
        return lacking.map((cid) => blocks.get(cidKey(cid)))
      }),
    hold: async () => async () => {},
    changed: (_, than, { signal }) => stream.changed(than, signal),
  }
}

export const pathOf = (dataset: string): string => `/v1/datasets/${encodeURIComponent(dataset)}`

/** The newest commit that a service has of a dataset; undefined where it has no such dataset. */
export async function newestAt(
  location: string,
  http: Transport,
  dataset: string,
  signal: AbortSignal | undefined,
): Promise<EncodedCommit | undefined> {
  const path = `${pathOf(dataset)}/commits/newest`
  try {
    const call = { method: 'GET', path, retry: 'always', signal } as const
    const stored = await translated(async () => decodeCommit((await http.bytes(call)).bytes))
    if (stored.commit.dataset === dataset) return stored
  } catch (error) {
    if (isCairnError(error, 'dataset_not_found')) return undefined
    throw error
  }
  throw new CairnError('backend_refused', `${location} sent the commit of another dataset.`, {
    hint: 'Is it a Cairn service that answers at this address?',
  })
}
