/**
 * Puts blocks on the node and holds them.
 *
 * Order: the intent, then one `dag import` of all blocks with the deep ones as its roots, then direct
 * pins of the others. The intent names all that is wanted, also what is pinned; where something is,
 * a sweep may be about to drop that pin, so after the intent it is looked at again (`sweep.ts`). The intent is a request of its own, before: a collection that waits for an import
 * to end makes every change of MFS wait, so an import that itself waited for its intent would wait for
 * ever.
 *
 * What an import pins deep must be complete together with what the node has. The engine has proved
 * that with `hasBlocks` for every link out of the request before it commits. It has to: Kubo pins
 * through the network, and on an online node a missing block holds the collector's lock until the
 * deadline; only then does it come out as `content_missing`.
 */
import { CairnError } from '../../errors.ts'
import { cidKey, cidParts, printCid, type Block, type CidBytes } from '../../model/cid.ts'
import type { CallOptions, HeldBlock } from '../../store/backend.ts'
import type { KuboClient } from './client.ts'
import { importBlocks } from './dag-import.ts'
import { deepHoldersOf, holdersOf } from './holder.ts'
import type { Condemned } from './condemned.ts'
import type { Intent, Intents } from './intents.ts'
import { SOUND_MS } from './leases.ts'
import { pinDirectly, withoutPin } from './pins.ts'
import { means } from './refusals.ts'
import type { Tidy } from './tidy.ts'

/** What is wanted of the blocks of a request. */
interface Wanted {
  readonly deep: readonly CidBytes[]
  readonly alone: readonly CidBytes[]
}

/** What of it has no pin yet, and so gets one. */
interface PinsNeeded {
  readonly wanted: Wanted
  /** When it was looked. */
  readonly at: number
  readonly roots: readonly CidBytes[]
  readonly direct: readonly CidBytes[]
}

export interface ImportSpec {
  readonly dataset: string
  /** What for: the number of a commit, or the words of a staging. */
  readonly purpose: number | string
  /** In an order in which what links to a block comes after it. */
  readonly blocks: readonly Block[]
  /** The name of its staging's lease. */
  readonly staging?: string
}

export type LetGo = () => void

export interface Importer {
  pinsNeeded(held: readonly HeldBlock[], options?: CallOptions): Promise<PinsNeeded>
  /** Answers the intent, `undefined` when nothing was to be held. */
  put(spec: ImportSpec, needed: PinsNeeded, options?: CallOptions): Promise<Intent | undefined>
  /** As `put`, for many to be held: with one pin, which the intent names, whatever pins they have. */
  putBundled(spec: ImportSpec, held: readonly HeldBlock[], options?: CallOptions): Promise<Intent>
  /** Puts `blocks` there, and holds each by itself until the answer is called. */
  putForNow(spec: ImportSpec, options?: CallOptions): Promise<LetGo>
}

export function createImporter(
  client: KuboClient,
  intents: Intents,
  condemned: Condemned,
  tidy: Tidy,
  now: () => number,
): Importer {
  const putForNow: Importer['putForNow'] = async ({ blocks, ...what }, options) => {
    const holders = holdersOf(blocks.map(({ cid }) => cid))
    const pins = holders.map(({ cid }) => cid)
    const written = pins.length === 0 ? [] : [await intents.write({ ...what, pins }, options)]
    await importBlocks(client, pins, [...blocks, ...holders], options)
    return () => tidy.later({ pins, intents: written })
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

  const pinsNeeded = async (wanted: Wanted, options?: CallOptions): Promise<PinsNeeded> => {
    const at = now()
    const [roots, direct] = await Promise.all([
      withoutPin(client, wanted.deep, ['recursive'], options),
      withoutPin(client, wanted.alone, ['recursive', 'direct'], options),
    ])
    return { wanted, at, roots, direct }
  }

  /** Once more after the intent, where pins are relied on. What is new needs no second look. */
  const lookAgain = async (before: PinsNeeded, options?: CallOptions): Promise<PinsNeeded> => {
    const { wanted } = before
    const [roots, direct] = now() - before.at > SOUND_MS ? [[], []] : [before.roots, before.direct]
    const lacking = new Set([...roots, ...direct].map(cidKey))
    const pinned = (cids: readonly CidBytes[]): CidBytes[] =>
      cids.filter((cid) => !lacking.has(cidKey(cid)))
    const relied = { deep: pinned(wanted.deep), alone: pinned(wanted.alone) }
    const cids = [...relied.deep, ...relied.alone]
    if (cids.length === 0) return before
    await condemned.passed(cids, options)
    const again = await pinsNeeded(relied, options)
    return {
      ...again,
      wanted,
      roots: [...roots, ...again.roots],
      direct: [...direct, ...again.direct],
    }
  }

  /** Nothing that is pinned is relied on, so nothing need be looked at: no intent names more than the bundle. */
  const putBundled: Importer['putBundled'] = async ({ blocks, ...what }, held, options) => {
    const { alone, deep } = wantedOf(held)
    const holders = deepHoldersOf(alone, deep)
    const pins = holders.map(({ cid }) => cid)
    const intent = await intents.write({ ...what, pins, bundled: true }, options)
    await importBlocks(client, pins, [...blocks, ...holders], options)
    // A node pins what it has all of, and the bundle is like no other: this answer is about these blocks.
    const [lacking] = await withoutPin(client, pins, ['recursive'], options)
    if (lacking !== undefined) throw notPinned(lacking)
    return intent
  }

  return {
    putForNow,
    putBundled,
    pinsNeeded: (held, options) => pinsNeeded(wantedOf(held), options),
    async put({ blocks, ...what }, before, options) {
      const pins = [...before.wanted.deep, ...before.wanted.alone]
      const intent = pins.length === 0 ? undefined : await intents.write({ ...what, pins }, options)
      const { roots, direct } = await lookAgain(before, options)
      await importBlocks(client, roots, blocks, options)
      try {
        await pinDirectly(client, direct, options)
      } catch (error) {
        if (!means(error, 'blockMissing')) throw error
        await pinAgain({ blocks, ...what }, direct, options)
      }
      return intent
    },
  }
}

function notPinned(cid: CidBytes): CairnError {
  return new CairnError(
    'backend_refused',
    `The node says it pinned ${printCid(cid)}, and has no pin.`,
    {
      hint: 'Is there a proxy before the node that answers for it?',
    },
  )
}

function wantedOf(held: readonly HeldBlock[]): Wanted {
  const deep = distinct(held.filter(({ hold }) => hold === 'deep'))
  const known = new Set(deep.map(cidKey))
  const alone = distinct(held.filter(({ hold }) => hold === 'self')).filter(
    (cid) => !known.has(cidKey(cid)) && cidParts(cid).hash !== 'identity',
  )
  return { deep, alone }
}

function distinct(blocks: readonly Block[]): CidBytes[] {
  return [...new Map(blocks.map(({ cid }) => [cidKey(cid), cid])).values()]
}
