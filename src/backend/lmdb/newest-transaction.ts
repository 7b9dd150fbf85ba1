/**
 * Seeing to it that each write transaction begins behind the newest one.
 *
 * liblmdb, as it comes with lmdb-js 3.5.6, has a fault (ITS#9496 of OpenLDAP): who opens a store reads from its
 * file which transaction is the newest, and a moment later writes that number into the lock file, for all. Where
 * another process has committed in that moment, the number is set back: the next writer would begin from the
 * state before, and overwrite what was acknowledged.
 *
 * So each write transaction compares, under the writer's lock, what it begins behind with what the file says. If
 * the number was set back, nothing is written, the number is put right, and the transaction is made again. Who
 * opens a store makes an empty one at once, since it may be the one that did it. Until then, for less than a
 * millisecond, others may read the state before; who has seen a newer one finds out (`newest` of index.ts).
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Tables } from './tables.ts'

/** For each of them another process must have opened the store at an unlucky moment. */
export const MOST_TRIES = 100
/** Where the lock file has the number, of eight bytes in the order of the machine. */
const AT = 8

export class NewestTransaction {
  readonly #dir: string
  /** Closing the lock file takes away all locks that this process has on it, those of lmdb too. */
  #lockFile: number | undefined

  constructor(dir: string) {
    this.#dir = dir
  }

  /** Inside a write transaction, before anything is put: false says that nothing may be, and that the next one may. */
  precedes(env: Tables['env']): boolean {
    const newest = newestIn(env)
    if (env.getWriteTxnId() === newest + 1) return true
    this.#lockFile ??= openSync(join(this.#dir, 'lock.mdb'), 'r+')
    writeSync(this.#lockFile, new BigUint64Array([BigInt(newest)]), 0, 8, AT)
    return false
  }

  /** As soon as lmdb has opened its files, which takes the writer's lock as well. */
  putRight(env: Tables['env']): void {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      if (env.transactionSync(() => this.precedes(env))) return
    }
  }

  /** When lmdb has closed its files. */
  close(): void {
    if (this.#lockFile !== undefined) closeSync(this.#lockFile)
    this.#lockFile = undefined
  }
}

/** What the file says. lmdb-js tells it in `getStats` as well, which counts all free pages first. */
function newestIn(env: Tables['env']): number {
  const { env: native } = env as unknown as { readonly env: { info(): { lastTxnId: number } } }
  return native.info().lastTxnId
}
