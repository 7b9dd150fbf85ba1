/**
 * Where a command writes: results to stdout, everything else to stderr. Results are collected into
 * larger writes. A reader that has gone (`| head`) is no error: what follows is dropped, and
 * `onClosed` tells.
 */
import { CairnError } from '../errors.ts'

export interface OutputOptions {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly json: boolean
  readonly quiet: boolean
  readonly color: boolean
  readonly onClosed: () => void
}

const FLUSH_CHARS = 64 * 1024
const CLEAR_LINE = '\r\u001B[2K'

export class Output {
  readonly json: boolean
  quiet: boolean
  readonly color: boolean
  /** Masks secrets in all that goes to stderr. */
  redact: (text: string) => string = (text) => text
  readonly #stdout: NodeJS.WriteStream
  readonly #stderr: NodeJS.WriteStream
  readonly #onClosed: () => void
  #pending = ''
  #closed = false
  #transient = false

  constructor({ stdout, stderr, json, quiet, color, onClosed }: OutputOptions) {
    this.json = json
    this.quiet = quiet
    this.color = color
    this.#stdout = stdout
    this.#stderr = stderr
    this.#onClosed = onClosed
    // Each write's own callback tells; without a listener the event would end the process.
    stdout.on('error', () => {})
    stderr.on('error', () => {})
  }

  get stderrIsTerminal(): boolean {
    return this.#stderr.isTTY
  }

  /** Undefined where the results go to no terminal. */
  get stdoutColumns(): number | undefined {
    return this.#stdout.isTTY ? this.#stdout.columns || 80 : undefined
  }

  get stderrColumns(): number {
    return this.#stderr.columns || 80
  }

  /** One line of the result. */
  async line(text: string): Promise<void> {
    this.#pending += `${text}\n`
    if (this.#pending.length >= FLUSH_CHARS) await this.flush()
  }

  /** One JSON document, or one line of a stream of them. */
  document(value: unknown): Promise<void> {
    return this.line(JSON.stringify(value))
  }

  /** A part of a result that is not text. */
  async bytes(part: Uint8Array): Promise<void> {
    await this.flush()
    await this.#write(part)
  }

  /** Text that is no line by itself. */
  async text(part: string): Promise<void> {
    this.#pending += part
    if (this.#pending.length >= FLUSH_CHARS) await this.flush()
  }

  async flush(): Promise<void> {
    const text = this.#pending
    this.#pending = ''
    if (text !== '') await this.#write(text)
  }

  #write(part: string | Uint8Array): Promise<void> {
    if (this.#closed) return Promise.resolve()
    this.transient('')
    return new Promise((resolve, reject) => {
      this.#stdout.write(part, (error) => {
        if (error === null || error === undefined) return resolve()
        this.#closed = true
        if ('code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED')) {
          this.#onClosed()
          return resolve()
        }
        reject(notWritten(error))
      })
    })
  }

  /** For people, on stderr; not with --quiet. */
  note(text: string): void {
    if (!this.quiet) this.error(text)
  }

  /** For people, on stderr, whatever was asked for. */
  error(text: string): void {
    this.transient('')
    this.#stderr.write(`${this.redact(text)}\n`)
  }

  /** A line of a terminal that the next one replaces; an empty text takes it away. */
  transient(text: string): void {
    if (text === '' && !this.#transient) return
    this.#transient = text !== ''
    this.#stderr.write(`${CLEAR_LINE}${text}`)
  }

  bold(text: string): string {
    return this.#styled(text, 1)
  }

  red(text: string): string {
    return this.#styled(text, 31)
  }

  green(text: string): string {
    return this.#styled(text, 32)
  }

  yellow(text: string): string {
    return this.#styled(text, 33)
  }

  #styled(text: string, code: number): string {
    return this.color ? `\u001B[${code}m${text}\u001B[0m` : text
  }
}

function notWritten(cause: Error): CairnError {
  const full = 'code' in cause && (cause.code === 'ENOSPC' || cause.code === 'EDQUOT')
  return new CairnError(
    full ? 'no_space' : 'internal',
    `The output cannot be written: ${cause.message}.`,
    {
      hint: full ? 'Free some space on its disk and try again.' : 'Check where stdout leads to.',
      cause,
    },
  )
}
