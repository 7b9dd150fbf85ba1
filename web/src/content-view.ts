/** Content to be shown: a value, or the first bytes of a file that may have many blocks. */
import { DAG_PB, parseCid } from '../../src/client/cid.ts'
import { CairnClientError } from '../../src/client/error.ts'
import { decodeFileNode } from '../../src/client/unixfs.ts'
import { blockViewOf } from './block-view.ts'

export type ContentView =
  | { readonly kind: 'value'; readonly cid: string; readonly value: unknown }
  | {
      readonly kind: 'bytes'
      readonly cid: string
      readonly bytes: Uint8Array
      /** There are more. */
      readonly cut: boolean
    }

export type ReadBytes = (
  cid: string,
  options?: { readonly signal?: AbortSignal | undefined },
) => Promise<Uint8Array>

const DEFAULT_BYTES = 1 << 20
/** A file of a terabyte has five levels. */
const MAX_DEPTH = 16
/** A page asks for no more; in a file that anybody means to be read each of them has some kilobytes. */
const MOST_BLOCKS = 20_000

export async function contentOf(
  read: ReadBytes,
  cid: string,
  options: {
    readonly maxBytes?: number | undefined
    readonly signal?: AbortSignal | undefined
  } = {},
): Promise<ContentView> {
  const { maxBytes = DEFAULT_BYTES, signal } = options
  const block = await read(cid, { signal })
  const { codec, value, problem } = blockViewOf(cid, block)
  if (problem !== null) {
    throw new CairnClientError(`The content ${cid} cannot be shown. ${problem}`, {
      code: 'invalid_content',
      hint: 'Look at its block, or take it with a tool of IPFS.',
    })
  }
  if (codec === 'dag-cbor' || codec === 'dag-json') return { kind: 'value', cid, value }
  const parts: Uint8Array[] = []
  let left = maxBytes
  for await (const part of fileParts({ read: bounded(read), signal }, cid, block, 0)) {
    parts.push(part.subarray(0, left))
    left -= part.length
    if (left < 0) break
  }
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return { kind: 'bytes', cid, bytes, cut: left < 0 }
}

/** What links to itself, or to little, a million times must come to an end. */
function bounded(read: ReadBytes): ReadBytes {
  let left = MOST_BLOCKS
  return async (cid, options) => {
    if (left-- > 0) return read(cid, options)
    throw new CairnClientError(`The file has more than ${MOST_BLOCKS} blocks.`, {
      code: 'too_large',
      hint: 'The command line has no such limit: cairn cat, or cairn car get.',
    })
  }
}

interface Reading {
  readonly read: ReadBytes
  readonly signal: AbortSignal | undefined
}

/** A file's bytes in their order. */
async function* fileParts(
  reading: Reading,
  cid: string,
  block: Uint8Array,
  depth: number,
): AsyncGenerator<Uint8Array> {
  if (parseCid(cid).codec !== DAG_PB) {
    yield block
    return
  }
  const { data, links } = decodeFileNode(block)
  if (data.length > 0) yield data
  if (depth >= MAX_DEPTH && links.length > 0) {
    throw new CairnClientError('The content is nested deeper than a file.', {
      code: 'invalid_content',
      hint: 'Read it with a tool of IPFS.',
    })
  }
  const { read, signal } = reading
  for (const link of links) yield* fileParts(reading, link, await read(link, { signal }), depth + 1)
}
