/**
 * Finding bundles again whose records went with MFS. They are pinned and look like nothing else, so every
 * pinned block that may be one is read. Without it they would hold what they hold for good.
 *
 * What is found is written down as an intent, not as records: a sweep leaves it alone for an hour, in case
 * its writer lives and has lost its own intent, and then keeps of it what commits need.
 */
import { CODEC_DAG_CBOR, cidKey, cidMatches, cidParts, type CidBytes } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import { knownCid, mapOf } from './answers.ts'
import { getBlocks } from './blocks.ts'
import { createBundles } from './bundles.ts'
import type { KuboClient } from './client.ts'
import { looksLikeHolder } from './holder.ts'
import { createIntents } from './intents.ts'
import { LeaseFolder } from './leases.ts'
import { linesOf } from './lines.ts'
import type { Mfs } from './mfs.ts'
import { STAGINGS } from './paths.ts'

/** Blocks of up to 1 MiB that are in memory at once. */
const BATCH = 32
const BUNDLES_AN_INTENT = 4_000

export async function findBundles(
  client: KuboClient,
  mfs: Mfs,
  options?: CallOptions,
): Promise<void> {
  const known = new Set((await createBundles(mfs).list(options)).map(cidKey))
  const found: CidBytes[] = []
  for await (const cids of pinnedBlocks(client, options)) {
    const blocks = await getBlocks(client, cids, options)
    const isBundle = (cid: CidBytes, bytes: Uint8Array | undefined): boolean =>
      bytes !== undefined && cidMatches(cid, bytes) && looksLikeHolder(bytes)
    found.push(...cids.filter((cid, i) => !known.has(cidKey(cid)) && isBundle(cid, blocks[i])))
  }
  const intents = createIntents(
    mfs,
    new LeaseFolder(mfs, STAGINGS, Date.now, () => {}),
    Date.now,
    () => {},
  )
  for (let at = 0; at < found.length; at += BUNDLES_AN_INTENT) {
    const pins = found.slice(at, at + BUNDLES_AN_INTENT)
    await intents.write({ purpose: 'bundles found again', pins, bundled: true }, options)
  }
}

/** Those with a recursive pin that has no name, by the codec of bundles. */
async function* pinnedBlocks(
  client: KuboClient,
  options?: CallOptions,
): AsyncGenerator<CidBytes[]> {
  const query = { type: 'recursive', names: true, stream: true }
  let batch: CidBytes[] = []
  for await (const line of linesOf(client.stream('pin/ls', query, options))) {
    const { Cid, Name = '' } = mapOf('pin/ls', line)
    const cid = knownCid(Cid)
    if (Name !== '' || cid === undefined || cidParts(cid).codec !== CODEC_DAG_CBOR) continue
    batch.push(cid)
    if (batch.length < BATCH) continue
    yield batch
    batch = []
  }
  yield batch
}
