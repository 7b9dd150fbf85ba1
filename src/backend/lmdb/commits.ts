/** Commits: one immutable record a number, and per dataset a head with the newest and oldest number. */
import { CairnError } from '../../errors.ts'
import { bytesEqual } from '../../model/cid.ts'
import type { CommitOutcome, CommitRequest, StoredCommit } from '../../store/backend.ts'
import { storeChanged } from '../refused.ts'
import { putBlocks, safeValue } from './blocks.ts'
import type { NewBlock } from './blocks.ts'
import { checkStaging, leaseIdOf } from './leases.ts'
import { commitKey, numberBytes, readNumber } from './keys.ts'
import { countSweeps } from './sweep-mark.ts'
import { readCopy } from './tables.ts'
import type { Tables } from './tables.ts'

/** So many commits are forgotten in one transaction: it takes a few milliseconds. */
const FORGET_AT_ONCE = 1000

interface Head {
  readonly newest: number
  readonly oldest: number
}

/**
 * What was acknowledged by any process before this call is seen by it. lmdb-js keeps looking at one
 * moment of the store until a timer of the event loop fires, which a chain of microtasks or a busy
 * loop can put off for long; `resetReadTxn` ends that (0.6 us). An acknowledged commit is visible to
 * a read that begins afterwards, since its writer publishes the transaction before it answers.
 */
export function newestCommit(
  tables: Tables,
  dataset: string,
  than: number,
): StoredCommit | undefined {
  tables.heads.resetReadTxn()
  const head = tables.heads.getBinaryFast(dataset)
  const number = head === undefined ? -1 : readNumber(head, 0)
  if (number === than) return undefined
  if (number < than) throw storeChanged(dataset, than, number)
  const bytes = readCopy(tables.commits, commitKey(dataset, number))
  if (bytes === undefined) {
    throw new CairnError('pointer_damaged', `Commit ${number} of ${dataset} is missing.`, {
      hint: 'Restore the store from a backup.',
      dataset,
      number,
    })
  }
  return { number, bytes }
}

/** A commit never changes, so only one that is missing is asked for again as of now. */
export function commitBytes(
  tables: Tables,
  dataset: string,
  number: number,
): Uint8Array | undefined {
  if (!Number.isSafeInteger(number) || number < 0) return undefined
  const key = commitKey(dataset, number)
  const bytes = readCopy(tables.commits, key)
  if (bytes !== undefined) return bytes
  tables.commits.resetReadTxn()
  return readCopy(tables.commits, key)
}

export function oldestNumber(tables: Tables, dataset: string): number | undefined {
  tables.heads.resetReadTxn()
  return readHead(tables, dataset)?.oldest
}

export function datasetNames(tables: Tables): string[] {
  tables.heads.resetReadTxn()
  return Array.from(tables.heads.getKeys()).sort()
}

/**
 * Inside a write transaction. It decides first and writes after, because a throw does not undo what
 * was put; and it writes the head last.
 */
export function putCommit(
  tables: Tables,
  { dataset, number, bytes, staging, sweeps }: CommitRequest,
  blocks: readonly NewBlock[],
): CommitOutcome {
  const head = readHead(tables, dataset)
  const next = head === undefined ? 0 : head.newest + 1
  if (head !== undefined && number < head.oldest) return 'forgotten'
  if (number !== next) {
    const stored = number < next ? readCopy(tables.commits, commitKey(dataset, number)) : undefined
    return stored !== undefined && bytesEqual(stored, bytes) ? 'committed' : 'conflict'
  }
  checkStaging(tables, staging && leaseIdOf(staging))
  if (sweeps !== undefined && sweeps !== countSweeps(tables.meta)) return 'swept'
  putBlocks(tables, blocks)
  void tables.commits.put(commitKey(dataset, number), safeValue(bytes))
  void tables.heads.put(dataset, headBytes({ newest: number, oldest: head?.oldest ?? number }))
  return 'committed'
}

/**
 * Inside a write transaction: forgets some of the commits below `below`, and answers whether there are
 * more. The head moves with them, so at any time the numbers that it names are there.
 */
export function forgetSome(tables: Tables, dataset: string, below: number): boolean {
  const head = readHead(tables, dataset)
  if (head === undefined) return false
  const end = Math.min(below, head.newest - 1)
  const oldest = Math.min(end, head.oldest + FORGET_AT_ONCE)
  if (!(oldest > head.oldest)) return false
  for (let number = head.oldest; number < oldest; number++) {
    void tables.commits.remove(commitKey(dataset, number))
  }
  void tables.heads.put(dataset, headBytes({ newest: head.newest, oldest }))
  return oldest < end
}

function readHead(tables: Tables, dataset: string): Head | undefined {
  const head = tables.heads.getBinaryFast(dataset)
  return head && { newest: readNumber(head, 0), oldest: readNumber(head, 8) }
}

const headBytes = ({ newest, oldest }: Head): Buffer =>
  Buffer.concat([numberBytes(newest), numberBytes(oldest)])
