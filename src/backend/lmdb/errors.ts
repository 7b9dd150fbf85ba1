/** What lmdb and the file system throw, as errors of Cairn. */
import { CairnError } from '../../errors.ts'
import type { ErrorCode } from '../../errors.ts'
import { systemCodeOf } from '../../util/system-error.ts'
import { freeBytes } from './preflight.ts'

interface Meaning {
  readonly code: ErrorCode
  readonly says: string
  readonly hint: string
}

const NO_SPACE: Meaning = {
  code: 'no_space',
  says: 'There is no space left for the store',
  hint: 'Free some space on its disk and try again; nothing that was acknowledged is lost.',
}
const READ_ONLY: Meaning = {
  code: 'access_denied',
  says: 'The store lies on a file system that is mounted for reading alone',
  hint: 'Also to read, it must be mounted for writing; or copy the folder elsewhere, and name the copy.',
}
const NO_FOLDER: Meaning = {
  code: 'usage',
  says: 'The place of the store is no folder',
  hint: 'Name a folder, or a place where one can be made.',
}
const DENIED: Meaning = {
  code: 'access_denied',
  says: 'The store may not be written or read by this user',
  hint: 'Check the owner and the mode of the folder, and that its disk is mounted for writing.',
}
const FOREIGN: Meaning = {
  code: 'format_unsupported',
  says: 'The file data.mdb is not a store that this version can read',
  hint: 'Check that the folder is the right one.',
}
const DAMAGED: Meaning = {
  code: 'invalid_block',
  says: "The store's file is damaged",
  hint: 'Check the disk, then restore the store from a backup.',
}
const TOO_MANY_FILES: Meaning = {
  code: 'backend_unavailable',
  says: 'Too many files are open for the store',
  hint: 'Raise the limit of open files (`ulimit -n`, `LimitNOFILE` of a service), then try again.',
}
const BROKEN: Meaning = {
  code: 'backend_unavailable',
  says: 'The store cannot be used',
  hint: 'Check the disk and the system log, then open the store again.',
}

/** By error name, or by the number of an lmdb or system error (lmdb-js knows no names). */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOSPC: NO_SPACE,
  EDQUOT: NO_SPACE,
  EACCES: DENIED,
  EPERM: DENIED,
  EROFS: READ_ONLY,
  EEXIST: NO_FOLDER,
  ENOTDIR: NO_FOLDER,
  EMFILE: TOO_MANY_FILES,
  ENFILE: TOO_MANY_FILES,
  28: NO_SPACE,
  122: NO_SPACE,
  1: DENIED,
  13: DENIED,
  30: READ_ONLY,
  23: TOO_MANY_FILES,
  24: TOO_MANY_FILES,
  [-30792]: NO_SPACE, // MDB_MAP_FULL
  [-30793]: FOREIGN, // MDB_INVALID
  [-30794]: FOREIGN, // MDB_VERSION_MISMATCH
  [-30796]: DAMAGED, // MDB_CORRUPTED
  [-30797]: DAMAGED, // MDB_PAGE_NOTFOUND
}

/** EIO. lmdb says so as well when the disk took only a part of a write, because it was full. */
const SHORT_WRITE = '5'
/** More than any transaction of ours writes at once. */
const ROOM_FOR_A_WRITE = 64 * 2 ** 20

export function storeError(error: unknown, dir: string): CairnError {
  if (error instanceof CairnError) return error
  return meant(MEANINGS[systemCodeOf(error)] ?? BROKEN, error, dir)
}

function meant({ code, says, hint }: Meaning, error: unknown, dir: string): CairnError {
  const why = error instanceof Error ? error.message : String(error)
  return new CairnError(code, `${says}: ${why} (${dir}).`, { hint, path: dir, cause: error })
}

/**
 * Why a write transaction failed. lmdb-js rejects it with a stand-in, whose `commitError` is a promise of
 * the true reason; left alone, that rejection would end the process. `unclear` is the code for when it
 * is not certain that nothing was written.
 */
export async function failedWrite(
  error: unknown,
  dir: string,
  unclear: ErrorCode,
): Promise<CairnError> {
  if (!(error instanceof Error && 'commitError' in error)) return storeError(error, dir)
  const reason: unknown = await Promise.resolve(error.commitError).then(
    () => error,
    (cause: unknown) => cause,
  )
  const meaning = MEANINGS[systemCodeOf(reason)]
  if (meaning !== undefined) return meant(meaning, reason, dir)
  const free =
    systemCodeOf(reason) === SHORT_WRITE ? await freeBytes(dir).catch(() => Infinity) : Infinity
  return meant(free < ROOM_FOR_A_WRITE ? NO_SPACE : { ...BROKEN, code: unclear }, reason, dir)
}
