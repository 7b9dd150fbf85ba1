/**
 * The tables of a store, the mark that says which format they are in, and the environment under them.
 *
 * | table   | key                         | value                                       |
 * | ------- | --------------------------- | ------------------------------------------- |
 * | meta    | `format`; `blocks`          | FORMAT; the number that the next block gets |
 * |         | `sweeps`; `sweep`           | how many have begun; the one under way: its |
 * |         |                             | cut, and the id of its owner's lease        |
 * | blocks  | a number, in order of write | a block's bytes                             |
 * | digests | sha2-256 of a block         | its number                                  |
 * | commits | dataset, 0, number          | a commit's bytes                            |
 * | heads   | dataset                     | newest and oldest number                    |
 * | leases  | a random id                 | who is at work, as JSON                     |
 * | touched | a block's number            | nothing; what the sweep under way may not   |
 * |         |                             | free though it has no mark                  |
 *
 * Blocks lie under sequential numbers because random keys of 32 bytes make the file three times as
 * large and writing four times as slow; only the small digest table is in random order.
 */
import { open } from 'lmdb'
import type { Database, RootDatabase, RootDatabaseOptionsWithPath } from 'lmdb'
import { CairnError } from '../../errors.ts'
import { numberBytes, readNumber } from './keys.ts'

export const FORMAT = 2
const FORMAT_KEY = Buffer.from('format')
const TABLE_NAMES = ['meta', 'blocks', 'digests', 'commits', 'touched'] as const

export type Table<K extends string | Uint8Array = Uint8Array> = Database<Uint8Array, K>

export interface Tables {
  readonly env: RootDatabase<Uint8Array, string>
  readonly meta: Table
  readonly blocks: Table
  readonly digests: Table
  readonly commits: Table
  readonly heads: Table<string>
  readonly leases: Table<string>
  readonly touched: Table
}

export function openLmdbFiles(dir: string): RootDatabase<Uint8Array, string> {
  const options: RootDatabaseOptionsWithPath & { permissionsMode: number } = {
    path: dir,
    noSubdir: false, // else a dot in the folder's name makes it a file
    encoding: 'binary',
    // With it, another process may answer "already there" for what is not yet on disk.
    overlappingSync: false,
    maxDbs: 16,
    maxReaders: 510,
    permissionsMode: 0o600,
  }
  return open<Uint8Array, string>(options)
}

/** Opens the tables, made and marked when the store is new. Writes nothing into what is not ours. */
export async function openTables(
  env: RootDatabase<Uint8Array, string>,
  dir: string,
  create: boolean,
): Promise<Tables> {
  const names = Array.from(env.getKeys())
  if (names.length > 0 && !names.includes('meta')) throw notCairns(dir)
  if (names.length === 0 && !create) throw storeNotFound(dir)
  const meta = openTable(env, 'meta')
  const mark = meta.getBinary(FORMAT_KEY)
  if (mark === undefined && names.some((name) => name !== 'meta')) throw notCairns(dir)
  if (mark !== undefined) checkFormat(mark, dir)
  // A crash here leaves an empty `meta`, which counts as a new store. The mark comes before any other
  // table, so that whatever else there is belongs to a known format.
  else await env.transaction(() => void meta.put(FORMAT_KEY, numberBytes(FORMAT)))
  return {
    env,
    meta,
    blocks: openTable(env, 'blocks'),
    digests: openTable(env, 'digests'),
    commits: openTable(env, 'commits'),
    heads: env.openDB<Uint8Array, string>({ name: 'heads', encoding: 'binary' }),
    leases: env.openDB<Uint8Array, string>({ name: 'leases', encoding: 'binary' }),
    touched: openTable(env, 'touched'),
  }
}

function openTable(
  env: RootDatabase<Uint8Array, string>,
  name: (typeof TABLE_NAMES)[number],
): Table {
  return env.openDB<Uint8Array, Uint8Array>({ name, encoding: 'binary', keyEncoding: 'binary' })
}

/** Inside a write transaction: a newer Cairn may have taken the store over since it was opened. */
export function checkStillOurs({ meta }: Pick<Tables, 'meta'>, dir: string): void {
  checkFormat(meta.getBinary(FORMAT_KEY) ?? Buffer.alloc(0), dir)
}

function checkFormat(mark: Buffer, dir: string): void {
  const format = mark.length === 8 ? readNumber(mark, 0) : Number.NaN
  if (format === FORMAT) return
  throw new CairnError(
    'format_unsupported',
    `The store in ${dir} has format ${format}; this version of Cairn knows ${FORMAT}.`,
    { hint: 'Use the version of Cairn that wrote it, or a newer one.', path: dir, actual: format },
  )
}

function notCairns(dir: string): CairnError {
  return new CairnError(
    'format_unsupported',
    `The lmdb files in ${dir} are not a store of Cairn.`,
    {
      hint: 'Name another folder.',
      path: dir,
    },
  )
}

export function storeNotFound(dir: string): CairnError {
  return new CairnError('store_not_found', `There is no store in ${dir}.`, {
    hint: 'Check the path, or make a store there: `cairn init` does.',
    path: dir,
  })
}

/**
 * A value's bytes, for the caller to keep. lmdb hands out one shared buffer whose `length` is a
 * fiction (the memory behind it is 16 MB) and which the next read overwrites.
 */
export function readCopy<K extends string | Uint8Array>(
  table: Table<K>,
  key: K,
): Uint8Array | undefined {
  const shared = table.getBinaryFast(key)
  if (shared === undefined) return undefined
  return new Uint8Array(shared.buffer, shared.byteOffset, shared.length).slice()
}

export interface TableStats {
  readonly pageSize: number
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
  /** Of the whole file. */
  readonly lastPageNumber: number
  readonly entryCount: number
}

export function statsOf(table: Pick<Table, 'getStats'>): TableStats {
  return table.getStats() as TableStats
}
