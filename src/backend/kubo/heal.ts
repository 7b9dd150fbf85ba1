/**
 * Putting blocks on the node in the place of damaged ones.
 *
 * No pin is touched: what is pinned stays so while its block is gone or wrong, and a collection that
 * comes upon such a block ends without freeing anything. An import writes over a wrong block, unless the
 * node remembers that it has the block: then it keeps what it has. (It checks pins before `block rm`, by
 * walking all of them, which a wrong block under any of them makes fail.) It remembers what it was asked
 * for last, 65,536 blocks unless `Datastore.BlockKeyCacheSize` says otherwise, so it is asked for as many
 * others: 8 s for 70,000. Blocks that were not asked for since need no second time.
 */
import { randomBytes } from 'node:crypto'
import { CairnError, throwIfAborted } from '../../errors.ts'
import { cidMatches, printCid, rawCidOf, type Block } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import { mapAtOnce } from '../../util/in-order.ts'
import { getBlocks } from './blocks.ts'
import type { KuboClient } from './client.ts'
import { importBlocks } from './dag-import.ts'
import { means } from './refusals.ts'

/** How many other questions are asked before the first, and before the last try. */
const OTHER_QUESTIONS = [5_000, 70_000]
const QUESTIONS_A_ROUND = 1_000
const AT_ONCE = 32

export async function healBlocks(
  client: KuboClient,
  blocks: readonly Block[],
  options?: CallOptions,
): Promise<void> {
  let wrong = await putOver(client, blocks, options)
  for (const questions of OTHER_QUESTIONS) {
    if (wrong.length === 0) return
    await makeForget(client, questions, options)
    wrong = await putOver(client, wrong, options)
  }
  const [still] = wrong
  if (still === undefined) return
  throw new CairnError(
    'backend_refused',
    `The node keeps the damaged block ${printCid(still.cid)} in the place of the right one.`,
    {
      hint: 'Restart the node and repair again at once; or let `ipfs repo verify --drop` remove what is damaged.',
      cid: printCid(still.cid),
    },
  )
}

/** Answers those that are not there after it. */
async function putOver(
  client: KuboClient,
  blocks: readonly Block[],
  options?: CallOptions,
): Promise<Block[]> {
  throwIfAborted(options?.signal)
  if (blocks.length === 0) return []
  await importBlocks(client, [], blocks, options)
  const cids = blocks.map(({ cid }) => cid)
  const there = await getBlocks(client, cids, options)
  return blocks.filter(({ cid }, i) => {
    const bytes = there[i]
    return bytes === undefined || !cidMatches(cid, bytes)
  })
}

/** Asks for so many blocks that nobody has that the node forgets what it was asked for before. */
async function makeForget(
  client: KuboClient,
  questions: number,
  options?: CallOptions,
): Promise<void> {
  for (let asked = 0; asked < questions; asked += QUESTIONS_A_ROUND) {
    throwIfAborted(options?.signal)
    const cids = Array.from({ length: QUESTIONS_A_ROUND }, () => rawCidOf(randomBytes(16)))
    await mapAtOnce(cids, AT_ONCE, async (cid) => {
      const query = { arg: printCid(cid), offline: true }
      await client.read('block/stat', query, options).catch((error: unknown) => {
        if (!means(error, 'blockMissing')) throw error
      })
    })
  }
}
