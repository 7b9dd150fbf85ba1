/**
 * Making content: JSON becomes one DAG-CBOR block, bytes one raw block, and bytes above 1 MiB a UnixFS
 * file of raw leaves. JSON is DAG-JSON, so that links (`{"/": "bafy..."}`) and bytes survive.
 */
import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import type { CID } from 'multiformats/cid'
import { CairnError } from '../errors.ts'
import { cborBlock, cborCidOf, rawCidOf, type Block, type CidBytes } from '../model/cid.ts'
import { MAX_BLOCK_BYTES } from '../model/node.ts'
import { encodePlain } from './fast-cbor.ts'

/** A JSON value (links are CID objects), bytes, or a stream of bytes. */
export type ContentValue = unknown

/**
 * A content that was made here and links to nothing, so that it is whole by itself. A class, since that is believed
 * of nothing that comes from outside.
 */
export class LeafBlock implements Block {
  readonly cid: CidBytes
  readonly bytes: Uint8Array

  constructor(cid: CidBytes, bytes: Uint8Array) {
    this.cid = cid
    this.bytes = bytes
  }
}

/** The block of what `encodePlain` gave. */
export const plainBlock = (bytes: Uint8Array): LeafBlock => new LeafBlock(cborCidOf(bytes), bytes)

export function encodeJson(value: ContentValue): Block {
  let bytes: Uint8Array
  try {
    const plain = encodePlain(value)
    if (plain !== undefined) return plainBlock(plain)
    bytes = dagCbor.encode(value)
  } catch (cause) {
    throw new CairnError('invalid_content', `A value cannot be stored: ${messageOf(cause)}.`, {
      hint: 'Values are JSON: no undefined, NaN, functions or dates.',
      cause,
    })
  }
  if (bytes.length > MAX_BLOCK_BYTES) {
    throw new CairnError(
      'too_large',
      `A JSON value of ${bytes.length} bytes does not fit one block.`,
      {
        hint: `Keep it below ${MAX_BLOCK_BYTES} bytes, split it into several entities, or put it as bytes.`,
      },
    )
  }
  refuseLoneSurrogates(bytes, value)
  return cborBlock(bytes)
}

/** What the encoder writes in the place of half a surrogate pair: U+FFFD, which may also have been meant. */
const REPLACEMENT = Buffer.from('\ufffd')

function refuseLoneSurrogates(bytes: Uint8Array, value: ContentValue): void {
  const isWhole = !Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(REPLACEMENT)
  if (isWhole || isWellFormed(value)) return
  throw new CairnError(
    'invalid_content',
    'A value cannot be stored: a text in it is not Unicode.',
    {
      hint: 'It has half of a surrogate pair (\\ud800 to \\udfff): write both halves, or neither.',
    },
  )
}

function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return true
  return Object.entries(value).every(([key, one]) => key.isWellFormed() && isWellFormed(one))
}

/**
 * What plain JSON reads otherwise than DAG-JSON: links and bytes, whichever way their "/" is written, and
 * integers beyond 2^53.
 */
const NEEDS_DAG_JSON = /"\\?\/"|\\u002f|\d{16}/i

export const needsDagJson = (text: string): boolean => NEEDS_DAG_JSON.test(text)

/** JSON text with DAG-JSON's links and bytes. */
export function parseContent(text: string): ContentValue {
  try {
    return dagJson.decode(Buffer.from(text))
  } catch (cause) {
    const twice = /repeat map key (.*)/.exec(messageOf(cause))?.[1]
    if (twice !== undefined) {
      throw new CairnError('invalid_content', `A value has the key ${twice} twice.`, {
        hint: 'Name each key once.',
        cause,
      })
    }
    throw new CairnError('invalid_content', `A value is not JSON: ${messageOf(cause)}.`, {
      hint: 'Check the quotes and commas.',
      cause,
    })
  }
}

/** As DAG-JSON, which has no words for some values of DAG-CBOR. */
export function printContent(value: ContentValue): string {
  try {
    return Buffer.from(dagJson.encode(value)).toString('utf8')
  } catch (cause) {
    throw new CairnError('invalid_content', `A value is no DAG-JSON: ${messageOf(cause)}.`, {
      hint: 'Read it with an IPFS tool, such as `ipfs dag get`.',
      cause,
    })
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message.slice(0, 200) : 'unknown reason'
}

export function fitsOneBlock(bytes: Uint8Array): boolean {
  return bytes.length <= MAX_BLOCK_BYTES
}

export function encodeRaw(bytes: Uint8Array): LeafBlock {
  return new LeafBlock(rawCidOf(bytes), bytes)
}

/** Bytes as a UnixFS file; its blocks go to `put` as they are made. Returns the file's CID. */
export async function encodeFile(
  bytes: Uint8Array | AsyncIterable<Uint8Array>,
  put: (block: Block) => Promise<void>,
): Promise<CidBytes> {
  const store = {
    async put(
      cid: CID,
      value: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    ): Promise<CID> {
      await put({ cid: cid.bytes, bytes: await collectBytes(value) })
      return cid
    },
  }
  // Loaded when it is needed: it takes longer to load than all of Cairn.
  const { importBytes } = await import('ipfs-unixfs-importer')
  const { cid } = await importBytes(bytes, store, { profile: 'unixfs-v1-2025' })
  return cid.bytes
}

async function collectBytes(
  parts: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<Uint8Array> {
  if (parts instanceof Uint8Array) return parts
  const all: Uint8Array[] = []
  for await (const part of parts) all.push(part)
  return new Uint8Array(Buffer.concat(all))
}
