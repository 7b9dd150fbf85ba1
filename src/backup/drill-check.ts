/** What a drill says of one thing, and how it asks a store that may be gone. */
import { isCairnError, throwIfAborted } from '../errors.ts'

export interface DrillCheck {
  readonly name: string
  readonly ok: boolean
  readonly message: string
}

/** The live store may go while a drill runs, or have forgotten, which is no fault of the backup. */
export async function ifItAnswers<T>(
  ask: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T | undefined> {
  try {
    return await ask()
  } catch (error) {
    throwIfAborted(signal)
    if (isCairnError(error) && error.code !== 'internal') return undefined
    throw error
  }
}
