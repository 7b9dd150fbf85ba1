/** Server-Sent Events, parsed as the HTML standard says. An event counts when it is whole. */
import { CairnClientError } from './error.ts'

export interface ServerEvent {
  /** The last id that was told, with this event or one before. */
  readonly id: string
  readonly event: string
  /** Undefined for an event that only tells an id. */
  readonly data: string | undefined
  /** How long to wait before coming back, where it was told. */
  readonly retryMs: number | undefined
}

/** No event of the service comes near it. */
const MAX_CHARS = 4 << 20

export async function* readEvents(
  parts: AsyncIterable<Uint8Array>,
): AsyncGenerator<ServerEvent, undefined> {
  const decoder = new TextDecoder()
  const parser = eventParser()
  for await (const part of parts) {
    for (const event of parser(decoder.decode(part, { stream: true }))) yield event
  }
}

/** Takes text in any pieces, and gives the events that are whole with it. */
export function eventParser(): (text: string) => ServerEvent[] {
  let rest = ''
  let id = ''
  let retryMs: number | undefined
  let event = ''
  let data: string[] = []
  const field = (name: string, value: string): void => {
    if (name === 'event') event = value
    else if (name === 'data') data.push(value)
    else if (name === 'id' && !value.includes('\0')) id = value
    else if (name === 'retry' && /^\d{1,9}$/.test(value)) retryMs = Number(value)
  }
  return (text) => {
    const found: ServerEvent[] = []
    rest += text
    for (let end = endOfLine(rest); end !== undefined; end = endOfLine(rest)) {
      const line = rest.slice(0, end.at)
      rest = rest.slice(end.at + end.length)
      if (line === '') {
        const whole = data.length === 0 ? undefined : data.join('\n')
        found.push({ id, event: event === '' ? 'message' : event, data: whole, retryMs })
        event = ''
        data = []
      } else if (!line.startsWith(':')) {
        const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
        field(name, value)
      }
    }
    if (rest.length > MAX_CHARS) throw tooLong()
    return found
  }
}

/** The first end of a line; of a CR at the end it is not known yet whether an LF follows. */
function endOfLine(text: string): { at: number; length: number } | undefined {
  const at = text.search(/[\r\n]/)
  if (at < 0) return undefined
  if (text[at] === '\n') return { at, length: 1 }
  if (at === text.length - 1) return undefined
  return { at, length: text[at + 1] === '\n' ? 2 : 1 }
}

function tooLong(): CairnClientError {
  return new CairnClientError('An event is longer than any of the service.', {
    code: 'bad_answer',
    hint: 'Is it the service that answers at this address?',
  })
}
