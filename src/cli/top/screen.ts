/**
 * The terminal as a whole screen. Whatever ends the program gives the terminal back as it was: leaving, an
 * error that nobody caught, a signal; only SIGKILL does not.
 */
import { writeSync } from 'node:fs'

export interface Size {
  readonly columns: number
  readonly rows: number
}

export interface Screen {
  readonly size: () => Size
  readonly draw: (lines: readonly string[]) => void
  /** Gives the terminal back; more than once is no harm. */
  readonly close: () => void
}

export interface ScreenEvents {
  readonly onKey: (key: string) => void
  /** Its size is another, or it was given back in between: it is to be drawn again. */
  readonly onChange: () => void
}

export interface Terminal {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream & { readonly fd: number }
}

/** The other screen, no cursor, and lines that do not wrap. */
const ENTER = '\u001B[?1049h\u001B[?25l\u001B[?7l\u001B[2J'
const LEAVE = '\u001B[?7h\u001B[?25h\u001B[?1049l'
const HOME = '\u001B[H'
/** Before what is written: behind a full line it would take its last sign away. */
const CLEAR_LINE = '\u001B[K'
const CLEAR_BELOW = '\u001B[J'
const SUSPEND = '\u001A'

export function openScreen({ stdin, stdout }: Terminal, { onKey, onChange }: ScreenEvents): Screen {
  const hasKeys = stdin.isTTY
  let open = false
  const enter = (): void => {
    open = true
    stdout.write(ENTER)
    if (hasKeys) stdin.setRawMode(true)
  }
  const leave = (): void => {
    if (!open) return
    open = false
    if (hasKeys) stdin.setRawMode(false)
    // At once: the process may be ending.
    writeAtOnce(stdout, LEAVE)
  }
  const onData = (data: Buffer): void => {
    for (const key of keysOf(data.toString('latin1'))) {
      if (key === SUSPEND) suspend()
      else onKey(key)
    }
  }
  const suspend = (): void => {
    leave()
    process.once('SIGCONT', () => {
      enter()
      onChange()
    })
    process.kill(process.pid, 'SIGTSTP')
  }
  const close = (): void => {
    leave()
    stdin.removeListener('data', onData)
    if (hasKeys) stdin.pause()
    stdout.removeListener('resize', onChange)
    process.removeListener('exit', leave)
    process.removeListener('uncaughtExceptionMonitor', leave)
  }
  process.on('exit', leave)
  process.on('uncaughtExceptionMonitor', leave)
  stdout.on('resize', onChange)
  enter()
  if (hasKeys) stdin.on('data', onData).resume()
  return {
    size: () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 }),
    draw: (lines) => {
      if (!open) return
      const text = lines.map((line) => CLEAR_LINE + line).join('\r\n')
      stdout.write(HOME + text + CLEAR_BELOW)
    },
    close,
  }
}

function writeAtOnce({ fd }: Terminal['stdout'], text: string): void {
  try {
    writeSync(fd, text)
  } catch {
    // The terminal has gone.
  }
}

/** Keys that send more than one character (arrows) are one key, which nobody listens to. */
export function keysOf(data: string): string[] {
  return data.match(/\u001B(?:\[[0-9;?]*[ -/]*[@-~]|O.|.)?|[^\u001B]/gs) ?? []
}
