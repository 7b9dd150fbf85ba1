/** Names of files for ids: whatever an id is, one name in a folder, and never that of another id. */
import { createHash } from 'node:crypto'

/** What file systems give a name, less room for an ending and a temporary one. */
const MOST_CHARS = 200
const HASH_CHARS = 32

/**
 * Letters, digits, `-`, `_` and dots inside stand for themselves, every other byte is `%XX`. A name that
 * would be too long is cut, with `~` (which never stands for itself) and a hash of the id behind it.
 */
export function fileNameOf(pi: string, kind: 'value' | 'bytes'): string {
  const escaped = Buffer.from(pi)
    .toString('latin1')
    .replaceAll(/[^A-Za-z0-9._-]/g, escapeByte)
    .replace(/^\./, escapeByte)
    .replace(/\.(?=json$)/i, escapeByte)
  const name = escaped.length <= MOST_CHARS ? escaped : shortened(escaped, pi)
  return kind === 'value' ? `${name}.json` : name
}

function escapeByte(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}

function shortened(escaped: string, pi: string): string {
  const hash = createHash('sha256').update(pi).digest('hex').slice(0, HASH_CHARS)
  return `${escaped.slice(0, MOST_CHARS - HASH_CHARS - 1)}~${hash}`
}
