/** The log of a session that was given none: what it says in words, on standard output; failures on standard error. */
import type { Logger } from '../engine/logger.ts'

type Fields = Readonly<Record<string, unknown>>

export const consoleLog: Logger = {
  info: (_, fields) => {
    const text = messageOf(fields)
    if (text !== undefined) process.stdout.write(`${stamp()} ${text}\n`)
  },
  error: (event, fields) => void process.stderr.write(`${stamp()} ${messageOf(fields) ?? event}\n`),
  debug: () => {},
}

const messageOf = (fields: Fields | undefined): string | undefined => {
  const message = fields?.['message']
  return typeof message === 'string' ? message : undefined
}

const stamp = (): string => new Date().toISOString().slice(11, 19)
