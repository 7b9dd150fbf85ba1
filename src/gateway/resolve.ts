/**
 * Following a path from a CID: through the maps and lists of DAG-CBOR and DAG-JSON to their Links, through
 * directories by their names. Every block on the way is hashed, and remembered by its CID alone: who wants to
 * verify the path gets them before what it leads to.
 */
import { decodeContent } from '../content/links.ts'
import { CairnError } from '../errors.ts'
import {
  inlineBytes,
  CODEC_DAG_PB,
  CODEC_RAW,
  cidParts,
  linkOf,
  printCid,
  type CidBytes,
} from '../model/cid.ts'
import type { CallOptions } from '../store/backend.ts'
import { getProvedBlocks, type BlockReader } from '../store/proved.ts'
import type { ContentPath } from './content-path.ts'
import { stepInShard, unixFsOf } from './unixfs.ts'

export interface Resolved {
  /** The blocks that lead to the end of the path, in their order, without it. */
  readonly way: readonly CidBytes[]
  readonly end: CidBytes
  readonly bytes: Uint8Array
  /** The CID that was asked for, and what each part of the path that leads to a block leads to. */
  readonly roots: readonly CidBytes[]
}

/** A way that is not there is `not_found`, a path that ends within a block `not_implemented`. */
export async function resolvePath(
  store: BlockReader,
  { root, segments }: ContentPath,
  options: CallOptions,
): Promise<Resolved> {
  const way: CidBytes[] = []
  const roots = [root]
  let end = root
  let bytes = await blockOf(store, root, options)
  for (let at = 0; at < segments.length;) {
    const step = await stepFrom({ store, way, options }, { cid: end, bytes }, segments.slice(at))
    if (step === undefined) throw noWay(segments, at, end)
    at += step.taken
    end = step.cid
    roots.push(end)
    bytes = await blockOf(store, end, options)
  }
  return { way, end, bytes, roots }
}

/** A block that is there, and what its CID says. */
export async function blockOf(
  store: BlockReader,
  cid: CidBytes,
  options: CallOptions,
): Promise<Uint8Array> {
  const bytes = inlineBytes(cid) ?? (await getProvedBlocks(store, [cid], options))[0]
  if (bytes !== undefined) return bytes
  throw noBlock(cid)
}

export function noBlock(cid: CidBytes): CairnError {
  return new CairnError('not_found', `There is no block ${printCid(cid)} here.`, {
    hint: 'Only what the store has is given; nothing is fetched from elsewhere.',
    cid: printCid(cid),
  })
}

interface Journey {
  readonly store: BlockReader
  readonly way: CidBytes[]
  readonly options: CallOptions
}

interface Place {
  readonly cid: CidBytes
  readonly bytes: Uint8Array
}

interface Step {
  readonly cid: CidBytes
  /** How many parts of the path led there. */
  readonly taken: number
}

async function stepFrom(
  journey: Journey,
  place: Place,
  segments: readonly string[],
): Promise<Step | undefined> {
  const { codec } = cidParts(place.cid)
  if (codec === CODEC_RAW) return undefined
  if (codec === CODEC_DAG_PB) return stepByName(journey, place, segments[0] ?? '')
  journey.way.push(place.cid)
  return stepInValue(decodeContent(place.cid, codec, place.bytes), segments)
}

function stepInValue(root: unknown, segments: readonly string[]): Step | undefined {
  let value = root
  for (const [at, segment] of segments.entries()) {
    value = memberOf(value, segment)
    if (value === undefined) return undefined
    const link = linkOf(value)
    if (link !== undefined) return { cid: link.bytes, taken: at + 1 }
  }
  throw new CairnError('not_implemented', 'The path ends within a block.', {
    hint: 'End it at a link, or ask for the block that holds the value.',
  })
}

const INDEX = /^(?:0|[1-9]\d{0,8})$/

function memberOf(value: unknown, segment: string): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return undefined
  if (linkOf(value) !== undefined) return undefined
  if (Array.isArray(value))
    return INDEX.test(segment) ? (value as unknown[])[Number(segment)] : undefined
  return Object.hasOwn(value, segment) ? (value as Record<string, unknown>)[segment] : undefined
}

async function stepByName(
  { store, way, options }: Journey,
  place: Place,
  name: string,
): Promise<Step | undefined> {
  let { cid, bytes } = place
  for (let level = 0; ; level++) {
    const node = unixFsOf(cid, bytes)
    way.push(cid)
    if (node.kind !== 'shard') {
      const link = level === 0 ? node.links.find((one) => one.name === name) : undefined
      return link === undefined ? undefined : { cid: link.cid, taken: 1 }
    }
    const step = stepInShard(node, name, level)
    if (step === undefined) return undefined
    if (step.found) return { cid: step.cid, taken: 1 }
    cid = step.cid
    bytes = await blockOf(store, cid, options)
  }
}

function noWay(segments: readonly string[], at: number, cid: CidBytes): CairnError {
  return new CairnError(
    'not_found',
    `The path leads nowhere from "${(segments[at] ?? '').slice(0, 100)}" on.`,
    { hint: `The block ${printCid(cid)} has nothing of that name.`, cid: printCid(cid) },
  )
}
