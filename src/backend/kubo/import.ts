/**
 * Puts blocks on the node and holds them.
 *
 * Order: the intent, then one `dag import` of all blocks with the deep ones as its roots, then direct
 * pins of the others. The import keeps the node's collector off from its first byte until the last
 * root is pinned, and hashes every block. The intent is a request of its own, before: a collection
 * that waits for an import to end makes every change of MFS wait, so an import that itself waited for
 * its intent would wait for ever.
 *
 * What an import pins deep must be complete together with what the node has. The engine has proved
 * that with `hasBlocks` for every link out of the request before it commits. It has to: Kubo pins
 * through the network, and on an online node a missing block holds the collector's lock until the
 * deadline; only then does it come out as `content_missing`.
 */
import { CairnError } from '../../errors.ts'
import { cidKey, cidParts, type Block, type CidBytes } from '../../model/cid.ts'
import type { CallOptions, HeldBlock } from '../../store/backend.ts'
import { carChunks } from './car.ts'
import type { KuboClient } from './client.ts'
import type { Intents } from './intents.ts'
import { pinDirectly, pinFailure, withoutPin } from './pins.ts'
import { means } from './refusals.ts'

/** What of a request has no pin yet, and so gets one. */
export interface PinsNeeded {
  readonly roots: readonly CidBytes[]
  readonly direct: readonly CidBytes[]
}

export async function pinsNeeded(
  client: KuboClient,
  held: readonly HeldBlock[],
  options?: CallOptions,
): Promise<PinsNeeded> {
  const deep = distinct(held.filter(({ hold }) => hold === 'deep'))
  const known = new Set(deep.map(cidKey))
  const alone = distinct(held).filter(
    (cid) => !known.has(cidKey(cid)) && cidParts(cid).hash !== 'identity',
  )
  const [roots, direct] = await Promise.all([
    withoutPin(client, deep, ['recursive'], options),
    withoutPin(client, alone, ['recursive', 'direct'], options),
  ])
  return { roots, direct }
}

export interface ImportSpec {
  readonly dataset: string
  readonly purpose: number | string
  /** In an order in which what links to a block comes after it. */
  readonly blocks: readonly Block[]
  readonly needed: PinsNeeded
}

/** Answers the path of the intent, `undefined` when nothing was to be pinned. */
export async function importHeld(
  client: KuboClient,
  intents: Intents,
  { dataset, purpose, blocks, needed: { roots, direct } }: ImportSpec,
  options?: CallOptions,
): Promise<string | undefined> {
  const pins = [...roots, ...direct]
  const intent =
    pins.length === 0 ? undefined : await intents.write({ dataset, purpose, pins }, options)
  await importBlocks(client, roots, blocks, options)
  await holdAlone(client, direct, blocks, options)
  return intent
}

/** A collection that waits runs right after an import, so one try more is usual where one waits. */
export const IMPORT_TRIES = 10

/** A collection between the import and the pins takes the blocks: they are sent again. */
async function holdAlone(
  client: KuboClient,
  cids: readonly CidBytes[],
  blocks: readonly Block[],
  options?: CallOptions,
): Promise<void> {
  let rest = cids
  for (let tries = 1; rest.length > 0; tries++) {
    try {
      return await pinDirectly(client, rest, options)
    } catch (error) {
      if (!means(error, 'blockMissing') || tries === IMPORT_TRIES) throw error
      await importBlocks(client, [], blocks, options)
      rest = await withoutPin(client, rest, ['recursive', 'direct'], options)
    }
  }
}

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
    const { Root: root, Stats: stats } = JSON.parse(line) as ImportAnswer
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

function distinct(blocks: readonly Block[]): CidBytes[] {
  return [...new Map(blocks.map(({ cid }) => [cidKey(cid), cid])).values()]
}
