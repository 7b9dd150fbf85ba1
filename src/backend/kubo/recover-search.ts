/**
 * Finding commits among all blocks of a node, where MFS no longer leads to them. A commit is a small raw
 * block that says what it is, with a check over its bytes; the node lists its blocks by hash alone, so
 * every small one is looked at.
 */
import { isCairnError } from '../../errors.ts'
import { cidMatches, cidParts, CODEC_RAW, printCid, type CidBytes } from '../../model/cid.ts'
import { decodeCommit } from '../../model/commit.ts'
import { COMMIT_SCHEMA } from '../../model/schema.ts'
import type { CallOptions } from '../../store/backend.ts'
import { mapAtOnce } from '../../util/in-order.ts'
import { knownCid, mapOf } from './answers.ts'
import { getBlocks } from './blocks.ts'
import type { KuboClient } from './client.ts'
import { linesOf } from './lines.ts'
import type { FoundCommit } from './recover-lines.ts'
import { means } from './refusals.ts'

export interface SearchOptions extends CallOptions {
  readonly onProgress?: ((progress: { step: string; done: number }) => void) | undefined
}

/** A commit has about 1,300 bytes. */
const LARGEST_COMMIT = 64 * 1024
const SMALLEST_COMMIT = 256
const BATCH = 1_024
const AT_ONCE = 16

export async function findCommits(
  client: KuboClient,
  { signal, onProgress }: SearchOptions = {},
): Promise<FoundCommit[]> {
  const found: FoundCommit[] = []
  let looked = 0
  for await (const cids of rawBlocks(client, { signal })) {
    found.push(...(await commitsAmong(client, cids, { signal })))
    looked += cids.length
    onProgress?.({ step: 'looking for commits', done: looked })
  }
  return found
}

/** All blocks of the node by the raw codec, a batch at a time. */
async function* rawBlocks(client: KuboClient, options: CallOptions): AsyncGenerator<CidBytes[]> {
  let batch: CidBytes[] = []
  for await (const line of linesOf(client.stream('refs/local', {}, options))) {
    const cid = knownCid(mapOf('refs/local', line)['Ref'])
    if (cid === undefined) continue
    const { hash, codec } = cidParts(cid)
    if (hash === 'sha2-256' && codec === CODEC_RAW) batch.push(cid)
    if (batch.length === BATCH) {
      yield batch
      batch = []
    }
  }
  yield batch
}

async function commitsAmong(
  client: KuboClient,
  cids: readonly CidBytes[],
  options: CallOptions,
): Promise<FoundCommit[]> {
  const sizes = await mapAtOnce(cids, AT_ONCE, (cid) => sizeOf(client, cid, options))
  const small = cids.filter((_, i) => {
    const size = sizes[i] ?? 0
    return size >= SMALLEST_COMMIT && size <= LARGEST_COMMIT
  })
  const blocks = await getBlocks(client, small, options)
  return small.flatMap((cid, i) => commitIn(cid, blocks[i]) ?? [])
}

/** The size of a block, 0 where it is gone since it was listed. */
async function sizeOf(client: KuboClient, cid: CidBytes, options: CallOptions): Promise<number> {
  try {
    const query = { arg: printCid(cid), offline: true }
    const { Size } = mapOf('block/stat', await client.read('block/stat', query, options))
    return Number(Size)
  } catch (error) {
    if (means(error, 'blockMissing')) return 0
    throw error
  }
}

const MARK = Buffer.from(`"schema":"${COMMIT_SCHEMA}"`)

/** Damaged ones and those of other formats are none; what is left unfound is for the proof to tell. */
function commitIn(cid: CidBytes, bytes: Uint8Array | undefined): FoundCommit | undefined {
  if (bytes === undefined || !Buffer.from(bytes).includes(MARK) || !cidMatches(cid, bytes))
    return undefined
  try {
    const { commit } = decodeCommit(bytes)
    const { dataset, number, prev, identity, ts, oldest, snapshotSeq, totalCount } = commit
    return { cid, dataset, number, prev, identity, ts, oldest, snapshotSeq, totalCount }
  } catch (error) {
    if (isCairnError(error, 'pointer_damaged')) return undefined
    throw error
  }
}
