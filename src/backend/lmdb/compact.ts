/**
 * Compacting: lmdb's file never shrinks, so it is copied, and the copy takes its place. It is copied entry
 * by entry, in the order of the keys, which fills the pages: a page of which half was freed is never
 * filled again, since new blocks get higher numbers, and lmdb's own copy would keep it. Nobody may have the old file open at that moment: other processes are kept out by a claim
 * (namespace.ts), and this one closes it.
 *
 * The copy is whole, compared and synced before its one rename. So a death at any line leaves the old
 * file or the new one; what is left of an unfinished copy is deleted by the next.
 */
import { chmod, chown, mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CairnError, throwIfAborted } from '../../errors.ts'
import type { CallOptions, CompactedSizes } from '../../store/backend.ts'
import { syncPath } from '../../util/durable-file.ts'
import { openEnvironment } from './environment.ts'
import type { Environment } from './environment.ts'
import { storeError } from './errors.ts'
import { freeBytes } from './preflight.ts'
import { LEAST, usedBytes } from './room.ts'
import { statsOf } from './tables.ts'
import type { Table, Tables, TableStats } from './tables.ts'

const FOLDER = 'compacting'
/** For what the pages of the tables do not count, and what the copy's last transaction leaves free. */
const SPARE_BYTES = 2 ** 20 + LEAST
const BATCH_BYTES = 8 * 2 ** 20
const ENTRY_WEIGHT = 100
const WRITE_TIMEOUT_MS = 120_000

export async function compact(
  environment: Environment,
  options: CallOptions,
): Promise<CompactedSizes> {
  const { dir, registration } = environment
  if (registration === undefined) throw cannotTell(dir)
  const claim = await registration.claim()
  try {
    return await environment.alone(async () => await replaceByCopy(environment, options))
  } catch (error) {
    throw storeError(error, dir)
  } finally {
    await claim.release()
  }
}

async function replaceByCopy(
  environment: Environment,
  { signal }: CallOptions,
): Promise<CompactedSizes> {
  const file = join(environment.dir, 'data.mdb')
  const folder = join(environment.dir, FOLDER)
  const copy = join(folder, 'data.mdb')
  const before = (await stat(file)).size
  await rm(folder, { recursive: true, force: true })
  await checkSpace(environment)
  try {
    await mkdir(folder, { mode: 0o700 })
    await copyInto(folder, environment, signal)
    await takeOwner(file, copy)
    await syncPath(copy)
    throwIfAborted(signal)
    await environment.reopen(async () => {
      await rename(copy, file)
      await syncPath(environment.dir)
    })
    return { before, after: (await stat(file)).size }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function checkSpace(environment: Environment): Promise<void> {
  const { dir } = environment
  const needed = SPARE_BYTES + (await environment.read(usedBytes))
  const free = await freeBytes(dir)
  if (free >= needed) return
  throw new CairnError('no_space', `A compact copy of the store needs ${needed} bytes in ${dir}.`, {
    hint: 'Free some space on its disk and try again.',
    path: dir,
    needed,
    free,
  })
}

function statsOfAll(tables: Tables): TableStats[] {
  return Object.values(tables).map(statsOf)
}

function countEntries(tables: Tables): number[] {
  tables.env.resetReadTxn()
  return statsOfAll(tables).map(({ entryCount }) => entryCount)
}

/** Nobody writes meanwhile, so the batches are of one state of the store. */
async function copyInto(
  folder: string,
  source: Environment,
  signal: AbortSignal | undefined,
): Promise<void> {
  const copy = await openEnvironment({
    dir: folder,
    create: true,
    pidNamespace: async () => undefined, // nobody else knows of it
    writeTimeoutMs: WRITE_TIMEOUT_MS,
    now: source.now,
  })
  try {
    for (const name of ['meta', 'blocks', 'digests', 'commits', 'touched'] as const) {
      await copyTable(source, copy, (tables) => tables[name], signal)
    }
    for (const name of ['heads', 'leases'] as const) {
      await copyTable(source, copy, (tables) => tables[name], signal)
    }
    compare(await source.read(countEntries), await copy.read(countEntries), folder)
  } finally {
    await copy.close()
  }
}

async function copyTable<K extends string | Uint8Array>(
  source: Environment,
  copy: Environment,
  tableOf: (tables: Tables) => Table<K>,
  signal: AbortSignal | undefined,
): Promise<void> {
  let last: K | undefined
  for (;;) {
    throwIfAborted(signal)
    const from = last
    const batch = await source.read((tables) => readBatch(tableOf(tables), from))
    last = batch.at(-1)?.key
    if (last === undefined) return
    const put = (tables: Tables): void => {
      const table = tableOf(tables)
      for (const { key, value } of batch) void table.put(key, value)
    }
    const bytes = batch.reduce((sum, { value }) => sum + value.length, 0)
    await copy.write('backend_unavailable', put, { bytes, fromReserve: true })
  }
}

interface Entry<K> {
  readonly key: K
  readonly value: Uint8Array
}

function readBatch<K extends string | Uint8Array>(
  table: Table<K>,
  last: K | undefined,
): Entry<K>[] {
  const range = last === undefined ? {} : { start: last, exclusiveStart: true }
  const batch: Entry<K>[] = []
  let weight = 0
  for (const { key, value } of table.getRange(range)) {
    batch.push({ key, value })
    weight += value.length + ENTRY_WEIGHT
    if (weight > BATCH_BYTES) break
  }
  return batch
}

function compare(expected: readonly number[], actual: readonly number[], folder: string): void {
  if (actual.every((count, i) => count === expected[i])) return
  throw new CairnError('invalid_block', 'The compact copy of the store is not like the store.', {
    hint: 'Nothing was changed. Check the disk.',
    path: folder,
    expected,
    actual,
  })
}

/** Else a store that root has compacted would be closed to its owner. */
async function takeOwner(file: string, copy: string): Promise<void> {
  const [theirs, ours] = [await stat(file), await stat(copy)]
  if (theirs.uid !== ours.uid || theirs.gid !== ours.gid) await chown(copy, theirs.uid, theirs.gid)
  await chmod(copy, theirs.mode & 0o777)
}

function cannotTell(dir: string): CairnError {
  return new CairnError(
    'backend_refused',
    'This system does not tell whether another process has the store open.',
    { hint: 'End all that use it, and copy it with `mdb_copy -c`.', path: dir },
  )
}
