/**
 * Puts blocks on the node and holds them.
 *
 * Order: the intent, then one `dag import` of all blocks with the deep ones as its roots, then direct
 * pins of the others. The intent is a request of its own, before: a collection that waits for an import
 * to end makes every change of MFS wait, so an import that itself waited for its intent would wait for
 * ever.
 *
 * What an import pins deep must be complete together with what the node has. The engine has proved
 * that with `hasBlocks` for every link out of the request before it commits. It has to: Kubo pins
 * through the network, and on an online node a missing block holds the collector's lock until the
 * deadline; only then does it come out as `content_missing`.
 */
import { cidKey, cidParts, type Block, type CidBytes } from '../../model/cid.ts'
import type { CallOptions, HeldBlock } from '../../store/backend.ts'
import type { KuboClient } from './client.ts'
import { importBlocks } from './dag-import.ts'
import { holdersOf } from './holder.ts'
import type { IntentWriter } from './intents.ts'
import { pinDirectly, withoutPin } from './pins.ts'
import { means } from './refusals.ts'
import type { Tidy } from './tidy.ts'

/** What of a request has no pin yet, and so gets one. */
interface PinsNeeded {
  readonly roots: readonly CidBytes[]
  readonly direct: readonly CidBytes[]
}

interface ImportSpec {
  readonly dataset: string
  /** What for: the number of a commit, or the words of a staging. */
  readonly purpose: number | string
  /** In an order in which what links to a block comes after it. */
  readonly blocks: readonly Block[]
}

export type LetGo = () => void

export interface Importer {
  pinsNeeded(held: readonly HeldBlock[], options?: CallOptions): Promise<PinsNeeded>
  /** Answers the path of the intent, `undefined` when nothing was to be pinned. */
  put(spec: ImportSpec, needed: PinsNeeded, options?: CallOptions): Promise<string | undefined>
  /** Puts `blocks` there, and holds each by itself until the answer is called. */
  putForNow(spec: ImportSpec, options?: CallOptions): Promise<LetGo>
}

export function createImporter(
  client: KuboClient,
  writeIntent: IntentWriter,
  tidy: Tidy,
): Importer {
  const putForNow: Importer['putForNow'] = async ({ dataset, purpose, blocks }, options) => {
    const holders = holdersOf(blocks.map(({ cid }) => cid))
    const pins = holders.map(({ cid }) => cid)
    const intents =
      pins.length === 0 ? [] : [await writeIntent({ dataset, purpose, pins }, options)]
    await importBlocks(client, pins, [...blocks, ...holders], options)
    return () => tidy.later({ pins, intents })
  }

  /** A collection between the import and the pins took the blocks: they are sent again. */
  const pinAgain = async (
    spec: ImportSpec,
    cids: readonly CidBytes[],
    options?: CallOptions,
  ): Promise<void> => {
    const letGo = await putForNow(spec, options)
    try {
      const rest = await withoutPin(client, cids, ['recursive', 'direct'], options)
      await pinDirectly(client, rest, options)
    } finally {
      letGo()
    }
  }

  return {
    putForNow,
    async pinsNeeded(held, options) {
      const deep = distinct(held.filter(({ hold }) => hold === 'deep'))
      const known = new Set(deep.map(cidKey))
      const alone = distinct(held.filter(({ hold }) => hold === 'self')).filter(
        (cid) => !known.has(cidKey(cid)) && cidParts(cid).hash !== 'identity',
      )
      const [roots, direct] = await Promise.all([
        withoutPin(client, deep, ['recursive'], options),
        withoutPin(client, alone, ['recursive', 'direct'], options),
      ])
      return { roots, direct }
    },
    async put(spec, { roots, direct }, options) {
      const { dataset, purpose, blocks } = spec
      const pins = [...roots, ...direct]
      const intent =
        pins.length === 0 ? undefined : await writeIntent({ dataset, purpose, pins }, options)
      await importBlocks(client, roots, blocks, options)
      try {
        await pinDirectly(client, direct, options)
      } catch (error) {
        if (!means(error, 'blockMissing')) throw error
        await pinAgain(spec, direct, options)
      }
      return intent
    },
  }
}

function distinct(blocks: readonly Block[]): CidBytes[] {
  return [...new Map(blocks.map(({ cid }) => [cidKey(cid), cid])).values()]
}
