/** A block as people see it: what it is, its value as DAG-JSON, and where it leads. */
import { DAG_CBOR, DAG_JSON, DAG_PB, parseCid, printCid, RAW } from '../../src/client/cid.ts'
import { decodeDagCbor } from '../../src/client/dag-cbor.ts'
import { CairnClientError } from '../../src/client/error.ts'
import { decodeNodeLinks } from '../../src/client/unixfs.ts'

export interface BlockLink {
  readonly cid: string
  /** The way to it through the value, `tree/3`; in a directory its name. */
  readonly path: string
  /** Held as bytes: it can be followed, but is no part of the DAG, and may be gone. */
  readonly weak: boolean
}

export interface BlockView {
  readonly cid: string
  readonly codec: 'dag-cbor' | 'dag-json' | 'dag-pb' | 'raw' | 'other'
  /** How long it is. */
  readonly length: number
  /** Of a record of Cairn, its schema tag, such as `cairn/snapshot@v1`. */
  readonly schema: string | null
  /** Links are `{"/": CID}`, bytes `{"/": {"bytes": BASE64}}`; undefined where the block has no value. */
  readonly value: unknown
  readonly links: readonly BlockLink[]
  /** There are more than these. */
  readonly more_links: boolean
  /** The block itself. */
  readonly data: Uint8Array
  /** It says to be of a codec that it is not, or of one that is not known here. */
  readonly problem: string | null
}

const MOST_LINKS = 10_000
const MAX_DEPTH = 1000

export function blockViewOf(cid: string, bytes: Uint8Array): BlockView {
  const { codec } = parseCid(cid)
  const name = NAMES.get(codec) ?? 'other'
  const bare = { cid, codec: name, length: bytes.length, schema: null, value: undefined, links: [] }
  const view: BlockView = { ...bare, more_links: false, data: bytes, problem: null }
  try {
    return { ...view, ...decoded(codec, bytes) }
  } catch (error) {
    if (!(error instanceof CairnClientError || error instanceof SyntaxError)) throw error
    return { ...view, problem: error.message }
  }
}

const NAMES: ReadonlyMap<number, BlockView['codec']> = new Map([
  [DAG_CBOR, 'dag-cbor'],
  [DAG_JSON, 'dag-json'],
  [DAG_PB, 'dag-pb'],
  [RAW, 'raw'],
])

function decoded(codec: number, bytes: Uint8Array): Partial<BlockView> {
  if (codec === RAW) return {}
  if (codec === DAG_CBOR) return valueView(decodeDagCbor(bytes))
  if (codec === DAG_JSON) return valueView(JSON.parse(new TextDecoder().decode(bytes)))
  if (codec !== DAG_PB) return { problem: 'Its codec is not known here.' }
  const links = decodeNodeLinks(bytes)
  const some = links.slice(0, MOST_LINKS)
  return {
    links: some.map(({ cid, name }, i) => ({ cid, path: name || String(i), weak: false })),
    more_links: links.length > MOST_LINKS,
  }
}

function valueView(value: unknown): Partial<BlockView> {
  const links: BlockLink[] = []
  const whole = collect(value, '', links, 0)
  const tag = isMap(value) ? value['schema'] : undefined
  return { value, schema: typeof tag === 'string' ? tag : null, links, more_links: !whole }
}

type JsonMap = Readonly<Record<string, unknown>>

const isMap = (value: unknown): value is JsonMap =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** False when there are more links than are taken. */
function collect(value: unknown, path: string, into: BlockLink[], depth: number): boolean {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return true
  const link = linkOf(value as JsonMap)
  if (link !== undefined) {
    if (into.length === MOST_LINKS) return false
    into.push({ ...link, path })
    return true
  }
  for (const [key, one] of Object.entries(value))
    if (!collect(one, path === '' ? key : `${path}/${key}`, into, depth + 1)) return false
  return true
}

function linkOf(map: JsonMap): Omit<BlockLink, 'path'> | undefined {
  const inner = map['/']
  if (Object.keys(map).length !== 1) return undefined
  if (typeof inner === 'string') return { cid: inner, weak: false }
  const text = isMap(inner) ? inner['bytes'] : undefined
  const cid = typeof text === 'string' ? weakCid(text) : undefined
  return cid === undefined ? undefined : { cid, weak: true }
}

const WEAK_BYTES = 36
const WEAK_CHARS = 48

/** Of version 1, with one of the usual codecs and sha2-256: what Cairn holds as bytes is that. */
function weakCid(base64: string): string | undefined {
  if (base64.length !== WEAK_CHARS) return undefined
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))
  const isCid =
    bytes.length === WEAK_BYTES && bytes[0] === 1 && bytes[2] === 0x12 && bytes[3] === 32
  return isCid && NAMES.has(bytes[1] ?? 0) ? printCid(bytes) : undefined
}
