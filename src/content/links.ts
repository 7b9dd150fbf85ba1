/** What a content block links to. Content may be dag-cbor, dag-json, dag-pb and raw blocks. */
import * as dagJson from '@ipld/dag-json'
import * as dagPb from '@ipld/dag-pb'
import { CairnError } from '../errors.ts'
import {
  CODEC_DAG_CBOR,
  CODEC_DAG_JSON,
  CODEC_DAG_PB,
  CODEC_RAW,
  cidParts,
  linkOf,
  printCid,
  type CidBytes,
} from '../model/cid.ts'
import { dagCborValue } from '../model/dag-cbor.ts'
import { scanLinks } from './scan-links.ts'
import { cborLinks, pbLinks } from './written-links.ts'

/** Deeper nesting inside one block is refused; real content has a few levels. */
const MAX_NESTING = 1000

export function linksOf(cid: CidBytes, bytes: Uint8Array): CidBytes[] {
  const { codec } = cidParts(cid)
  if (codec === CODEC_RAW) return []
  const scanned = codec === CODEC_DAG_CBOR ? scanLinks(bytes) : undefined
  if (scanned !== undefined) return scanned
  const links: CidBytes[] = []
  collect(decodeContent(cid, codec, bytes), links, 0)
  if (codec === CODEC_DAG_JSON) return links
  const written = codec === CODEC_DAG_CBOR ? cborLinks(bytes) : pbLinks(bytes)
  for (const link of written) cidParts(link)
  return written
}

/** The value of a content block that is no raw block. */
export function decodeContent(cid: CidBytes, codec: number, bytes: Uint8Array): unknown {
  try {
    if (codec === CODEC_DAG_CBOR) return dagCborValue(bytes)
    if (codec === CODEC_DAG_JSON) return dagJson.decode(bytes)
    if (codec === CODEC_DAG_PB) return dagPb.decode(bytes)
  } catch (cause) {
    throw new CairnError('invalid_content', `The content ${printCid(cid)} cannot be decoded.`, {
      hint: 'It is not what its CID says; store it anew.',
      cid: printCid(cid),
      cause,
    })
  }
  throw new CairnError(
    'invalid_content',
    `The content ${printCid(cid)} has a codec that Cairn does not read.`,
    {
      hint: 'Use dag-cbor, dag-json, dag-pb or raw.',
      cid: printCid(cid),
    },
  )
}

function collect(value: unknown, into: CidBytes[], depth: number): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return
  const cid = linkOf(value)
  if (cid !== undefined) {
    cidParts(cid.bytes)
    into.push(cid.bytes)
    return
  }
  if (depth > MAX_NESTING) {
    throw new CairnError('invalid_content', 'A content block is nested too deeply.', {
      hint: `Keep values within ${MAX_NESTING} levels, or split them into several entities.`,
    })
  }
  for (const one of Object.values(value)) collect(one, into, depth + 1)
}
