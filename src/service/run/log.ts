/**
 * The log of the service: one line an event, JSON with a stable `event` and a text `msg`, or pretty for
 * people. Every line passes one place, where secrets are masked. An event whose fields have a `message`
 * says that; others say their name.
 */
import { pino } from 'pino'
import type { LogLevel } from '../../config/schema.ts'
import type { Logger } from '../../engine/logger.ts'
import { CairnError } from '../../errors.ts'
import { prettyLine } from './log-pretty.ts'

export interface LogOptions {
  readonly level: LogLevel
  readonly format: 'json' | 'pretty'
  readonly color: boolean
  /** Where lines go: a file, or who takes them. */
  readonly to: { readonly file: string } | { readonly write: (line: string) => void }
  /** Masks secrets; asked for each line, since the settings may change. */
  readonly redact: (line: string) => string
}

export interface ServiceLog extends Logger {
  setLevel(level: LogLevel): void
  /** Opens the file anew, after it was rotated. */
  reopen(): void
  close(): void
}

/** Whatever looks like one is masked, wherever it comes from. */
const TOKENS = /cairn_[a-z2-7]{20,}|(?<=\b(?:Bearer|Basic) )[\w.~+/=-]+/gi

export function openLog({ level, format, color, to, redact }: LogOptions): ServiceLog {
  const sink = 'file' in to ? fileSink(to.file) : { write: to.write }
  const write = (line: string): void => {
    const text = redact(line).replaceAll(TOKENS, '***')
    sink.write(format === 'json' ? text : prettyLine(text, color))
  }
  const lines = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  )
  const emit =
    (as: 'error' | 'info' | 'debug') =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      const { message, ...rest } = fields
      lines[as]({ event, ...rest }, typeof message === 'string' ? message : event)
    }
  return {
    error: emit('error'),
    info: emit('info'),
    debug: emit('debug'),
    setLevel: (next) => {
      lines.level = next
    },
    reopen: () => ('reopen' in sink ? sink.reopen() : undefined),
    close: () => ('end' in sink ? sink.end() : undefined),
  }
}

/** Written line by line, so that a crash loses none. */
function fileSink(file: string): ReturnType<typeof pino.destination> {
  try {
    const sink = pino.destination({
      dest: file,
      append: true,
      mkdir: true,
      sync: true,
      mode: 0o600,
    })
    // A full disk must not end the service: lines are lost, data is not.
    sink.on('error', () => {})
    return sink
  } catch (cause) {
    throw new CairnError('config', `The log file ${file} cannot be written.`, {
      hint: 'Check log_file, and that this user may write there.',
      path: file,
      cause,
    })
  }
}
