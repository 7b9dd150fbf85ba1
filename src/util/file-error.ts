/** What the system said of a file, as one of our errors. */
import { CairnError } from '../errors.ts'

/** What is done with the files at `path`; what the system says of it is told as of those. */
export async function withFiles<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof Error && 'syscall' in error ? fileError(error, path, 'written') : error
  }
}

export function fileError(cause: unknown, path: string, doing: 'read' | 'written'): CairnError {
  if (cause instanceof CairnError) return cause
  const name = path === '-' ? 'Standard input' : `The file ${path}`
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const message = (why: string): string => `${name} cannot be ${doing}: ${why}.`
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const why = doing === 'read' ? 'there is none' : 'there is no such folder'
    return new CairnError('usage', message(why), {
      hint: 'Check the path.',
      path,
      cause,
    })
  }
  if (code === 'EISDIR') {
    return new CairnError('usage', message('it is a folder'), { hint: 'Name a file.', path, cause })
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    const hint = 'Check who may use it, or run as its owner.'
    return new CairnError('access_denied', message('this user may not'), { hint, path, cause })
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const hint = 'Free some space on its disk and try again.'
    return new CairnError('no_space', message('the disk is full'), { hint, path, cause })
  }
  if (code === 'EMFILE' || code === 'ENFILE') {
    const hint = 'Raise the limit of open files (`ulimit -n`), then try again.'
    return new CairnError('config', message('too many files are open'), { hint, path, cause })
  }
  const why = cause instanceof Error ? cause.message : String(cause)
  return new CairnError('internal', message(why), {
    hint: 'Check the path and its disk.',
    path,
    cause,
  })
}
