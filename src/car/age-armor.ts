/** The text form of an age file (PEM-like, as `age -a` writes it) back to its bytes, as a stream. */
import { damagedFile } from './age-payload.ts'

const BEGIN = '-----BEGIN AGE ENCRYPTED FILE-----'
const END = '-----END AGE ENCRYPTED FILE-----'
const LINE_CHARS = 64
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

export const ARMOR_START: Uint8Array = Buffer.from(BEGIN)

type Place = 'start' | 'body' | 'last line' | 'end'

export async function* dearmor(text: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let place: Place = 'start'
  for await (const lines of lineBatches(text)) {
    let body = ''
    for (const line of lines) {
      const after = placeAfter(place, line)
      if (after === 'last line' || (after === 'body' && place === 'body')) body += line
      place = after
    }
    if (body !== '') yield Buffer.from(body, 'base64')
  }
  if (place !== 'end') throw damagedFile()
}

/** Every line of the body is full but the last, which alone may be short or padded. */
function placeAfter(place: Place, line: string): Place {
  if (place === 'start' && line === BEGIN) return 'body'
  if ((place === 'body' || place === 'last line') && line === END) return 'end'
  if (place === 'end' && line.trim() === '') return 'end'
  if (place !== 'body' || line.length > LINE_CHARS || !BASE64.test(line)) throw damagedFile()
  if (line.length === LINE_CHARS && !line.endsWith('=')) return 'body'
  if (Buffer.from(line, 'base64').toString('base64') !== line) throw damagedFile()
  return 'last line'
}

/** The lines that each part of the text completes; none is longer than it may be by much. */
async function* lineBatches(text: AsyncIterable<Uint8Array>): AsyncGenerator<string[]> {
  let open = ''
  for await (const part of text) {
    const lines = (open + Buffer.from(part).toString('latin1')).split('\n')
    open = lines.pop() ?? ''
    if (open.length > 2 * LINE_CHARS) throw damagedFile()
    yield lines.map(withoutReturn)
  }
  if (open !== '') yield [withoutReturn(open)]
}

const withoutReturn = (line: string): string => (line.endsWith('\r') ? line.slice(0, -1) : line)
