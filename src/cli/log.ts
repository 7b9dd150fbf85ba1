/** The engine's Logger on pino: JSON lines on stderr. Pino is loaded when there is something to say. */
import { createRequire } from 'node:module'
import type { Logger as Pino, LoggerOptions } from 'pino'
import type { LogLevel } from '../config/schema.ts'
import type { Logger } from '../engine/logger.ts'
import type { Output } from './output.ts'

type PinoFactory = (options: LoggerOptions, to: { write: (line: string) => void }) => Pino

const RANK: Readonly<Record<LogLevel, number>> = { silent: 0, error: 1, info: 2, debug: 3 }

export function createLog(level: LogLevel, output: Output): Logger {
  let loaded: Pino | undefined
  const pino = (): Pino => {
    const factory = createRequire(import.meta.url)('pino') as PinoFactory
    // `error` masks secrets and takes a progress bar out of the way.
    const to = { write: (line: string): void => output.error(line.trimEnd()) }
    const format = { level: (label: string) => ({ level: label }) }
    return factory(
      {
        level,
        base: null,
        timestamp: () => `,"time":"${new Date().toISOString()}"`,
        formatters: format,
      },
      to,
    )
  }
  const emit =
    (as: 'error' | 'info' | 'debug') =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      if (RANK[as] > RANK[level]) return
      loaded ??= pino()
      loaded[as](fields, event)
    }
  return { error: emit('error'), info: emit('info'), debug: emit('debug') }
}
