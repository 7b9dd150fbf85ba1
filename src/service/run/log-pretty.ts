/** A line of the log for people: time, level, text, then what else it has. */

const COLORS: Readonly<Record<string, number>> = { error: 31, info: 32, debug: 90 }
const DIM = 90

/** `line` is one JSON object, as the log writes it; anything else is shown as it is. */
export function prettyLine(line: string, color: boolean): string {
  const styled = (text: string, code: number): string =>
    color ? `\u001B[${code}m${text}\u001B[0m` : text
  let record: Record<string, unknown>
  try {
    record = JSON.parse(line) as Record<string, unknown>
  } catch {
    return line
  }
  const { level, time, event, msg, stack, ...rest } = record
  const text = plain(String(msg))
  const fields = Object.entries({ ...(event === msg ? {} : { event }), ...rest })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${shown(value)}`)
  const clock = String(time).slice(11, 19)
  const label = styled(String(level).padEnd(5), COLORS[String(level)] ?? DIM)
  const tail = fields.length === 0 ? '' : `  ${styled(fields.join(' '), DIM)}`
  const trace = typeof stack === 'string' ? `${stack.split('\n').map(plain).join('\n')}\n` : ''
  return `${clock} ${label} ${text}${tail}\n${trace}`
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /^[\w.:/@+-]+$/.test(text) || typeof value !== 'string'
    ? plain(text)
    : JSON.stringify(text)
}

/** Nothing in a log moves the cursor of who reads it. */
function plain(text: string): string {
  return text.replaceAll(/[\u0000-\u001F\u007F-\u009F]/g, (one) => JSON.stringify(one).slice(1, -1))
}
