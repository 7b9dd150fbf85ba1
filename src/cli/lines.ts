/** Splitting bytes into lines, in bounded memory. */
import { isUtf8 } from 'node:buffer'
import { CairnError } from '../errors.ts'

export interface Line {
  /** From 1. */
  readonly number: number
  readonly text: string
}

export const MAX_LINE_BYTES: number = 8 << 20
const NEWLINE = 10

/** The lines of each chunk together; a line that is longer than `most` is refused as soon as it is. */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  most: number = MAX_LINE_BYTES,
): AsyncGenerator<Line[]> {
  let open: Uint8Array[] = []
  let openBytes = 0
  let number = 1
  const add = (part: Uint8Array): void => {
    openBytes += part.length
    if (openBytes > most) throw tooLong(number, most)
    open.push(part)
  }
  const take = (): Line => {
    const bytes = open.length === 1 ? (open[0] ?? new Uint8Array()) : Buffer.concat(open)
    open = []
    openBytes = 0
    return { number, text: textOf(bytes, number++) }
  }
  for await (const chunk of chunks) {
    const lines: Line[] = []
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      add(chunk.subarray(from, at))
      lines.push(take())
      from = at + 1
    }
    if (from < chunk.length) add(chunk.subarray(from))
    if (lines.length > 0) yield lines
  }
  if (openBytes > 0) yield [take()]
}

function textOf(bytes: Uint8Array, number: number): string {
  if (isUtf8(bytes))
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
  throw new CairnError('invalid_entry', `Line ${number} is not valid UTF-8.`, {
    hint: 'Convert the file to UTF-8.',
    line: number,
  })
}

function tooLong(number: number, most: number): CairnError {
  return new CairnError('too_large', `Line ${number} is longer than ${most} bytes.`, {
    hint: 'Each line is one entity; put large contents as files (`cairn put PI FILE`).',
    line: number,
  })
}
