/** What the system says of temporary files, as errors of Cairn. */
import { CairnError } from '../errors.ts'

/** What was thrown while files were made, written or read in `folder`; the unforeseen as it is. */
export function tempFailure(error: unknown, folder: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new CairnError('no_space', `The folder ${folder} is full.`, {
        hint: 'Free some space there, or name another folder for temporary files.',
        cause: error,
      })
    case 'EMFILE':
    case 'ENFILE':
      return new CairnError('config', `Too many files are open to make more in ${folder}.`, {
        hint: 'Raise the limit of open files (`ulimit -n`, `LimitNOFILE` of a service), then try again.',
        cause: error,
      })
    case 'ENOENT':
    case 'EACCES':
    case 'ENOTDIR':
    case 'EROFS':
      return new CairnError('config', `No files can be made in the folder ${folder}.`, {
        hint: 'Make it, or name another folder for temporary files.',
        cause: error,
      })
    default:
      return error
  }
}
