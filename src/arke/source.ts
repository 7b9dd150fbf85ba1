/**
 * Where old data is read from: a CAR or a live node, both as blocks that are hashed before they are
 * believed, and on a node also the files of its MFS. What is missing or damaged is a value here, since
 * the reader's task is to list it.
 */
import { CairnError, isCairnError, type ErrorCode } from '../errors.ts'
import { decodeContent } from '../content/links.ts'
import { cidParts, printCid, type CidBytes } from '../model/cid.ts'
import type { ReadOptions } from '../store/backend.ts'
import { getProvedBlocks, type BlockReader } from '../store/proved.ts'

/** Files of the old system in MFS; undefined where there is none. */
export interface OldFiles {
  read(path: string): Promise<Uint8Array | undefined>
  list(path: string): Promise<string[] | undefined>
}

export interface OldBlocks extends BlockReader {
  hasBlocks(cids: readonly CidBytes[], options?: ReadOptions): Promise<boolean[]>
}

export interface OldSource {
  readonly blocks: OldBlocks
  /** Of a CAR; a node has none. */
  readonly roots?: readonly CidBytes[] | undefined
  /** Of a node; a CAR has none. */
  readonly files?: OldFiles | undefined
}

/** The old programs wrote whole snapshots into one block; larger ones than this are refused. */
const MAX_OLD_BLOCK_BYTES: number = 8 << 20

export type ReadBlock =
  { readonly bytes: Uint8Array } | { readonly problem: 'missing' | 'damaged' | 'too_large' }

export async function readBlocks(
  { blocks }: OldSource,
  cids: readonly CidBytes[],
  signal?: AbortSignal,
): Promise<ReadBlock[]> {
  try {
    return (await getProvedBlocks(blocks, cids, { signal })).map(asRead)
  } catch (error) {
    if (!isCairnError(error, 'block_mismatch')) throw error
    const [only, ...others] = cids
    if (only !== undefined && others.length === 0) return [{ problem: 'damaged' }]
    const read: ReadBlock[] = []
    for (const cid of cids) read.push(...(await readBlocks({ blocks }, [cid], signal)))
    return read
  }
}

function asRead(bytes: Uint8Array | undefined): ReadBlock {
  if (bytes === undefined) return { problem: 'missing' }
  return bytes.length > MAX_OLD_BLOCK_BYTES ? { problem: 'too_large' } : { bytes }
}

export type OldMap = Readonly<Record<string, unknown>>

export type ReadRecord = { readonly map: OldMap } | { readonly problem: Problem }

/** A record of the old system: a map in DAG-JSON or DAG-CBOR. */
export async function readRecord(
  source: OldSource,
  cid: CidBytes,
  signal?: AbortSignal,
): Promise<ReadRecord> {
  const [read] = await readBlocks(source, [cid], signal)
  if (read === undefined || 'problem' in read) return read ?? { problem: 'missing' }
  return recordOf(cid, read.bytes)
}

export function recordOf(cid: CidBytes, bytes: Uint8Array): ReadRecord {
  try {
    const value = decodeContent(cid, cidParts(cid).codec, bytes)
    return isMap(value) ? { map: value } : { problem: 'unreadable' }
  } catch (error) {
    if (isCairnError(error, 'invalid_content')) return { problem: 'unreadable' }
    throw error
  }
}

export function isMap(value: unknown): value is OldMap {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array)
  )
}

export type Problem = 'missing' | 'damaged' | 'too_large' | 'unreadable'

const PROBLEMS = {
  missing: ['block_missing', 'is not there'],
  damaged: ['block_mismatch', 'is damaged'],
  too_large: ['too_large', `has more than ${MAX_OLD_BLOCK_BYTES} bytes`],
  unreadable: ['invalid_block', 'is no record of the old system'],
} as const satisfies Readonly<Record<Problem, readonly [ErrorCode, string]>>

/** For a block without which nothing can be imported. */
export function problemError(problem: Problem, what: string, cid: CidBytes): CairnError {
  const [code, is] = PROBLEMS[problem]
  return new CairnError(code, `The old ${what} ${printCid(cid)} ${is}.`, {
    hint: 'Take another CAR or the node that has it; `--snapshot` names another snapshot.',
    cid: printCid(cid),
  })
}
