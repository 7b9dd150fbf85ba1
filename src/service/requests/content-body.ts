/** The body of a request as content: read as it comes, up to a limit. */
import type { FastifyRequest } from 'fastify'
import { smallOrStream } from '../../content/bytes.ts'
import { parseContent, type ContentValue } from '../../content/encode.ts'
import { CairnError } from '../../errors.ts'
import { untilAborted } from '../../util/abortable.ts'
import { tooManyValues, utf8Of, VALUE_WEIGHT } from '../http/bodies.ts'
import { excessOf } from '../http/json-size.ts'

/** As deep as content is read again, whoever reads it and however much of a stack is left. */
const MAX_NESTING = 500

const JSON_TYPE = /^application\/(?:json|vnd\.ipld\.dag-json)\s*(?:;|$)/i

/** JSON is a value; bytes come as a stream where they do not fit one block. */
export async function contentOf(request: FastifyRequest, most: number): Promise<ContentValue> {
  if (hasNone(request)) {
    throw new CairnError('usage', 'There is no body.', {
      hint: 'For content of no bytes send a Content-Type, such as application/octet-stream.',
    })
  }
  const chunks = bodyOf(request, most)
  if (!JSON_TYPE.test(request.headers['content-type'] ?? '')) return smallOrStream(chunks)
  const parts: Uint8Array[] = []
  for await (const part of chunks) parts.push(part)
  const text = utf8Of(Buffer.concat(parts))
  const excess = excessOf(text, { levels: MAX_NESTING, weight: VALUE_WEIGHT })
  if (excess === 'weight') throw tooManyValues()
  if (excess === 'levels') {
    throw new CairnError('invalid_content', `The value has more than ${MAX_NESTING} levels.`, {
      hint: 'Split it into several values that link to each other, or send it as bytes.',
    })
  }
  return parseContent(text)
}

/** Many clients say Content-Length: 0 where they were given no body. */
function hasNone({ headers }: FastifyRequest): boolean {
  if (headers['content-type'] !== undefined || headers['transfer-encoding'] !== undefined)
    return false
  return Number(headers['content-length'] ?? 0) === 0
}

/** The bytes of a body that was not parsed; one above the limit is refused, if it says so before it is read. */
export async function* bodyOf(
  request: FastifyRequest,
  most: number,
  deadline?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const announced = request.headers['content-length']
  if (announced !== undefined && Number(announced) > most) throw tooLarge(most)
  const { bytes } = request
  const signal =
    deadline === undefined ? request.signal : AbortSignal.any([request.signal, deadline])
  if (bytes === null) return
  let size = 0
  for await (const chunk of untilAborted(bytes, signal)) {
    size += chunk.length
    if (size > most) throw tooLarge(most)
    yield chunk
  }
  // A sender that went away ends the stream as well.
  if (!request.raw.complete) {
    throw new CairnError('aborted', 'The body was cut off.', { hint: 'Send it again.' })
  }
}

function tooLarge(most: number): CairnError {
  return new CairnError('too_large', `The body is above the limit of ${most} bytes.`, {
    hint: 'The limits body_limit and upload_limit are settings of the service.',
    limit: most,
  })
}
