/** Where the engine says what it does; never results, never secrets. */
export interface Logger {
  info(event: string, fields?: Readonly<Record<string, unknown>>): void
  error(event: string, fields?: Readonly<Record<string, unknown>>): void
  debug(event: string, fields?: Readonly<Record<string, unknown>>): void
}

export const SILENT: Logger = { info: () => {}, error: () => {}, debug: () => {} }
