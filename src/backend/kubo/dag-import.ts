/**
 * The request that puts blocks on the node. Kubo hashes every block, keeps its collector off from the
 * first byte until the last root is pinned, and tells of a pin that failed in the middle of a success.
 */
import { CairnError } from '../../errors.ts'
import type { Block, CidBytes } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import { carChunks } from '../../car/encode.ts'
import { mapOf, notAnAnswer } from './answers.ts'
import type { KuboClient } from './client.ts'
import { pinFailure } from './pins.ts'
import { means } from './refusals.ts'

interface ImportAnswer {
  readonly Root?: { readonly Cid: { readonly '/': string }; readonly PinErrorMsg?: string }
  readonly Stats?: { readonly BlockCount: number }
}

/** One request. `roots` get recursive pins, and must have none. */
export async function importBlocks(
  client: KuboClient,
  roots: readonly CidBytes[],
  blocks: readonly Block[],
  options?: CallOptions,
): Promise<void> {
  const query = {
    'pin-roots': true,
    stats: true,
    'fast-provide-root': false,
    // Ends on the node a little before it ends here, so that the node says which pin it was.
    timeout: `${Math.ceil(client.deadlines.writeMs * 0.95)}ms`,
  }
  const files = [{ name: 'blocks.car', chunks: carChunks(roots, blocks) }]
  const answer = await client.write('dag/import', query, files, options).catch((error: unknown) => {
    throw importFailure(error)
  })
  const events = answer.toString().trim().split('\n')
  let pinned = 0
  let count: number | undefined
  for (const line of events) {
    const { Root: root, Stats: stats } = eventOf(line)
    if (root?.PinErrorMsg) throw await pinFailure(client, root.Cid['/'], root.PinErrorMsg)
    if (root !== undefined) pinned++
    if (stats !== undefined) count = stats.BlockCount
  }
  if (count !== blocks.length || pinned !== roots.length) {
    throw new CairnError(
      'backend_refused',
      `The node took ${count ?? 0} of ${blocks.length} blocks and pinned ${pinned} of ${roots.length} roots.`,
    )
  }
}

function eventOf(line: string): ImportAnswer {
  const event = mapOf('dag/import', line) as ImportAnswer
  const { Root: root, Stats: stats } = event
  const isRoot = root === undefined || typeof root?.Cid?.['/'] === 'string'
  if (isRoot && (stats === undefined || typeof stats?.BlockCount === 'number')) return event
  throw notAnAnswer('dag/import', line)
}

function importFailure(error: unknown): unknown {
  if (means(error, 'hashMismatch')) {
    return new CairnError('block_mismatch', `The node refused a block: ${error.said}`, {
      cause: error,
    })
  }
  if (means(error, 'badBlock')) {
    return new CairnError('invalid_block', `The node refused a block: ${error.said}`, {
      hint: 'Kubo takes blocks of up to 2 MiB, and decodes them strictly by the codec of their CID.',
      cause: error,
    })
  }
  return error
}
