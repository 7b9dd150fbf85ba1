/** A reader of Server-Sent Events, as strict as a browser's. */

export interface ReadEvent {
  readonly id: string
  readonly event: string
  readonly data: unknown
}

export interface EventReader {
  readonly response: Response
  /** The next so many events that have data. */
  take(count: number): Promise<ReadEvent[]>
  /** What a browser would send back. */
  lastId(): string
  comments(): number
  /** Reads on to the end of the answer. */
  end(): Promise<ReadEvent[]>
  close(): void
}

export async function openEvents(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<EventReader> {
  const stop = new AbortController()
  const response = await fetch(url, { headers, signal: stop.signal })
  const { body } = response
  if (body === null) throw new Error('an answer without a body')
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  let lastId = ''
  let comments = 0
  const next = async (): Promise<ReadEvent | undefined> => {
    for (;;) {
      const end = text.indexOf('\n\n')
      if (end < 0) {
        const { done, value } = await reader.read()
        if (done) return undefined
        text += value
        continue
      }
      const lines = text.slice(0, end).split('\n')
      text = text.slice(end + 2)
      const fields = { event: 'message', data: '' }
      for (const line of lines) {
        const [name = '', value = ''] = line.split(/: ?(.*)/s)
        if (name === '') comments++
        else if (name === 'id') lastId = value
        else if (name === 'event' || name === 'data') fields[name] = value
        else throw new Error(`a field ${name}`)
      }
      if (fields.data !== '')
        return { id: lastId, event: fields.event, data: JSON.parse(fields.data) as unknown }
    }
  }
  return {
    response,
    take: async (count) => {
      const events: ReadEvent[] = []
      while (events.length < count) {
        const event = await next()
        if (event === undefined) throw new Error(`it ended after ${events.length} events`)
        events.push(event)
      }
      return events
    },
    lastId: () => lastId,
    comments: () => comments,
    end: async () => {
      const events: ReadEvent[] = []
      for (let event = await next(); event !== undefined; event = await next()) events.push(event)
      return events
    },
    close: () => stop.abort(),
  }
}
