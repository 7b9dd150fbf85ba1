/** Names of files. What is true stands in a file; its name is for people. Pure. */
import type { FileHeader } from './format.ts'

const MAX_NAME_BYTES = 120

/** `cache_NAME_TIMESTAMP`, `default_store_TIMESTAMP`, `expiring_store_TIMESTAMP`; the `nth` of that name has a number. */
export function fileName({ type, cacheName, timestamp }: FileHeader, nth: number): string {
  const stem = cacheName === null ? type : `cache_${safe(cacheName)}`
  return `${stem}_${timestamp}${nth === 1 ? '' : `-${nth}`}.json`
}

function safe(name: string): string {
  const plain = name.normalize('NFC').replaceAll(/[^\p{L}\p{M}\p{N}._-]/gu, '_')
  let short = ''
  for (const char of plain) {
    if (Buffer.byteLength(short + char) > MAX_NAME_BYTES) break
    short += char
  }
  return short
}
