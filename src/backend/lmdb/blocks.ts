/**
 * Blocks: reading them, and writing them inside a write transaction.
 *
 * Blocks never change, so an answer from an older moment is as good as one from now; only "missing"
 * must be asked again of the present. lmdb-js renews what a process sees once a turn of the event
 * loop at best, and a process may have learned of a block within the turn.
 */
import { throwIfAborted } from '../../errors.ts'
import type { Block, CidBytes } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import { numberBytes, placeOf, readNumber } from './keys.ts'
import { readCopy } from './tables.ts'
import type { Table, Tables } from './tables.ts'

/** After so many bytes (or as many look-ups as take the same time) others get their turn. */
const TURN_BYTES = 8 * 2 ** 20
const LOOKUP_WEIGHT = 1000
const NEXT_KEY = Buffer.from('blocks')

export async function getBlocks(
  tables: Tables,
  cids: readonly CidBytes[],
  options: CallOptions | undefined,
): Promise<(Uint8Array | undefined)[]> {
  return await eachInTurns(cids, options, (cid) => {
    const place = placeOf(cid)
    if ('inline' in place) return new Uint8Array(place.inline)
    return refreshed(tables.blocks, () => {
      const key = blockKey(tables.digests, place.digest)
      return key && readCopy(tables.blocks, key)
    })
  })
}

export async function hasBlocks(
  tables: Tables,
  cids: readonly CidBytes[],
  options: CallOptions | undefined,
): Promise<boolean[]> {
  return await eachInTurns(cids, options, (cid) => {
    const place = placeOf(cid)
    if ('inline' in place) return true
    return refreshed(tables.digests, () => tables.digests.getBinaryFast(place.digest)) !== undefined
  })
}

/** A block as it is written: its digest and bytes. Made outside of a transaction, since it may throw. */
export interface NewBlock {
  readonly digest: Uint8Array
  readonly bytes: Uint8Array
}

/** What of `blocks` needs a place in the store. */
export function newBlocks(blocks: readonly Block[]): NewBlock[] {
  const fresh: NewBlock[] = []
  for (const { cid, bytes } of blocks) {
    const place = placeOf(cid)
    if ('digest' in place) fresh.push({ digest: safeValue(place.digest), bytes: safeValue(bytes) })
  }
  return fresh
}

/** Memory that is shared between threads crashes lmdb-js. */
export function safeValue(bytes: Uint8Array): Uint8Array {
  return bytes.buffer instanceof SharedArrayBuffer ? new Uint8Array(bytes) : bytes
}

/**
 * Inside a write transaction: stores what is not there yet. Nothing in it can throw but lmdb itself, and
 * then the transaction fails as a whole.
 */
export function putBlocks(tables: Tables, blocks: readonly NewBlock[]): void {
  let number = nextNumber(tables.meta)
  let counted = false
  for (const { digest, bytes } of blocks) {
    const key = numberBytes(number)
    if (!putIfAbsent(tables.digests, digest, key)) continue
    // Numbers are never given twice; that some are never given harms nobody.
    if (!counted) void tables.meta.put(NEXT_KEY, numberBytes(number + blocks.length))
    counted = true
    void tables.blocks.put(key, bytes)
    number++
  }
}

/** Inside a write transaction `putSync` tells whether it put, though its type does not say so. */
function putIfAbsent(table: Table, key: Uint8Array, value: Uint8Array): boolean {
  const done: unknown = table.putSync(key, value, { noOverwrite: true })
  return done === true
}

/** The number that the next block gets. */
export function nextNumber(meta: Table): number {
  const next = meta.getBinaryFast(NEXT_KEY)
  return next === undefined ? 0 : readNumber(next, 0)
}

function blockKey(digests: Table, digest: Uint8Array): Buffer | undefined {
  const number = digests.getBinaryFast(digest)
  return number && numberBytes(readNumber(number, 0))
}

function refreshed<T>(table: Table, read: () => T | undefined): T | undefined {
  const found = read()
  if (found !== undefined) return found
  table.resetReadTxn()
  return read()
}

async function eachInTurns<T>(
  cids: readonly CidBytes[],
  options: CallOptions | undefined,
  read: (cid: CidBytes) => T,
): Promise<T[]> {
  const found: T[] = []
  let weight = 0
  for (const cid of cids) {
    if (weight > TURN_BYTES) {
      await new Promise((resolve) => setImmediate(resolve))
      throwIfAborted(options?.signal)
      weight = 0
    }
    const value = read(cid)
    found.push(value)
    weight += LOOKUP_WEIGHT + (value instanceof Uint8Array ? value.length : 0)
  }
  return found
}
