/** NDJSON as it comes: a record a line. A stream that ends within a line was cut off. */
import { CairnClientError } from './error.ts'

/** No record of the service comes near it. */
const MAX_CHARS = 4 << 20

export async function* readLines<T>(
  parts: AsyncIterable<Uint8Array>,
): AsyncGenerator<T, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let rest = ''
  for await (const part of parts) {
    const lines = (rest + decoder.decode(part, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield parseLine<T>(line)
    if (rest.length > MAX_CHARS) throw cut('a line is longer than any of the service')
  }
  if (rest !== '') throw cut('it ends within a line')
}

function parseLine<T>(line: string): T {
  try {
    return JSON.parse(line) as T
  } catch {
    throw cut('a line is no JSON')
  }
}

function cut(why: string): CairnClientError {
  return new CairnClientError(`The answer is not whole: ${why}.`, {
    code: 'answer_cut',
    hint: 'Ask again from the beginning.',
  })
}
