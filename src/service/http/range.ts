/** The header Range: one range of bytes. What is no such range is passed over, and all is sent. */
import type { FastifyRequest } from 'fastify'

export interface ByteRange {
  readonly from: number
  /** Included. */
  readonly to: number
}

const ONE_RANGE = /^bytes=(?:(\d{1,15})-(\d{1,15})?|-(\d{1,15}))$/

/** `none`: there is no such range in a file of `size` bytes. */
export function rangeOf(
  { headers }: Pick<FastifyRequest, 'headers'>,
  { size, tag }: { readonly size: number; readonly tag: string },
): ByteRange | 'none' | undefined {
  const parts = ONE_RANGE.exec(headers.range?.trim() ?? '')
  const ifRange = headers['if-range']
  if (parts === null || (ifRange !== undefined && ifRange !== tag)) return undefined
  const [, first, last, suffix] = parts
  if (suffix !== undefined) {
    const count = Math.min(Number(suffix), size)
    return count === 0 ? 'none' : { from: size - count, to: size - 1 }
  }
  const from = Number(first)
  const to = Math.min(last === undefined ? size - 1 : Number(last), size - 1)
  if (last !== undefined && Number(last) < from) return undefined
  return from >= size ? 'none' : { from, to }
}
