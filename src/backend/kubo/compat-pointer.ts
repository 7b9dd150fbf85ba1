/**
 * The JSON text of a pointer in the old shape (model/arke-pointer.ts), indented.
 *
 * Behind the old fields stand `written_by`, `dataset`, and a check over all before it, by which Cairn
 * knows its own: an old program that changes a pointer leaves fields in it that it does not know.
 */
import { createHash } from 'node:crypto'
import { arkePointer, type ArkeShape } from '../../model/arke-pointer.ts'
import { decodeCommit, type Commit } from '../../model/commit.ts'

const WRITTEN_BY = 'cairn'
const CHECK_DIGITS = 16

export function encodeCompatPointer(shape: ArkeShape, commit: Commit): Uint8Array {
  const marked = { ...arkePointer(shape, commit), written_by: WRITTEN_BY, dataset: commit.dataset }
  return Buffer.from(`${JSON.stringify({ ...marked, check: checkOf(marked) }, null, 2)}\n`)
}

/** Whose a pointer is: the name of a dataset, if Cairn wrote it, and nobody changed it since. */
export function datasetOfPointer(bytes: Uint8Array): string | undefined {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || !('dataset' in value)) return undefined
  const { dataset } = value
  if (typeof dataset !== 'string') return undefined
  const isOurs = 'written_by' in value ? hasMark(value) : isCommit(bytes)
  return isOurs ? dataset : undefined
}

function hasMark(value: object & { readonly written_by: unknown }): boolean {
  const { check, ...marked } = value as { check?: unknown; written_by: unknown }
  return value.written_by === WRITTEN_BY && check === checkOf(marked)
}

/** The pointer in Cairn's own words, as `index_pointer_path` puts it where it is told to. */
function isCommit(bytes: Uint8Array): boolean {
  try {
    decodeCommit(bytes)
    return true
  } catch {
    return false
  }
}

function checkOf(marked: object): string {
  return createHash('sha256').update(JSON.stringify(marked)).digest('hex').slice(0, CHECK_DIGITS)
}
