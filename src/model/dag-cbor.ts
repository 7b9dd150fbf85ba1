/**
 * DAG-CBOR as a value. The library lets a text lose the U+FEFF that it begins with, so what was read would be
 * another value than what was written: bytes that may hold one are read with a tokenizer that puts it back.
 */
import * as dagCbor from '@ipld/dag-cbor'
import { Tokenizer, Type, decode, type Token } from 'cborg'

const MARK = '\ufeff'

const isMarkAt = (bytes: Uint8Array, at: number): boolean =>
  bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf

function hasMark(bytes: Uint8Array): boolean {
  for (let at = bytes.indexOf(0xef); at >= 0; at = bytes.indexOf(0xef, at + 1))
    if (isMarkAt(bytes, at)) return true
  return false
}

class WholeTexts extends Tokenizer {
  override next(): Token {
    const token = super.next()
    const text = Type.equals(token.type, Type.string) ? token.byteValue : undefined
    if (text !== undefined && isMarkAt(text, 0)) token.value = `${MARK}${String(token.value)}`
    return token
  }
}

/** Throws what the library throws: the value is unchecked, and the bytes may be anything. */
export function dagCborValue(bytes: Uint8Array): unknown {
  if (!hasMark(bytes)) return dagCbor.decode(bytes)
  const options = { ...dagCbor.decodeOptions, retainStringBytes: true }
  // Of a Buffer byte strings would be Buffers.
  const data = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  return decode(data, { ...options, tokenizer: new WholeTexts(data, options) })
}
