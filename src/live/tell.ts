/** Telling listeners, which are the program's: what one throws, or rejects with, stops nothing and nobody else. */
export function tell<T>(
  listeners: Iterable<(told: T) => unknown>,
  told: T,
  onError: (error: unknown) => void,
): void {
  for (const listener of listeners) {
    try {
      const answer = listener(told)
      if (answer instanceof Promise) answer.catch(onError)
    } catch (error) {
      onError(error)
    }
  }
}
