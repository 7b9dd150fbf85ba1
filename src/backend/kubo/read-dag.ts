/**
 * All blocks under a root in one request, `dag export`: some 15,000 small blocks a second, where one
 * request for each gives 10,000 at the price of most of a core. The node tells of a block that it lacks
 * in a trailer, after everything that came before it.
 */
import { CairnError, isCairnError } from '../../errors.ts'
import { cidParts, printCid, type Block, type CidBytes } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import { carBlocks } from './car-stream.ts'
import type { KuboClient } from './client.ts'
import { means } from './refusals.ts'

export async function* readDag(
  client: KuboClient,
  root: CidBytes,
  options?: CallOptions,
): AsyncGenerator<readonly Block[]> {
  cidParts(root)
  const query = { arg: printCid(root), offline: true, progress: false }
  try {
    yield* carBlocks(client.stream('dag/export', query, options))
  } catch (error) {
    throw exportFailure(error, printCid(root))
  }
}

function exportFailure(error: unknown, root: string): unknown {
  if (means(error, 'blockMissing')) {
    const cid = /could not find (\S+)/.exec(error.said)?.[1] ?? root
    return new CairnError('block_missing', `The node lacks the block ${cid} under ${root}.`, {
      cause: error,
      cid,
      root,
    })
  }
  if (isCairnError(error, 'invalid_car')) {
    return new CairnError('backend_refused', `The node's export of ${root} is no CAR.`, {
      hint: 'Is there a proxy before the node that changes what it says?',
      cause: error,
    })
  }
  return error
}
