/** Of several files the one that is bad is named. */
import { CairnError, isCairnError } from '../errors.ts'

/** Runs `read` on the CAR in `path`; what it says is wrong with it begins with its `name`. */
export async function ofFile<T>(name: string, path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (!isCairnError(error, 'invalid_car')) throw error
    const { code, message, hint, details } = error
    const more = hint === undefined ? {} : { hint }
    throw new CairnError(code, `Of ${name}: ${message}`, { path, ...details, ...more })
  }
}
