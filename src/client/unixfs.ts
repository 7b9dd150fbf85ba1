/** The nodes of UnixFS files: what bytes a node has itself, and which nodes follow. */
import { CairnClientError } from './error.ts'
import { printCid } from './cid.ts'

export interface FileNode {
  readonly data: Uint8Array
  readonly links: readonly string[]
}

const EMPTY = new Uint8Array(0)
const [TYPE_RAW, TYPE_FILE] = [0, 2]

export function decodeFileNode(block: Uint8Array): FileNode {
  let unixfs: Uint8Array | undefined
  const links: string[] = []
  for (const { field, bytes } of fieldsOf(block)) {
    if (field === 1) unixfs = bytes
    if (field === 2) links.push(linkOf(bytes))
  }
  if (unixfs === undefined) throw notAFile()
  let data: Uint8Array = EMPTY
  let type: number | undefined
  for (const one of fieldsOf(unixfs)) {
    if (one.field === 1) type = one.value
    if (one.field === 2) data = one.bytes
  }
  if (type !== TYPE_RAW && type !== TYPE_FILE) throw notAFile()
  return { data, links }
}

/** A link of any node of dag-pb: a directory's have names. */
export interface NodeLink {
  readonly cid: string
  readonly name: string
}

export function decodeNodeLinks(block: Uint8Array): readonly NodeLink[] {
  const links: NodeLink[] = []
  for (const { field, bytes } of fieldsOf(block)) {
    if (field === 2) links.push({ cid: linkOf(bytes), name: nameOf(bytes) })
  }
  return links
}

function linkOf(link: Uint8Array): string {
  for (const { field, bytes } of fieldsOf(link)) if (field === 1) return printCid(bytes)
  throw notAFile()
}

function nameOf(link: Uint8Array): string {
  for (const { field, bytes } of fieldsOf(link))
    if (field === 2) return new TextDecoder().decode(bytes)
  return ''
}

interface Field {
  readonly field: number
  /** Of a number. */
  readonly value: number
  /** Of all else. */
  readonly bytes: Uint8Array
}

/** The fields of a message of protocol buffers. */
function* fieldsOf(message: Uint8Array): Generator<Field, undefined> {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let factor = 1; factor <= 2 ** 49; factor *= 128) {
      const byte = message[at++]
      if (byte === undefined) throw notAFile()
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
    throw notAFile()
  }
  while (at < message.length) {
    const key = varint()
    const field = Math.floor(key / 8)
    if (key % 8 === 0) {
      yield { field, value: varint(), bytes: EMPTY }
      continue
    }
    const length = varint()
    if (key % 8 !== 2 || at + length > message.length) throw notAFile()
    yield { field, value: 0, bytes: message.subarray(at, at + length) }
    at += length
  }
}

function notAFile(): CairnClientError {
  return new CairnClientError('The content is no file of UnixFS.', {
    code: 'invalid_content',
    hint: 'Read it with a tool of IPFS, such as `ipfs ls`.',
  })
}
