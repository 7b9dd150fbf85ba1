/**
 * The blocks of what stands at the end of a path: of a file all that hold its bytes, or those of a part of it;
 * of a sharded directory all that list its names; of anything else the block itself.
 */
import { CairnError } from '../errors.ts'
import type { CidBytes } from '../model/cid.ts'
import type { Met } from '../reach/met.ts'
import type { EntityBytes } from './ask.ts'
import { shardsUnder, sizeOf, unixFsOf, type UnixFsNode } from './unixfs.ts'

export interface EntityWalk {
  readonly read: (cid: CidBytes) => Promise<Uint8Array>
  /** Takes a block; false for one that was taken before and is wanted once. */
  readonly take: (met: Met) => Promise<boolean>
  /** All that is under each of these, themselves included. */
  readonly all: (cids: readonly CidBytes[]) => Promise<void>
}

/** Real files have a few levels. */
const MAX_DEPTH = 64

/** Bytes of a file, both ends included. */
interface Span {
  readonly from: number
  readonly to: number
}

/** The whole of something is `all`; what none of it has is `none`. */
type Part = Span | 'all' | 'none'

/** Throws `usage` for a part that begins beyond the end. */
export async function walkEntity(
  walk: EntityWalk,
  cid: CidBytes,
  bytes: Uint8Array,
  wanted: EntityBytes | undefined,
): Promise<void> {
  const node = unixFsOf(cid, bytes)
  if (node.kind === 'shard') return walkShards(walk, cid, bytes, 0)
  if (node.kind !== 'file') return void (await walk.take({ cid, bytes, kind: 'content' }))
  const part = partOf(node, wanted)
  if (part === 'all') return walk.all([cid])
  await walk.take({ cid, bytes, kind: 'content' })
  if (part !== 'none') await walkPart(walk, node, part, 0)
}

async function walkShards(
  walk: EntityWalk,
  cid: CidBytes,
  bytes: Uint8Array,
  depth: number,
): Promise<void> {
  if (depth > MAX_DEPTH) throw tooDeep()
  if (!(await walk.take({ cid, bytes, kind: 'content' }))) return
  const node = unixFsOf(cid, bytes)
  if (node.kind !== 'shard') return
  for (const shard of shardsUnder(node))
    await walkShards(walk, shard, await walk.read(shard), depth + 1)
}

function partOf(node: UnixFsNode, wanted: EntityBytes | undefined): Part {
  // Which link has which bytes is not said: all of them hold any part.
  if (wanted === undefined || (node.sizes === undefined && node.links.length > 0)) return 'all'
  const size = sizeOf(node)
  const from = wanted.from < 0 ? Math.max(0, size + wanted.from) : wanted.from
  const last = wanted.to === null ? size - 1 : wanted.to < 0 ? size + wanted.to : wanted.to
  const to = Math.min(last, size - 1)
  if (size > 0 && from >= size) {
    throw new CairnError('usage', `The file has ${size} bytes, none of them from ${from} on.`, {
      hint: 'Ask for entity-bytes within it.',
      size,
    })
  }
  if (to < from) return 'none'
  return from === 0 && to === size - 1 ? 'all' : { from, to }
}

/** What is under a node and has bytes of the span, which counts from the node's first byte. */
async function walkPart(
  walk: EntityWalk,
  { links, own, sizes = [] }: UnixFsNode,
  { from, to }: Span,
  depth: number,
): Promise<void> {
  if (depth > MAX_DEPTH) throw tooDeep()
  /** Those that are wanted as a whole, until one is not. */
  let whole: CidBytes[] = []
  let begin = own
  for (const [i, { cid }] of links.entries()) {
    const size = sizes[i] ?? 0
    const end = begin + size
    const span = { from: Math.max(0, from - begin), to: Math.min(size, to - begin + 1) - 1 }
    begin = end
    if (span.to < span.from) continue
    if (span.from === 0 && span.to === size - 1) {
      whole.push(cid)
      continue
    }
    await walk.all(whole)
    whole = []
    await walkEdge(walk, cid, span, depth + 1)
  }
  await walk.all(whole)
}

/** A block of which a part is wanted: at most two at each level. */
async function walkEdge(walk: EntityWalk, cid: CidBytes, span: Span, depth: number): Promise<void> {
  const bytes = await walk.read(cid)
  const node = unixFsOf(cid, bytes)
  // Its bytes are its own, or it does not say where they are.
  if (node.links.length > 0 && node.sizes === undefined) return walk.all([cid])
  await walk.take({ cid, bytes, kind: 'content' })
  if (node.kind === 'file') await walkPart(walk, node, span, depth)
}

function tooDeep(): CairnError {
  return new CairnError('invalid_content', `The content has more than ${MAX_DEPTH} levels.`, {
    hint: 'It is no file or directory of a real program; ask for dag-scope=all.',
  })
}
