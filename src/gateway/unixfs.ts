/**
 * UnixFS as far as a gateway needs it: what a dag-pb block is, which of its links hold which bytes of a file,
 * and where a name stands in a sharded directory. What is not understood is taken for no UnixFS.
 */
import { decodeContent } from '../content/links.ts'
import { CODEC_DAG_PB, cidParts, type CidBytes } from '../model/cid.ts'
import { murmur3x64 } from './murmur3.ts'

export interface NamedLink {
  readonly name: string
  readonly cid: CidBytes
}

export interface UnixFsNode {
  readonly kind: 'file' | 'directory' | 'shard' | 'other'
  readonly links: readonly NamedLink[]
  /** How many bytes of the file stand in the block itself, before those of its links. */
  readonly own: number
  /** How many are under each link; undefined where the block does not say it of each. */
  readonly sizes: readonly number[] | undefined
  /** Of a shard: how many bits of a name's hash one level takes. */
  readonly bits: number
}

const KINDS = ['file', 'directory', 'file', 'other', 'other', 'shard'] as const
const MURMUR3 = 0x22
const MIN_BITS = 3
const MAX_BITS = 10
const HASH_BITS = 64

const NO_NODE: UnixFsNode = { kind: 'other', links: [], own: 0, sizes: undefined, bits: 0 }

interface PbNode {
  readonly Data?: Uint8Array
  readonly Links: readonly { readonly Name?: string; readonly Hash: { readonly bytes: CidBytes } }[]
}

export function unixFsOf(cid: CidBytes, bytes: Uint8Array): UnixFsNode {
  // Bytes under another codec are no node, whatever they look like.
  if (cidParts(cid).codec !== CODEC_DAG_PB) return NO_NODE
  const { Data, Links } = decodeContent(cid, CODEC_DAG_PB, bytes) as PbNode
  const links = Links.map(({ Name = '', Hash }) => ({ name: Name, cid: Hash.bytes }))
  const other: UnixFsNode = { ...NO_NODE, links }
  const fields = Data === undefined ? undefined : fieldsOf(Data)
  const kind = fields === undefined ? undefined : KINDS[fields.type]
  if (fields === undefined || kind === undefined) return other
  if (kind !== 'shard') {
    const sizes = fields.sizes.length === links.length ? fields.sizes : undefined
    return { kind, links, own: fields.own, sizes, bits: 0 }
  }
  const bits = Math.log2(fields.fanout)
  const known = Number.isInteger(bits) && bits >= MIN_BITS && bits <= MAX_BITS
  return known && fields.hash === MURMUR3 ? { ...other, kind, bits } : other
}

interface DataFields {
  type: number
  own: number
  sizes: number[]
  hash: number
  fanout: number
}

/** The message in a node's data; undefined for what is none. */
function fieldsOf(data: Uint8Array): DataFields | undefined {
  const fields: DataFields = { type: -1, own: 0, sizes: [], hash: 0, fanout: 0 }
  let at = 0
  const number = (): number => {
    let value = 0
    for (let factor = 1; factor <= 2 ** 49; factor *= 128) {
      const byte = data[at++]
      if (byte === undefined) return -1
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return Number.isSafeInteger(value) ? value : -1
    }
    return -1
  }
  while (at < data.length) {
    const key = number()
    // What stands in a fixed width is of no field that there is.
    const value = (key & 7) === 0 || (key & 7) === 2 ? number() : -1
    if (key < 0 || value < 0) return undefined
    if (key === 0x08) fields.type = value
    else if (key === 0x12) fields.own = value
    else if (key === 0x20) fields.sizes.push(value)
    else if (key === 0x28) fields.hash = value
    else if (key === 0x30) fields.fanout = value
    if ((key & 7) === 2) at += value
  }
  return at === data.length ? fields : undefined
}

/** How many bytes a file has. */
export const sizeOf = ({ own, sizes = [] }: UnixFsNode): number =>
  sizes.reduce((sum, size) => sum + size, own)

const prefixOf = (slot: number, bits: number): string =>
  slot
    .toString(16)
    .toUpperCase()
    .padStart((2 ** bits - 1).toString(16).length, '0')

/** A link of a shard that leads to another shard has no more in its name than its place. */
export function shardsUnder({ links, bits }: UnixFsNode): CidBytes[] {
  const { length } = prefixOf(0, bits)
  return links.filter(({ name }) => name.length === length).map(({ cid }) => cid)
}

/** Where a name goes from a shard: to a shard below, to what it names, or nowhere. */
export function stepInShard(
  { links, bits }: UnixFsNode,
  name: string,
  level: number,
): { readonly cid: CidBytes; readonly found: boolean } | undefined {
  const below = HASH_BITS - bits * (level + 1)
  if (below < 0) return undefined
  const hash = murmur3x64(Buffer.from(name))
  const slot = Number((hash >> BigInt(below)) & ((1n << BigInt(bits)) - 1n))
  const prefix = prefixOf(slot, bits)
  const link = links.find((one) => one.name === prefix || one.name === prefix + name)
  return link === undefined ? undefined : { cid: link.cid, found: link.name !== prefix }
}
