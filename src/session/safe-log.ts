/** A log that a program gave, for calls in the midst of work: that it throws fails nothing, and nobody is left to be told. */
import type { Logger } from '../engine/logger.ts'

export function safeLog(log: Logger): Logger {
  const safely =
    (level: keyof Logger): Logger['info'] =>
    (event, fields) => {
      try {
        log[level](event, fields)
      } catch {}
    }
  return { info: safely('info'), error: safely('error'), debug: safely('debug') }
}
