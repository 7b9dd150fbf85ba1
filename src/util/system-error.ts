/** What the system called an error: `ENOENT`, `EACCES`, ... */

/** `''` for an error that has no code. */
export function systemCodeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** What went meanwhile, or never was; for `catch` of a promise. Throws what is anything else. */
export function ifAbsent(error: unknown): undefined {
  if (systemCodeOf(error) !== 'ENOENT') throw error
}
