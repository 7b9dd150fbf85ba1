/**
 * Cursor: a place in the order of ids, as an opaque text. It names the dataset and the direction, not
 * a state: appends and builds do not disturb it.
 */
import { createHash } from 'node:crypto'
import { CairnError } from '../errors.ts'
import { MAX_ID_BYTES } from './entity-id.ts'

export interface Cursor {
  /** The dataset's identity. */
  readonly dataset: string
  readonly descending: boolean
  /** The key of the last entity that was given out. */
  readonly after: string
}

const FORMAT = 1
const CHECK_BYTES = 4
const DATASET_BYTES = 8
const HEAD_BYTES = 2 + DATASET_BYTES

const digest = (bytes: Uint8Array | string, length: number): Buffer =>
  createHash('sha256').update(bytes).digest().subarray(0, length)

export function printCursor(cursor: Cursor): string {
  const body = Buffer.concat([
    Buffer.from([FORMAT, cursor.descending ? 1 : 0]),
    digest(cursor.dataset, DATASET_BYTES),
    Buffer.from(cursor.after, 'latin1'),
  ])
  return Buffer.concat([body, digest(body, CHECK_BYTES)]).toString('base64url')
}

/** Reads a cursor that must be of this dataset and direction. */
export function parseCursor(text: string, dataset: string, descending: boolean): Cursor {
  if (typeof text !== 'string') throw cursorRefused('it is not a text')
  const bytes = Buffer.from(text, 'base64url')
  const body = bytes.subarray(0, -CHECK_BYTES)
  const fits = body.length > HEAD_BYTES && body.length <= HEAD_BYTES + MAX_ID_BYTES
  if (!fits || bytes.toString('base64url') !== text) throw cursorRefused('it is not one')
  if (!digest(body, CHECK_BYTES).equals(bytes.subarray(-CHECK_BYTES)))
    throw cursorRefused('it was changed')
  if (body[0] !== FORMAT) throw cursorRefused('another version of Cairn made it')
  if (!body.subarray(2, HEAD_BYTES).equals(digest(dataset, DATASET_BYTES))) {
    throw cursorRefused('it belongs to another dataset')
  }
  if (body[1] !== (descending ? 1 : 0)) throw cursorRefused('it runs in the other direction')
  return { dataset, descending, after: body.toString('latin1', HEAD_BYTES) }
}

export function cursorRefused(why: string): CairnError {
  return new CairnError('invalid_cursor', `The cursor cannot be used: ${why}.`, {
    hint: 'Begin again without a cursor, or pass `next_cursor` as it was given.',
  })
}
