/**
 * Content, proved: what comes is hashed and compared with the CID that was asked for, block by block, before
 * any of it is given away. So neither the service nor anybody in between has to be believed.
 */
import { DAG_CBOR, DAG_JSON, DAG_PB, parseCid, RAW, sameBytes, type CidParts } from './cid.ts'
import { decodeDagCbor } from './dag-cbor.ts'
import { CairnClientError } from './error.ts'
import type { Call, CallOptions, Transport } from './transport.ts'
import { decodeFileNode } from './unixfs.ts'

/** Links in a value are `{"/": CID}`, bytes are `{"/": {"bytes": BASE64}}`. */
export type Content =
  | { readonly kind: 'value'; readonly cid: string; readonly value: unknown }
  | { readonly kind: 'bytes'; readonly cid: string; readonly bytes: ReadableStream<Uint8Array> }

const RAW_FORMAT = { format: 'raw' }
/** A file of a terabyte has five levels. */
const MAX_DEPTH = 16

export async function readContent(
  http: Transport,
  place: string,
  cid: string,
  options: CallOptions = {},
): Promise<Content> {
  return decode(http, place, { cid, block: await readBlock(http, place, cid, options) }, options)
}

/** What an entity holds; its tip is the one that the answer names. */
export async function readEntityContent(
  http: Transport,
  place: string,
  { path, query }: Pick<Call, 'path' | 'query'>,
  options: CallOptions = {},
): Promise<Content> {
  const { signal } = options
  const call = { method: 'GET', path, query: { ...query, ...RAW_FORMAT }, signal } as const
  const { response, bytes } = await http.bytes({ ...call, retry: 'always' })
  const cid = (response.headers.get('etag') ?? '').replace(/^(?:W\/)?"(.*)"$/, '$1')
  const block = await proved(cid, bytes, response)
  return decode(http, place, { cid, block }, options)
}

interface NamedBlock {
  readonly cid: string
  readonly block: Uint8Array
}

async function decode(
  http: Transport,
  place: string,
  { cid, block }: NamedBlock,
  options: CallOptions,
): Promise<Content> {
  switch (parseCid(cid).codec) {
    case DAG_CBOR:
      return { kind: 'value', cid, value: decodeDagCbor(block) }
    case DAG_JSON:
      return { kind: 'value', cid, value: JSON.parse(new TextDecoder().decode(block)) as unknown }
    case RAW:
      return { kind: 'bytes', cid, bytes: streamOf(once(block)) }
    case DAG_PB: {
      const get = (link: string): Promise<Uint8Array> => readBlock(http, place, link, options)
      return { kind: 'bytes', cid, bytes: streamOf(fileParts(get, block, 0)) }
    }
    default:
      throw new CairnClientError(`The content ${cid} has a codec that is not known here.`, {
        code: 'invalid_content',
        hint: 'Take its block and decode it.',
      })
  }
}

/** The bytes that a CID names. */
export async function readBlock(
  http: Transport,
  place: string,
  cid: string,
  { signal }: CallOptions = {},
): Promise<Uint8Array> {
  const parts = parseCid(cid)
  if (parts.hash === 'identity') return parts.digest
  const { response, bytes } = await http.bytes({
    method: 'GET',
    path: `${place}/content/${cid}`,
    query: RAW_FORMAT,
    retry: 'always',
    signal,
  })
  return proved(cid, bytes, response)
}

async function proved(cid: string, bytes: Uint8Array, response: Response): Promise<Uint8Array> {
  if (await isNamed(parseCid(cid), bytes)) return bytes
  const requestId = response.headers.get('x-request-id') ?? undefined
  throw new CairnClientError(`Other bytes came than ${cid} names.`, {
    code: 'block_mismatch',
    hint: 'The service is an older one, its store is damaged, or somebody in between changes answers.',
    details: { cid },
    requestId,
  })
}

async function isNamed({ hash, digest }: CidParts, bytes: Uint8Array): Promise<boolean> {
  if (hash === 'identity') return sameBytes(bytes, digest)
  // Browsers have it on pages of https and of localhost only.
  const { subtle } = globalThis.crypto as Partial<typeof globalThis.crypto>
  if (subtle === undefined) {
    throw new CairnClientError('This page may not hash, so content cannot be proved.', {
      code: 'usage',
      hint: 'Serve the page over https.',
    })
  }
  return sameBytes(new Uint8Array(await subtle.digest('SHA-256', new Uint8Array(bytes))), digest)
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, undefined> {
  yield bytes
}

/** A file's bytes in their order. */
async function* fileParts(
  get: (cid: string) => Promise<Uint8Array>,
  block: Uint8Array,
  depth: number,
): AsyncGenerator<Uint8Array, undefined> {
  const { data, links } = decodeFileNode(block)
  if (data.length > 0) yield data
  if (depth >= MAX_DEPTH && links.length > 0) {
    throw new CairnClientError('The content is nested deeper than a file.', {
      code: 'invalid_content',
      hint: 'Read it with a tool of IPFS.',
    })
  }
  for (const link of links) {
    const next = await get(link)
    if (parseCid(link).codec === RAW) yield next
    else yield* fileParts(get, next, depth + 1)
  }
}

/** Reads on only when it is read. */
export function streamOf(parts: AsyncGenerator<Uint8Array, undefined>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const next = await parts.next()
        if (next.done === true) controller.close()
        else controller.enqueue(next.value)
      },
      cancel: async () => {
        await parts.return(undefined)
      },
    },
    { highWaterMark: 0 },
  )
}
