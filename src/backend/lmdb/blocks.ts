/**
 * Blocks: reading them, and writing them inside a write transaction.
 *
 * Blocks never change, so an answer from an older moment is as good as one from now; only "missing"
 * must be asked again of the present. lmdb-js renews what a process sees once a turn of the event
 * loop at best, and a process may have learned of a block within the turn.
 */
import { throwIfAborted } from '../../errors.ts'
import type { Block, CidBytes } from '../../model/cid.ts'
import type { ReadOptions } from '../../store/backend.ts'
import type { Environment } from './environment.ts'
import { numberBytes, placeOf, readNumber } from './keys.ts'
import { isExposed, sweepUnderWay, touch } from './sweep-mark.ts'
import { readCopy } from './tables.ts'
import type { Table, Tables } from './tables.ts'

/** So many blocks are touched in one transaction. */
const TOUCH_AT_ONCE = 1000
const NEXT_KEY = Buffer.from('blocks')

export async function getBlocks(
  environment: Environment,
  cids: readonly CidBytes[],
  options: ReadOptions | undefined,
): Promise<(Uint8Array | undefined)[]> {
  if (options?.rely === true) await touchAll(environment, cids, options)
  return await eachInTurns(environment, cids, options, (tables, cid) => {
    const place = placeOf(cid)
    if ('inline' in place) return new Uint8Array(place.inline)
    return refreshed(tables.blocks, () => {
      const key = blockKey(tables.digests, place.digest)
      return key && readCopy(tables.blocks, key)
    })
  })
}

export async function hasBlocks(
  environment: Environment,
  cids: readonly CidBytes[],
  options: ReadOptions | undefined,
): Promise<boolean[]> {
  if (options?.rely === true) await touchAll(environment, cids, options)
  return await eachInTurns(environment, cids, options, (tables, cid) => {
    const place = placeOf(cid)
    if ('inline' in place) return true
    return numberOf(tables, place.digest) !== undefined
  })
}

/**
 * Sees to it that a sweep under way leaves those of `cids` that are there; after it they are read as
 * always. What it sees of the store is newer than anything its caller has learned, and so:
 *
 * - A sweep that had begun when the caller asked for the number of sweeps, or before the caller's
 *   staging, is seen here, and what it may free is touched.
 * - A sweep that begins later waits for the staging, or makes the commit `swept`, whichever its caller
 *   goes by. So when none is under way at first there is nothing to do, however long the reading takes.
 */
async function touchAll(
  environment: Environment,
  cids: readonly CidBytes[],
  options: ReadOptions,
): Promise<void> {
  await environment.stagingsKnown()
  for (let at = 0; at < cids.length; at += TOUCH_AT_ONCE) {
    throwIfAborted(options.signal)
    const digests = digestsOf(cids.slice(at, at + TOUCH_AT_ONCE))
    const exposed = await environment.read((tables) => exposedOf(tables, digests))
    if (exposed === undefined) return
    if (exposed.length > 0) {
      await environment.write('backend_unavailable', (writing) => touchSome(writing, exposed))
    }
  }
}

/** What a sweep could take as of now; `undefined` when there is none. */
function exposedOf(tables: Tables, digests: readonly Uint8Array[]): Uint8Array[] | undefined {
  tables.meta.resetReadTxn()
  const underWay = sweepUnderWay(tables.meta)
  return underWay && digests.filter((digest) => isExposed(tables, digest, underWay.cut))
}

/** Inside a write transaction. Another sweep may have begun, or one block be gone, since they were found. */
function touchSome(tables: Tables, digests: readonly Uint8Array[]): void {
  const underWay = sweepUnderWay(tables.meta)
  if (underWay === undefined) return
  for (const digest of digests) touch(tables, digest, underWay.cut)
}

function digestsOf(cids: readonly CidBytes[]): Uint8Array[] {
  return cids.flatMap((cid) => {
    const place = placeOf(cid)
    return 'digest' in place ? [place.digest] : []
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
    if ('digest' in place) fresh.push({ digest: place.digest, bytes: safeValue(bytes) })
  }
  return fresh
}

/** Memory that is shared between threads crashes lmdb-js. */
export function safeValue(bytes: Uint8Array): Uint8Array {
  return bytes.buffer instanceof SharedArrayBuffer ? new Uint8Array(bytes) : bytes
}

/**
 * Inside a write transaction: stores what is not there yet, and touches what is. Nothing in it can throw but lmdb itself, and
 * then the transaction fails as a whole.
 */
export function putBlocks(tables: Tables, blocks: readonly NewBlock[]): void {
  let number = nextNumber(tables.meta)
  const cut = sweepUnderWay(tables.meta)?.cut
  let counted = false
  for (const { digest, bytes } of blocks) {
    const key = numberBytes(number)
    if (!putIfAbsent(tables.digests, digest, key)) {
      if (cut !== undefined) touch(tables, digest, cut)
      continue
    }
    // Numbers are never given twice; that some are never given harms nobody.
    if (!counted) void tables.meta.put(NEXT_KEY, numberBytes(number + blocks.length))
    counted = true
    void tables.blocks.put(key, bytes)
    number++
  }
}

/** Inside a write transaction: stores blocks, over what is there under their digests. */
export function healBlocks(tables: Tables, blocks: readonly NewBlock[]): void {
  for (const { digest, bytes } of blocks) {
    const key = blockKey(tables.digests, digest)
    if (key !== undefined) void tables.blocks.put(key, bytes)
  }
  putBlocks(tables, blocks)
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

/** The number of a block, as of now. */
export function numberOf({ digests }: Tables, digest: Uint8Array): number | undefined {
  const shared = refreshed(digests, () => digests.getBinaryFast(digest))
  return shared && readNumber(shared, 0)
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

/** Asks for each, and lets others work in between. */
export async function eachInTurns<T, I = CidBytes>(
  environment: Environment,
  items: readonly I[],
  options: ReadOptions | undefined,
  read: (tables: Tables, item: I) => T,
): Promise<T[]> {
  const found: T[] = []
  while (found.length < items.length) {
    await environment.turn.next()
    throwIfAborted(options?.signal)
    await environment.read((tables) => {
      for (const item of items.slice(found.length)) {
        const value = read(tables, item)
        found.push(value)
        environment.turn.count(value instanceof Uint8Array ? value.length : 0)
        if (environment.turn.isOver) break
      }
    })
  }
  return found
}
