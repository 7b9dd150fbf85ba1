/** Where `sync` copies from: a store, or the service that has it open. */
import { SectionFrame, headerBytes, parseHeader } from '../car/frame.ts'
import { transport, type Transport } from '../client/transport.ts'
import type { SyncSource } from '../engine/replica/source.ts'
import { cidKey, printCid, type CidBytes } from '../model/cid.ts'
import { decodeCommit } from '../model/commit.ts'
import { isCairnError, CairnError } from '../errors.ts'
import { withStore, type CommandContext } from './command.ts'
import { addressOf, tokenOf } from './service-address.ts'
import { translated } from './service-errors.ts'

export async function withSource<T>(
  context: CommandContext,
  source: string,
  use: (source: SyncSource) => Promise<T>,
): Promise<T> {
  if (!/^https?:/.test(source))
    return withStore(context, false, (cairn) => use(cairn.asSource()), source)
  const url = addressOf(source)
  const token = await tokenOf(context.options)
  return use(serviceAsSource(url, context.config.values.dataset, transport({ url, token })))
}

/** A service holds nothing for who reads of it: where a prune comes between, the sync begins anew. */
function serviceAsSource(location: string, name: string, http: Transport): SyncSource {
  const path = `/v1/datasets/${encodeURIComponent(name)}`
  return {
    location,
    async newest(dataset, { signal }) {
      const call = {
        method: 'GET',
        path: `${path}/commits/newest`,
        retry: 'always',
        signal,
      } as const
      try {
        const { bytes } = await translated(() => http.bytes(call))
        const stored = decodeCommit(bytes)
        if (stored.commit.dataset === dataset) return stored
      } catch (error) {
        if (isCairnError(error, 'dataset_not_found')) return undefined
        throw error
      }
      throw new CairnError('backend_refused', `${location} sent the commit of another dataset.`, {
        hint: 'Is it a Cairn service that answers at this address?',
      })
    },
    async getBlocks(cids, { signal }) {
      const json = { cids: cids.map(printCid) }
      const call = {
        method: 'POST',
        path: `${path}/blocks`,
        json,
        retry: 'always',
        signal,
      } as const
      const { bytes } = await translated(() => http.bytes(call))
      const blocks = blocksOf(bytes)
      return cids.map((cid) => blocks.get(cidKey(cid)))
    },
    hold: async () => async () => {},
  }
}

/** Of a CAR in memory: as much as was asked for. */
function blocksOf(car: Uint8Array): Map<string, Uint8Array> {
  const blocks = new Map<string, Uint8Array>()
  const frame = new SectionFrame()
  let at = headerBytes(car, 0, car.length)
  parseHeader(car.subarray(0, at), 0)
  while (at < car.length) {
    frame.parse(car, at, at, car.length)
    const cid: CidBytes = car.subarray(frame.cidAt, frame.blockAt)
    blocks.set(cidKey(cid), car.subarray(frame.blockAt, frame.end))
    at = frame.end
  }
  return blocks
}
